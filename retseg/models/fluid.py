"""Fluid as an output of its own beside the layers: cysts lie inside layers, so they are no step of the depth order."""

from torch import Tensor, nn

from retseg.anatomy import NUM_CLASSES
from retseg.models.outputs import Outputs, gives_of, outputs_of
from retseg.models.wrapped import Wrapped


class WithFluid(Wrapped):
    """A network that gives the layers' logits (N, C, H, W), and in `outputs` the logit of fluid in each pixel.

    net: any network with `num_classes`, made with one class more than there are layers and background (9): its last
    channel is the logit of fluid. `forward` leaves that channel out, so that all who ask for layers get layers.
    InputError: fewer channels.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__(net, NUM_CLASSES, 1)

    @property
    def gives(self) -> tuple[str, ...]:
        """See `retseg.models.outputs.GivesOutputs`."""
        return (*gives_of(self.net), "fluid")

    def outputs(self, image: Tensor) -> Outputs:
        """Logits (N, C, H, W) of the layers, and of fluid (N, H, W)."""
        inner = outputs_of(self.net, image)
        return inner._replace(logits=inner.logits[:, :-1], fluid=inner.logits[:, -1])
