"""A trained network as prediction needs it: a card that says how scans come to it, and a forward pass of any engine."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor, nn

from retseg.anatomy import CLASS_NAMES
from retseg.errors import InputError
from retseg.evaluation.network_outputs import gives_fluid, logits_and_fluid

FORMAT = 1

FluidForward = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Logits (N, C, H, W) and, from the same pass, the probability of fluid in each pixel (N, H, W)."""


@dataclass(frozen=True, slots=True)
class NetworkCard:
    """What travels with weights, also in files without a run folder.

    name: of the run. sha256: of the weights. size: (H, W) that scans are resized to, None: as they are.
    window: (rows, columns) that were cut from training scans before resizing, None: whole scans.
    training_um: (axial, lateral) size of a training scan's pixels before resizing, None where nobody knew.
    training_shape: (H, W) of a training scan's window before resizing.
    data_name, label_origin, stamp: what it learned from, and what no reader of its scores may overlook.
    reference: what predictions are held against (`retseg calibrate`), empty before that; plain JSON.
    gives_fluid: whether it seeks fluid beside the layers.
    is_of_any_scale: whether its training scans were of many pixel sizes; training_um is then the middle one.
    """

    name: str
    sha256: str
    size: tuple[int, int] | None
    window: tuple[int, int] | None
    training_um: tuple[float, float] | None
    training_shape: tuple[int, int] | None
    data_name: str
    label_origin: str
    stamp: str
    retseg_version: str
    class_names: tuple[str, ...] = CLASS_NAMES
    reference: Mapping[str, Any] = field(default_factory=dict)
    gives_fluid: bool = False
    is_of_any_scale: bool = False

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, place: str) -> "NetworkCard":
        """The card in a text. InputError, which begins with `place`, where it is none, or of a newer retseg."""
        try:
            content = json.loads(text)
            number = content.pop("format")
            if number > FORMAT:
                raise InputError(f"{place}: a card of format {number}, this retseg reads {FORMAT}; update retseg")
            pairs = ("size", "window", "training_um", "training_shape")
            content |= {name: None if content[name] is None else tuple(content[name]) for name in pairs}
            return cls(**{**content, "class_names": tuple(content["class_names"])})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{place}: no card of a retseg network ({error}); export the run again") from error


@dataclass(frozen=True, slots=True, eq=False)
class ScanNetwork:
    """A network that predicts.

    forward: logits (N, C, H, W) float32 from images (N, 1, H, W) float32 in 0..1 of the card's size; safe to call from
    several threads. engine: what runs it, e.g. "PyTorch". module: the network itself where there is one, in eval mode.
    with_fluid: the same with fluid, None where the card says that it seeks none.
    """

    card: NetworkCard
    forward: Callable[[Tensor], Tensor]
    engine: str
    module: nn.Module | None = None
    with_fluid: FluidForward | None = None

    def __post_init__(self) -> None:
        """Card and forward pass agree (a slip of ours otherwise: readers check files before)."""
        assert self.card.gives_fluid == (self.with_fluid is not None), self.card.name


def of_module(card: NetworkCard, module: nn.Module) -> ScanNetwork:
    """A network that PyTorch runs; its card has to say whether it seeks fluid."""
    return ScanNetwork(card, module, "PyTorch", module, fluid_forward(module))


def fluid_forward(module: nn.Module) -> FluidForward | None:
    """The forward pass of a network with fluid; None where it seeks none."""
    if not gives_fluid(module):
        return None

    def forward(images: Tensor) -> tuple[Tensor, Tensor]:
        logits, fluid = logits_and_fluid(module, images)
        assert fluid is not None
        return logits, fluid.sigmoid()

    return forward
