"""A network that predicts, from a run folder or from weights that were exported; no code of a file is ever run."""

from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from retseg import __version__
from retseg.build import build_frame, build_source
from retseg.commands.scored_run import ScoredRun, open_run
from retseg.commands.training_scan import TrainingScan, training_scan
from retseg.errors import InputError
from retseg.evaluation.json_files import read_object
from retseg.evaluation.network_outputs import gives_fluid
from retseg.inference.network import NetworkCard, ScanNetwork, of_module

REFERENCE = "reference.json"
REFUSED = {
    ".pt2": "holds a program as torch.export saves it",
    ".pt": "may hold pickled code",
    ".pth": "may hold pickled code",
    ".ts": "holds a TorchScript program",
}
"""Endings whose loading may run what a stranger wrote."""


def open_scan_network(path: Path, checkpoint: str = "best") -> ScanNetwork:
    """The network of a run folder, of RUN/checkpoints/*.ckpt, or of an exported .onnx or .safetensors file.

    InputError where it is none of these, damaged, or of a kind that may run code.
    """
    ending = path.suffix.lower()
    if not path.exists():
        raise InputError(f"{path}: no such run folder or file of weights; name one with --run or --weights")
    if path.is_dir():
        return _of_run(path, checkpoint)
    if ending == ".ckpt":
        run_dir = path.parent.parent
        if not (run_dir / "config.yaml").is_file():
            raise InputError(f"{path}: no checkpoint in a run folder (RUN/checkpoints/*.ckpt); name one, or the RUN")
        return _of_run(run_dir, path.stem)
    if ending == ".onnx":
        from retseg.inference.onnx_network import open_onnx

        return open_onnx(path)
    if ending == ".safetensors":
        from retseg.commands.rebuilt_network import open_safetensors

        return open_safetensors(path)
    if ending in REFUSED:
        raise InputError(
            f"{path}: {REFUSED[ending]}, and is not loaded; export .onnx or .safetensors with `retseg export`"
        )
    raise InputError(
        f"{path}: no weights that retseg reads; expected a run folder, .ckpt in one, .onnx or .safetensors"
    )


def card_of_run(run: ScoredRun) -> NetworkCard:
    """What travels with the weights of a run."""
    seen = _training_scan(run)
    size, crop = run.config.data.size, run.config.data.crop
    return NetworkCard(
        name=run.folder.resolve().name,
        sha256=run.weights,
        size=None if size is None else (int(size[0]), int(size[1])),
        window=None if crop is None else (int(crop.rows), int(crop.columns)),
        training_um=None if seen is None else seen.spacing_um,
        training_shape=None if seen is None else seen.shape,
        data_name=str(run.metrics["data"]["name"]),
        label_origin=str(run.metrics["data"]["label_origin"]),
        stamp=run.stamp,
        retseg_version=__version__,
        reference=_reference(run),
        gives_fluid=gives_fluid(run.net),
        is_of_any_scale=seen is not None and seen.varies,
    )


def _of_run(run_dir: Path, checkpoint: str) -> ScanNetwork:
    """A run's network, run by onnxruntime where it was exported (an eighth faster), else by PyTorch."""
    run = open_run(run_dir, checkpoint)
    card, exported = card_of_run(run), run.folder / "export" / "model.onnx"
    if exported.is_file() and find_spec("onnxruntime") is not None:
        from retseg.inference.onnx_network import open_onnx

        network = open_onnx(exported)
        if network.card.sha256 == run.weights and network.card.gives_fluid == card.gives_fluid:
            return replace(network, card=card, module=run.net)
    return of_module(card, run.net)


def _training_scan(run: ScoredRun) -> TrainingScan | None:
    """How the training scans were: as the run says, else (an older run) as its data says, None where that is gone."""
    said = run.metrics["data"].get("scan")
    if said is not None:
        return TrainingScan.from_json(said, str(run.folder / "metrics.json"))
    return _from_data(run.config)


def _from_data(config: DictConfig) -> TrainingScan | None:
    try:
        source = build_source(config)
        return training_scan(source, source.keys[0], build_frame(config).window)
    except InputError:
        return None


def _reference(run: ScoredRun) -> Mapping[str, Any]:
    """What `retseg calibrate` left; nothing where it is of other weights."""
    path = run.folder / REFERENCE
    if not path.is_file():
        return {}
    reference = read_object(path)
    return reference if reference.get("weights_sha256") == run.weights else {}
