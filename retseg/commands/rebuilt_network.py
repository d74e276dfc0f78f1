"""A network from a safetensors file: its class, one of retseg's own, is built anew and takes the weights."""

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import nn

from retseg.build import make
from retseg.errors import InputError, one_line
from retseg.evaluation.network_outputs import gives_fluid
from retseg.inference.network import ScanNetwork, of_module
from retseg.inference.weights_file import WeightsFile, read_weights
from retseg.training.environment import tensors_sha256
from retseg.training.other_weights import other_weights

OWN_CLASS = re.compile(r"(retseg\.models\.[a-z_]+)\.([A-Z]\w*)")


def open_safetensors(path: Path) -> ScanNetwork:
    """The network of a file that `retseg export` wrote. InputError where it is another, damaged, or refused."""
    found = read_weights(path)
    _check_class(path, found.architecture)
    with torch.device("meta"):  # no memory is taken before the shapes are known to be those of the file
        net: nn.Module = make(OmegaConf.create(dict(found.architecture)), f"{path}: architecture")
    if difference := other_weights(net.state_dict(), found.tensors, with_types=True):
        raise InputError(f"{path}: weights of another architecture, {difference}; export the run again")
    refuse_damaged_weights(path, found)
    net.load_state_dict(dict(found.tensors), assign=True)
    net.eval()
    _check_forward(path, net, len(found.card.class_names))
    if found.card.gives_fluid != gives_fluid(net):
        raise InputError(f"{path}: its card and its network do not agree about fluid; export the run again")
    return of_module(found.card, net)


def refuse_damaged_weights(path: Path, found: WeightsFile) -> None:
    """InputError where the tensors of a file are not those that its card was made for."""
    if (sha256 := tensors_sha256(found.tensors)) != found.card.sha256:
        raise InputError(
            f"{path}: damaged, its weights have sha256 {sha256[:12]}..., its card says {found.card.sha256[:12]}...; "
            "export the run again"
        )


def _check_class(path: Path, architecture: Mapping[str, Any]) -> None:
    """InputError where the architecture is anything but a network class of retseg and plain settings.

    A setting may be another such network, inside of which the same holds.
    """
    target = architecture.get("_target_")
    match = OWN_CLASS.fullmatch(target) if isinstance(target, str) else None
    if match is None:
        raise InputError(f"{path}: names {target!r:.80} as its network; only networks of retseg.models are built")
    module, name = match.groups()
    try:
        found = getattr(import_module(module), name, None)
    except ImportError:
        found = None
    if not (isinstance(found, type) and issubclass(found, nn.Module) and found.__module__ == module):
        raise InputError(f"{path}: names {target}, which this retseg has not; update retseg, or export the run again")
    for key, value in architecture.items():
        if key == "net" and isinstance(value, dict):
            _check_class(path, value)
            continue
        parts = value if isinstance(value, list) else [value]
        is_plain = all(part is None or isinstance(part, bool | int | float | str) for part in parts)
        if key != "_target_" and (key.startswith("_") or not is_plain or "${" in str(value)):
            raise InputError(f"{path}: {key}={value!r:.60} is no plain setting of a network; export the run again")


def _check_forward(path: Path, net: nn.Module, num_classes: int) -> None:
    """InputError where the network does not turn images of one channel into logits of that many classes."""
    try:
        with torch.no_grad():
            shape = tuple(net(torch.zeros(1, 1, 32, 32)).shape)
    except RuntimeError as error:
        raise InputError(f"{path}: cannot see gray images ({one_line(error):.120}); export again") from error
    if shape != (1, num_classes, 32, 32):
        raise InputError(f"{path}: gives {shape[1]} classes, its card names {num_classes}; export the run again")
