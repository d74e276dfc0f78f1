"""Losses on more than layers: what training asks of the loss, of the network and of the data, checked at the start."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from retseg.data.dataset import Batch
from retseg.errors import InputError


@runtime_checkable
class JointLoss(Protocol):
    """A loss that reads all outputs of a network and all targets of a batch."""

    surfaces: nn.Module | None
    fluid: nn.Module | None

    def joint(self, outputs: Any, batch: Batch) -> Tensor:
        """Scalar loss of what `net.outputs(image)` gave."""
        ...


@runtime_checkable
class JointNet(Protocol):
    """A network that gives more than its logits."""

    @property
    def gives(self) -> tuple[str, ...]:
        """Which targets its outputs answer: of "surface_rows" and "fluid"."""
        ...

    def outputs(self, image: Tensor) -> Any:
        """Its outputs (with `logits` (N, C, H, W) among them) for images (N, 1, H, W)."""
        ...


def refuse_joint_losses_without_targets(loss: nn.Module, net: nn.Module, targets: Sequence[str]) -> None:
    """InputError where a loss asks for what the network does not give or the batches do not hold (data.targets)."""
    if not isinstance(loss, JointLoss):
        return
    given = net.gives if isinstance(net, JointNet) else None
    if given is None:
        raise InputError(
            f"loss: {type(loss).__name__} reads more than layers, and {type(net).__name__} gives no more; choose a "
            "model with surfaces or fluid, or a loss on layers"
        )
    for option, target, part in (("surfaces", "surface_rows", loss.surfaces), ("fluid", "fluid", loss.fluid)):
        if part is not None and target not in given:
            raise InputError(
                f"loss.{option}: {type(net).__name__} gives no {target}; set loss.{option}=null or choose another model"
            )
        if part is not None and target not in targets:
            raise InputError(
                f"loss.{option}: batches hold no {target}; set data.targets=[{','.join([*targets, target])}]"
            )
