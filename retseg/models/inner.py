"""What a network that wraps another one asks of it."""

from torch import nn

from retseg.errors import InputError


def inner_channels(net: nn.Module, extra: int, made_for: str) -> tuple[int, int]:
    """Channels in and out of a wrapped network, `extra` of the latter for the wrapper itself.

    InputError: the network does not say how many it has, or has too few to leave two classes.
    """
    found, wanted = getattr(net, "num_classes", None), 2 + extra
    if not isinstance(found, int) or found < wanted:
        raise InputError(
            f"model.net.num_classes: {found} in {type(net).__name__}; {made_for} takes {extra} of its channels and "
            f"needs {wanted} or more; for the eight classes give {8 + extra}"
        )
    return int(getattr(net, "in_channels", 1)), found


def aliases_through(net: nn.Module, place: str = "net") -> dict[str, str]:
    """Second names of the layers of a network that another one holds as its attribute `place`."""
    found: dict[str, str] = getattr(net, "layer_aliases", {})
    return {name: path if path == "softmax" else f"{place}.{path}" for name, path in found.items()}
