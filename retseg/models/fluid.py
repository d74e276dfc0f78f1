"""Fluid as an output of its own beside the layers: cysts lie inside layers, so they are no step of the depth order."""

from torch import Tensor, nn

from retseg.anatomy import NUM_CLASSES
from retseg.models.outputs import Outputs, gives_of, outputs_of
from retseg.models.wrapped import aliases_through, inner_channels


class WithFluid(nn.Module):
    """A network that gives the layers' logits (N, C, H, W), and in `outputs` the logit of fluid in each pixel.

    net: any network with `num_classes`, made with one class more than there are layers and background (9): its last
    channel is the logit of fluid. `forward` leaves that channel out, so that all who ask for layers get layers.
    InputError: fewer channels.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.in_channels, channels = inner_channels(net, NUM_CLASSES, 1, "WithFluid")
        self.num_classes = channels - 1

    @property
    def gives(self) -> tuple[str, ...]:
        """See `retseg.models.outputs.GivesOutputs`."""
        return (*gives_of(self.net), "fluid")

    @property
    def layer_aliases(self) -> dict[str, str]:
        """Those of the network inside."""
        return aliases_through(self.net)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, C, H, W) of the layers."""
        return self.outputs(image).logits

    def outputs(self, image: Tensor) -> Outputs:
        """Logits (N, C, H, W) of the layers, and of fluid (N, H, W)."""
        inner = outputs_of(self.net, image)
        return inner._replace(logits=inner.logits[:, :-1], fluid=inner.logits[:, -1])
