"""The same few validation scans at every look, so that two looks can be compared."""

from collections.abc import Sequence
from typing import Any

from retseg.errors import InputError


def fixed_scans(dataset: Any, scans: int | Sequence[str], option: str) -> list[dict[str, Any]]:
    """Items of a map-style data set: those so named, in that order, or the middles of `scans` equal parts of it.

    InputError, with the name of the option, for a name that is not in the set.
    """
    if isinstance(scans, int):
        num = min(scans, len(dataset))
        return [dataset[(2 * part + 1) * len(dataset) // (2 * num)] for part in range(num)]
    found = {item["name"]: item for item in (dataset[index] for index in range(len(dataset)))}
    for name in scans:
        if name not in found:
            raise InputError(f"{option}: {name!r} is not in the validation set; expected some of {', '.join(found)}")
    return [found[name] for name in scans]
