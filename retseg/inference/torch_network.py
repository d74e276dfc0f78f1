"""A network as a program of torch.export that takes gray levels: the start of ONNX files, and a file (.pt2) itself.

N scans, C classes, H rows, W columns.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from retseg.errors import InputError, one_line
from retseg.evaluation.network_outputs import logits_and_fluid
from retseg.inference.network import NetworkCard, ScanNetwork

INPUT, OUTPUTS, FLUID = "image", ("logits", "probabilities"), "fluid"
"""Names of what goes in and what comes out; `FLUID` (N, H, W), the probability of it, where the network seeks any."""

MULTIPLE = 32
"""Exported networks of no fixed size take H and W that this divides, from twice this on: five poolings halve them."""

GRAY_LEVELS = 255

Forward = Callable[[Tensor], Tensor]
Pass = Callable[[Tensor], tuple[Tensor, ...]]
"""Several outputs (N, ..., H, W) of images (N, 1, H, W)."""


class OfGrayLevels(nn.Module):
    """Logits and probabilities, each (N, C, H, W), of images (N, 1, H, W) of gray levels 0..255, clipped to these.

    Then, where the network seeks fluid, its probability (N, H, W).
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """The outputs in the order of `OUTPUTS`, `FLUID` last."""
        logits, fluid = logits_and_fluid(self.net, image.clamp(0, GRAY_LEVELS) / GRAY_LEVELS)
        both = logits, logits.softmax(dim=1)
        return both if fluid is None else (*both, fluid.sigmoid())


def as_program(net: nn.Module, size: tuple[int, int] | None) -> ExportedProgram:
    """The program of a network: any N; H and W of `size`, or, where that is None, multiples of 32 from 64 on.

    InputError where torch.export cannot follow what the network does.
    """
    height, width = size or (2 * MULTIPLE, 3 * MULTIPLE)
    dims: dict[int, object] = {0: Dim("N", min=1)}
    if size is None:
        dims |= {2: MULTIPLE * Dim("H", min=2), 3: MULTIPLE * Dim("W", min=2)}
    net = OfGrayLevels(deepcopy(net)).eval().requires_grad_(False)
    example = torch.zeros(2, 1, height, width)
    try:
        program = torch.export.export(net, (example,), dynamic_shapes=({**dims},))
    except (RuntimeError, ValueError, torch._dynamo.exc.UserError) as error:
        line = one_line(error)
        raise InputError(
            f"{type(net.net).__name__}: torch.export cannot follow it ({line:.160}); export --format safetensors"
        ) from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # holds paths of this machine
    return program


def save_program(program: ExportedProgram, path: Path, texts: Mapping[str, str]) -> None:
    """Write a .pt2 file, texts beside the program in it."""
    torch.export.save(program, path, extra_files=dict(texts))


def own_program(path: Path, size: tuple[int, int] | None) -> Pass:
    """The outputs of a program that this very process has saved, to check it.

    Files of others are never opened so: a .pt2 file holds a program.
    """
    module = torch.export.load(path).module()

    def run(images: Tensor) -> tuple[Tensor, ...]:
        outputs: tuple[Tensor, ...] = module(images * GRAY_LEVELS)
        return outputs

    return run if size is not None else on_multiples(run)


def on_multiples(run: Pass) -> Pass:
    """A pass for any H and W: images are padded (last row and column repeated), outputs cut back."""

    def padded(images: Tensor) -> tuple[Tensor, ...]:
        height, width = images.shape[2:]
        pads = (0, -width % MULTIPLE, 0, -height % MULTIPLE)
        outputs = run(F.pad(images, pads, mode="replicate") if any(pads) else images)
        return tuple(output[..., :height, :width] for output in outputs)

    return padded


def network_of(card: NetworkCard, run: Pass, engine: str) -> ScanNetwork:
    """A network whose pass gives logits first and, where its card says so, the probability of fluid last."""

    def forward(images: Tensor) -> Tensor:
        return run(images)[0]

    def with_fluid(images: Tensor) -> tuple[Tensor, Tensor]:
        outputs = run(images)
        return outputs[0], outputs[-1]

    return ScanNetwork(card, forward, engine, with_fluid=with_fluid if card.gives_fluid else None)
