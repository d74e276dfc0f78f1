"""Names of the layers at which a network can be explained: module paths, the network's aliases, and "softmax"."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from torch import nn

from retseg.errors import InputError

SOFTMAX = "softmax"
"""Pseudo-layer: the class probabilities themselves as feature maps (the paper's Conv2d_20 after its activation)."""

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def aliases(net: nn.Module) -> Mapping[str, str]:
    """The network's own second names, e.g. `{"conv2d_19": "decoder1.relu2"}`; empty where it declares none."""
    found: Mapping[str, str] = getattr(net, "layer_aliases", {})
    return found


def layer_names(net: nn.Module) -> list[str]:
    """Every convolution and activation of the network in the order of its definition, then aliases, then "softmax"."""
    paths = [
        path
        for path, module in net.named_modules()
        if isinstance(module, _CONVOLUTIONS) or type(module).__module__ == "torch.nn.modules.activation"
    ]
    return [*paths, *aliases(net), SOFTMAX]


def resolve_layers(net: nn.Module, layers: Sequence[str]) -> dict[str, str]:
    """Module path (or "softmax") of each name asked for, in order. Any module path will do, not only those listed."""
    if not layers:
        raise InputError(f"layers: none given, expected at least one of {', '.join(layer_names(net))}")
    second_names = aliases(net)
    paths = {path for path, _ in net.named_modules()} | {SOFTMAX}
    resolved = {}
    for name in layers:
        path = second_names.get(name, name)
        if not path or path not in paths:
            raise InputError(_unknown(name, layer_names(net)))
        resolved[name] = path
    return resolved


def _unknown(name: str, known: list[str]) -> str:
    """What to say about a layer that does not exist: the closest names first, then all of them."""
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(close)}? " if close else ""
    rest = ", ".join(other for other in known if other not in close)
    return f"layer {name!r} is not in this network; {hint}{'others' if close else 'layers'}: {rest}"
