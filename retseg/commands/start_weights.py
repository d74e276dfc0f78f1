"""Training that begins with the weights of another run (pre-training and fine-tuning), or with a run's own."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from retseg.build import load_net
from retseg.commands.rebuilt_network import refuse_damaged_weights
from retseg.errors import InputError
from retseg.inference.shipped import NAMES, shipped_weights
from retseg.inference.weights_file import read_weights
from retseg.training.checkpoint_file import TO_GO_ON, read_checkpoint
from retseg.training.other_weights import other_weights


def load_start(net: nn.Module, path: Path) -> None:
    """Give a network, in place, the weights of a run folder (its best) or of an exported .safetensors file.

    The word zero_shot stands for the weights that come with retseg. InputError where path is none of these, or its
    network is another than this one.
    """
    path = shipped_weights(str(path)) if str(path) in NAMES else path
    if path.is_dir():
        weights: Mapping[str, Tensor] = load_net(path).state_dict()
    elif path.suffix == ".safetensors" and path.is_file():
        found = read_weights(path)
        refuse_damaged_weights(path, found)
        weights = found.tensors
    else:
        raise InputError(f"start={path}: no run folder and no .safetensors file; name weights to begin with, or null")
    if difference := other_weights(net.state_dict(), weights):
        raise InputError(
            f"start={path}: weights of another network, {difference}; choose the model that they were trained with"
        )
    net.load_state_dict(dict(weights))


def refuse_other_checkpoint(module: nn.Module, path: Path, max_epochs: int) -> None:
    """InputError where training cannot go on from a checkpoint: weights of another network, or of more epochs."""
    checkpoint = read_checkpoint(path, TO_GO_ON)
    if (reached := checkpoint["epoch"] + 1) > max_epochs:
        raise InputError(
            f"trainer.max_epochs={max_epochs}: {path} has come to epoch {reached} already; take {reached} or more"
        )
    if difference := other_weights(module.state_dict(), checkpoint["state_dict"]):
        raise InputError(
            f"{path}: weights of another network than the one to go on with, {difference}; leave the model as it was"
        )
