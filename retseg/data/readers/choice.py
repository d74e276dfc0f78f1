"""Which array of a file with several holds the B-scans, and how its axes are read. N B-scans, H rows, W columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from retseg.data.readers.levels import check_size
from retseg.errors import InputError

IMAGE_NAMES = ("images", "image")
"""Arrays of these names hold pixels."""

LABEL_NAMES = ("mask", "masks", "surface_rows", "fluid", "fluids", "labels")
"""Arrays of these names hold labels: they are never taken for a scan unless asked for."""

AXES_NOTICE = "axes taken as (B-scans, rows, columns)"


@dataclass(frozen=True, slots=True)
class Declared:
    """What a file declares of an array before its values are read; kind as in numpy, e.g. "u"."""

    shape: tuple[int, ...]
    kind: str


def choose_array(arrays: Mapping[str, Declared], key: str | None, path: Path) -> str:
    """The name of the array that holds the B-scans: the user's key, `images`, `image`, or the only one that can be.

    InputError, which lists the arrays, where the key is not there or several are left.
    """
    listed = ", ".join(f"{name} {declared.shape}" for name, declared in sorted(arrays.items())) or "none"
    if key is not None:
        if key not in arrays:
            raise InputError(f"{path}: no array {key!r}; it holds {listed}")
        return key
    possible = [name for name, declared in arrays.items() if _can_be_scans(declared) and _leaf(name) not in LABEL_NAMES]
    for name in IMAGE_NAMES:
        if name in possible:
            return name
    if len(possible) != 1:
        what = "several arrays that may be scans" if possible else "no array of numbers (rows, columns) or with B-scans"
        raise InputError(f"{path}: {what}; it holds {listed}: name one with --key")
    return possible[0]


def check_axes(declared: Declared, name: str, path: Path) -> int:
    """Number of B-scans in an array (H, W) or (N, H, W) of real numbers. InputError for any other, and another size."""
    place = f"{path}: {name}" if name else str(path)
    if declared.kind not in "iuf":
        raise InputError(f"{place} is of type kind {declared.kind!r}, expected gray levels (whole or real numbers)")
    if len(declared.shape) not in (2, 3) or 0 in declared.shape:
        raise InputError(
            f"{place} has the shape {declared.shape}, expected (rows, columns) or (B-scans, rows, columns)"
        )
    rows, columns = declared.shape[-2:]
    check_size((rows, columns), f"{place} {declared.shape} as (B-scans, rows, columns)")
    return declared.shape[0] if len(declared.shape) == 3 else 1


def _can_be_scans(declared: Declared) -> bool:
    return declared.kind in "iuf" and len(declared.shape) in (2, 3) and 0 not in declared.shape


def _leaf(name: str) -> str:
    return name.rpartition("/")[2].lower()
