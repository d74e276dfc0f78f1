"""What a network gives that knows more than layers. N scans, C classes, S surfaces, H rows (depth), W columns."""

from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn


class Outputs(NamedTuple):
    """All outputs of one forward pass; None where the network has no such output.

    logits: (N, C, H, W), the same that `net(image)` gives.
    surface_rows: (N, S, W) sub-pixel rows on the image's grid, ordered top to bottom.
    fluid: (N, H, W), the logit of fluid in each pixel (sigmoid gives its probability).
    """

    logits: Tensor
    surface_rows: Tensor | None = None
    fluid: Tensor | None = None


@runtime_checkable
class GivesOutputs(Protocol):
    """A network with more outputs than its logits."""

    @property
    def gives(self) -> tuple[str, ...]:
        """Which of "surface_rows" and "fluid" its outputs hold."""
        ...

    def outputs(self, image: Tensor) -> Outputs:
        """Everything it knows of images (N, 1, H, W)."""
        ...


def gives_of(net: nn.Module) -> tuple[str, ...]:
    """What a network gives beside logits; nothing if it is a plain one."""
    return net.gives if isinstance(net, GivesOutputs) else ()


def outputs_of(net: nn.Module, image: Tensor) -> Outputs:
    """Outputs of any network for images (N, 1, H, W): a plain one gives logits alone."""
    return net.outputs(image) if isinstance(net, GivesOutputs) else Outputs(net(image))
