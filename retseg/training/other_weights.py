"""Whether weights fit a network, said in names and shapes."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

SHOWN = 3


def other_weights(expected: Mapping[str, Tensor], found: Mapping[str, Any], *, with_types: bool = False) -> str | None:
    """What differs between a network's tensors and those of a file: a count and the first three; None: nothing does.

    with_types: number types differ, too; without, they are converted when the weights are taken.
    """
    names = [
        name for name in {**expected, **found} if _words(expected, name, with_types) != _words(found, name, with_types)
    ]
    if not names:
        return None
    shown = "; ".join(
        f"{name}: expected {_words(expected, name, with_types)}, found {_words(found, name, with_types)}"
        for name in names[:SHOWN]
    )
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} of {len({*expected, *found})} tensors differ, {shown}{more}"


def _words(tensors: Mapping[str, Any], name: str, with_types: bool) -> str:
    tensor = tensors.get(name)
    if tensor is None:
        return "none"
    return f"{tuple(tensor.shape)} {tensor.dtype}" if with_types else f"{tuple(tensor.shape)}"
