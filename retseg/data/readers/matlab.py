"""MATLAB files, v5 and v7.3: the Duke DME set as it is published, and any other with one array of B-scans.

An array of a v5 file lies in one zlib stream and is read whole: opening reads it once to see which B-scans are there
and lets it go; it is held again while they are read, as `Held` says. H rows, W columns, B B-scans: MATLAB's order.
"""

from pathlib import Path

import numpy as np

from retseg.bscan import Array, Spacing
from retseg.data.readers.choice import Declared, choose_array
from retseg.data.readers.held import Held, Shelf
from retseg.data.readers.levels import VolumeLevels, check_size, level_notices
from retseg.data.readers.options import ReadOptions
from retseg.data.readers.volume import RawBScan, ScanVolume
from retseg.data.sources.duke import DUKE_SPACING, OFFICIAL_SHAPE
from retseg.data.sources.mat import BYTES_PER_VALUE, Variable, check_variable, list_variables, read_variable
from retseg.errors import InputError
from retseg.geometry.volume_map import BScanDistance

DUKE_DISTANCE = BScanDistance(123.0, "data set (Chiu et al. 2015, nominal)")

_KINDS = {"double": "f", "single": "f", "logical": "b"}
_SUPPORTED = "supported are the Duke DME set's Subject_XX.mat, and any array (rows, columns, B-scans)"


def open_matlab(path: Path, options: ReadOptions, shelf: Shelf) -> list[ScanVolume]:
    """The B-scans of a file that are there (all-zero ones are not). InputError where it holds none or is damaged."""
    variables = list_variables(path)
    name = _chosen(path, variables, options.array_key)
    num_axes = len(variables[name].shape)
    shape = check_variable(path, variables, name, num_axes if num_axes in (2, 3) else 3)
    check_size((shape[0], shape[1]), f"{path}: {name} {shape} as (rows, columns, B-scans)")
    num_bscans = shape[2] if num_axes == 3 else 1

    def load() -> Array:
        return read_variable(path, name).reshape(*shape[:2], num_bscans)

    volume = load()
    dtype = volume.dtype
    numbers = tuple(number for number in range(num_bscans) if volume[:, :, number].any())
    del volume
    if not numbers:
        raise InputError(f"{path}: {name} is zero everywhere, expected B-scans; get the file again")
    held = Held(shelf, load, numbers)

    def raw(number: int, is_read: bool) -> Array:
        return held.read(number if is_read else None, lambda array: np.array(array[:, :, number]))

    levels = VolumeLevels(dtype, numbers, lambda number: raw(number, False), path)
    is_duke = _is_duke(variables, shape)
    return [
        ScanVolume(
            name=path.stem,
            path=path,
            format="Duke MATLAB file" if is_duke else "MATLAB file",
            numbers=numbers,
            read=lambda number: RawBScan(levels(raw(number, True), f"{path}, B-scan {number}")),
            num_bscans=num_bscans,
            spacing=DUKE_SPACING if is_duke else Spacing(),
            distance=DUKE_DISTANCE if is_duke else None,
            subject=path.stem if is_duke else None,
            notices=(*_said(name, is_duke), *_absent(num_bscans - len(numbers), num_bscans), *level_notices(dtype)),
        )
    ]


def _said(name: str, is_duke: bool) -> tuple[str, ...]:
    if is_duke:
        return ("white wedges at the edges are the set's own padding and stay as they are",)
    return (f"no file of the Duke set, so no pixel size is known; {name} taken as (rows, columns, B-scans)",)


def _absent(num_zero: int, num_bscans: int) -> tuple[str, ...]:
    return (f"{num_zero} of {num_bscans} B-scans are zero everywhere and left out",) if num_zero else ()


def _chosen(path: Path, variables: dict[str, Variable], key: str | None) -> str:
    """The variable that holds the B-scans. InputError, which says what is supported, where none is told from others."""
    arrays = {
        name: Declared(variable.shape, _KINDS.get(variable.matlab_class, "i"))
        for name, variable in variables.items()
        if variable.matlab_class in BYTES_PER_VALUE
    }
    try:
        return choose_array(arrays, key, path)
    except InputError as error:
        raise InputError(f"{error}; {_SUPPORTED}") from error


def _is_duke(variables: dict[str, Variable], shape: tuple[int, ...]) -> bool:
    """Whether pixels are those of the set: its size of a B-scan, and its graders' surfaces beside them."""
    return shape[:2] == OFFICIAL_SHAPE[:2] and "images" in variables and "manualLayers1" in variables
