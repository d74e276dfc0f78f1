"""What a network says of images, as far as evaluation and prediction ask: layers, and fluid where it seeks any.

The networks themselves (`retseg.models`) are named by configurations alone, so this asks for no class but for what a
network has. N images, C classes, H rows, W columns.
"""

from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class GivesOutputs(Protocol):
    """A network with more outputs than its logits, as `retseg.models.outputs` describes one."""

    @property
    def gives(self) -> tuple[str, ...]:
        """Names of what its outputs hold beside logits."""
        ...

    def outputs(self, image: Tensor) -> Any:
        """All outputs for images (N, 1, H, W): `logits` (N, C, H, W) and, if it gives fluid, `fluid` (N, H, W)."""
        ...


def gives_fluid(net: nn.Module) -> bool:
    """Whether a network seeks fluid."""
    return isinstance(net, GivesOutputs) and "fluid" in net.gives


def logits_and_fluid(net: nn.Module, image: Tensor) -> tuple[Tensor, Tensor | None]:
    """Logits (N, C, H, W) and the logit of fluid (N, H, W) of images (N, 1, H, W); None where it seeks none."""
    if isinstance(net, GivesOutputs) and "fluid" in net.gives:
        outputs = net.outputs(image)
        return outputs.logits, outputs.fluid
    logits: Tensor = net(image)
    return logits, None
