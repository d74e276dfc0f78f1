"""What a network that holds another one asks of it."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from retseg.errors import InputError
from retseg.models.outputs import Outputs


class Wrapped(nn.Module, ABC):
    """A network around another one, `net`, that takes `extra` of its last channels for outputs of its own.

    The network inside is made with least + extra channels or more; InputError: fewer.
    """

    def __init__(self, net: nn.Module, least: int, extra: int) -> None:
        super().__init__()
        self.net = net
        self.in_channels, channels = inner_channels(net, least, extra, type(self).__name__)
        self.num_classes = channels - extra

    @property
    def layer_aliases(self) -> dict[str, str]:
        """Those of the network inside."""
        return aliases_through(self.net)

    @abstractmethod
    def outputs(self, image: Tensor) -> Outputs:
        """All that the network knows of images (N, in_channels, H, W)."""

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, C, H, W), those of `outputs`."""
        return self.outputs(image).logits


def inner_channels(net: nn.Module, least: int, extra: int, made_for: str) -> tuple[int, int]:
    """Channels in and out of the network inside, `extra` of the latter for the one around it, `least` for others.

    InputError: the network does not say how many it has, or has too few.
    """
    found = getattr(net, "num_classes", None)
    if not isinstance(found, int) or found < least + extra:
        raise InputError(
            f"model.net.num_classes: {found} in {type(net).__name__}; {made_for} takes {extra} of its channels and "
            f"leaves {least} or more; give {least + extra}"
        )
    return int(getattr(net, "in_channels", 1)), found


def aliases_through(net: nn.Module) -> dict[str, str]:
    """Second names of the layers of the network that another one holds as its attribute `net`."""
    found: dict[str, str] = getattr(net, "layer_aliases", {})
    return {name: path if path == "softmax" else f"net.{path}" for name, path in found.items()}
