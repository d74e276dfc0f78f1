"""Weights with the network's card and architecture as a safetensors file, written and read: numbers and text alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from retseg.errors import InputError, one_line
from retseg.inference.network import NetworkCard
from retseg.inference.onnx_network import CARD, DIGEST, texts_digest

ARCHITECTURE = "architecture"
"""Name in the metadata: the network's class and its settings, as JSON."""


@dataclass(frozen=True, slots=True, eq=False)
class WeightsFile:
    """What is in a file: the card, class and settings of the network, and its tensors by name."""

    card: NetworkCard
    architecture: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


def save_weights(net: nn.Module, path: Path, texts: Mapping[str, str]) -> None:
    """Write all parameters and buffers, texts as metadata with their hash; the card holds that of the weights."""
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    save_file(tensors, path, metadata={**texts, DIGEST: texts_digest(texts)})


def read_weights(path: Path) -> WeightsFile:
    """What is in a file of `retseg export`. InputError where it is another, or damaged.

    safetensors checks that the header is JSON of at most 100 MB and that the tensors fill the file exactly. Whether
    the tensors have the hash that the card names is left to `refuse_damaged_weights`.
    """
    from safetensors import SafetensorError, safe_open

    _check_header_size(path)
    try:
        with safe_open(path, framework="pt") as file:
            texts = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
    except (SafetensorError, OSError) as error:
        line = one_line(error)
        raise InputError(f"{path}: no safetensors file, or damaged ({line:.120}); export the run again") from error
    if missing := [name for name in (CARD, ARCHITECTURE) if name not in texts]:
        raise InputError(
            f"{path}: no {' and no '.join(missing)} of a retseg network in it; only files of `retseg export` are read"
        )
    if texts.get(DIGEST) != texts_digest(texts):
        raise InputError(f"{path}: damaged, its card has not the sha256 that it names; export the run again")
    card = NetworkCard.from_json(texts[CARD], str(path))
    try:
        architecture = json.loads(texts[ARCHITECTURE])
    except ValueError as error:
        raise InputError(f"{path}: its architecture is no JSON ({error}); export the run again") from error
    if not isinstance(architecture, dict):
        raise InputError(f"{path}: its architecture is a {type(architecture).__name__}; export the run again")
    return WeightsFile(card, architecture, tensors)


def _check_header_size(path: Path) -> None:
    """InputError where a file cannot be read, is empty, or declares a header that it is too small for.

    The first 8 bytes are the header's length (https://github.com/huggingface/safetensors#format).
    """
    try:
        with path.open("rb") as file:
            first, size = file.read(8), path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name a file of `retseg export`") from error
    if not first:
        raise InputError(f"{path}: is empty; export the run again")
    if (declared := int.from_bytes(first, "little")) > size - 8:
        raise InputError(
            f"{path}: no safetensors file, or damaged (declares a header of {declared:,} bytes in {size:,}); "
            "export the run again"
        )
