"""Training that begins with the weights of another run: pre-training and fine-tuning."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from retseg.build import load_net
from retseg.errors import InputError
from retseg.inference.shipped import NAMES, shipped_weights
from retseg.inference.weights_file import read_weights


def load_start(net: nn.Module, path: Path) -> None:
    """Give a network, in place, the weights of a run folder (its best) or of an exported .safetensors file.

    The word zero_shot stands for the weights that come with retseg. InputError where path is none of these, or its
    network is another than this one.
    """
    path = shipped_weights(str(path)) if str(path) in NAMES else path
    if path.is_dir():
        weights: Mapping[str, Tensor] = load_net(path).state_dict()
    elif path.suffix == ".safetensors" and path.is_file():
        weights = read_weights(path).tensors
    else:
        raise InputError(f"start={path}: no run folder and no .safetensors file; name weights to begin with, or null")
    own = net.state_dict()
    for name in sorted({*own, *weights}):
        sides = [tuple(side[name].shape) if name in side else None for side in (own, weights)]
        if sides[0] != sides[1]:
            raise InputError(
                f"start={path}: weights of another network, {name} is {sides[1]} there and {sides[0]} here; "
                "choose the model that they were trained with"
            )
    net.load_state_dict(dict(weights))
