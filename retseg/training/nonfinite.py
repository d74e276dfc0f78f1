"""A step whose loss or gradient is no finite number: what is kept of it for a look, and what is said."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningModule
from torch import Tensor, nn

from retseg.data.dataset import Batch
from retseg.errors import InputError, one_line
from retseg.evaluation.atomic import replacing_file

FOLDER = "nonfinite"


def first_nonfinite(tensors: Iterable[tuple[str, Tensor]]) -> str | None:
    """Name of the first tensor with a value that is not finite, in the order given; None where all are."""
    return next((name for name, tensor in tensors if not torch.isfinite(tensor).all()), None)


def gradients(net: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Gradients by the names of their parameters, those of the first layers first."""
    return ((name, weight.grad) for name, weight in net.named_parameters() if weight.grad is not None)


def nonfinite_gradient(net: nn.Module) -> str | None:
    """Name of the first parameter whose gradient is not finite.

    Where all are, it costs one norm: 1 % of a step of a SegNet of width 16, 0.6 % at width 64 (2 scans of 128 x 128 px,
    one core, processor time).
    """
    found = [gradient for _, gradient in gradients(net)]
    if not found or torch.isfinite(torch.nn.utils.get_total_norm(found)):
        return None
    return first_nonfinite(gradients(net))  # None: the norm alone is too large for its type


def stopped_step(module: LightningModule, net: nn.Module, batch: Batch, place: str, what: str) -> InputError:
    """The error for a step that is not finite; RUN/nonfinite then holds what a look needs, no pickles in it.

    batch.npz: `image` (N, 1, H, W) and `mask` (N, H, W) as the network saw them, `name` (N,). report.json: where, which
    loss or gradient, learning rates, whether images and weights were finite, and the first weights that were not.
    """
    weights = first_nonfinite(net.state_dict().items())
    report = {
        "what": what,
        "place": place,
        "scans": list(batch["name"]),
        "images_are_finite": bool(torch.isfinite(batch["image"]).all()),
        "first_nonfinite_weights": weights,
        "first_nonfinite_gradient": first_nonfinite(gradients(net)) if what.startswith("gradient") else None,
    }
    kept = ""
    if module._trainer is not None:  # the property raises where there is none
        trainer = module.trainer
        rates = [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups]
        report |= {"epoch": trainer.current_epoch + 1, "optimizer_steps": trainer.global_step, "lr": rates}
        suffix = f"_{trainer.global_rank}" if trainer.global_rank else ""
        kept = _keep(Path(trainer.default_root_dir) / f"{FOLDER}{suffix}", batch, report)
    state = f"{weights} is not finite already" if weights else "weights are finite"
    return InputError(
        f"{place}: {what} on {', '.join(batch['name'])} ({state}); lower optimizer.lr, or look at these scans{kept}"
    )


def _keep(folder: Path, batch: Batch, report: dict[str, Any]) -> str:
    """Where it lies, for the message, or why it does not: the step is the news, not its file."""
    arrays = {name: batch[name].detach().cpu().numpy() for name in ("image", "mask")}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing_file(folder / "batch.npz") as partial, partial.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, name=np.array(list(batch["name"]), dtype=str), **arrays)
        with replacing_file(folder / "report.json") as partial:
            partial.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    except (OSError, InputError) as error:
        return f" (they could not be kept: {one_line(error)})"
    return f", kept in {folder}"
