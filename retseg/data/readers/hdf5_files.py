"""HDF5 files: those of `retseg data convert`, and any other with one array of B-scans. Links out of them are refused.

A file is open for the length of a read (under a millisecond to open), B-scan by B-scan. N B-scans, H rows, W columns.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from retseg.bscan import Array, Spacing
from retseg.data.readers.arrays import ArrayFile
from retseg.data.readers.choice import Declared, choose_array
from retseg.data.readers.held import Shelf
from retseg.data.readers.levels import VolumeLevels, check_size
from retseg.data.readers.matlab import DUKE_DISTANCE
from retseg.data.readers.options import ReadOptions
from retseg.data.readers.volume import RawBScan, ScanVolume
from retseg.data.sources.duke import OFFICIAL_SHAPE, DukeSource
from retseg.data.sources.hdf5_subject import FORMAT, read_arrays, read_subject
from retseg.data.sources.safe_hdf5 import checked_dataset, checked_values, has_hard_link, open_hdf5, text_attribute
from retseg.errors import InputError, typed_line

_MOST_OBJECTS = 10_000
"""Arrays and groups that are looked at: a small file can hold a loop of groups."""


def open_hdf5_file(path: Path, options: ReadOptions, shelf: Shelf) -> list[ScanVolume]:
    """The B-scans of a file. InputError where it is damaged, holds none, or several arrays that may be scans."""
    with open_hdf5(path) as file:
        is_converted = FORMAT in text_attribute(file, "about", path)
        if not is_converted or options.array_key is not None:
            return [_any_file(file, path, options)]
    return [_converted(path)]


def _converted(path: Path) -> ScanVolume:
    """A subject of `retseg data convert`, each B-scan once whoever annotated it. Opening reads the table alone."""
    table = read_subject(path)
    rows = {key.bscan: row for key, row in sorted(zip(table.keys, range(len(table.rows)), strict=True), reverse=True)}
    numbers = tuple(sorted(rows))
    with open_hdf5(path) as file:
        check_size(checked_dataset(file, "images", path, one_row=True).shape[1:], path)
    spacings = {table.spacing(row) for row in range(len(table.rows))}
    eyes = {table.eye(row) for row in range(len(table.rows))}
    is_duke = table.source_name == DukeSource.name
    num_bscans = max(numbers[-1] + 1, OFFICIAL_SHAPE[2] if is_duke else 0)
    unequal = ("the pixel size differs among its B-scans and is taken as unknown",) if len(spacings) > 1 else ()
    left_out = f"{num_bscans - len(numbers)} B-scans are not in the file (only annotated ones are converted)"

    def read(number: int) -> RawBScan:
        image = read_arrays(table, rows[number], ("images",))["images"]
        as_it_is = VolumeLevels(np.dtype(np.uint8), (number,), lambda _: image, path)
        return RawBScan(as_it_is(image, f"{path}, B-scan {number}"))

    return ScanVolume(
        name=path.stem,
        path=path,
        format="HDF5 file of retseg data convert",
        numbers=numbers,
        read=read,
        num_bscans=num_bscans,
        spacing=spacings.pop() if len(spacings) == 1 else Spacing(),
        distance=DUKE_DISTANCE if is_duke else None,
        eye=eyes.pop() if len(eyes) == 1 else None,
        subject=table.subject,
        notices=(*unequal, *((left_out,) if len(numbers) < num_bscans else ())),
    )


def _any_file(file: Any, path: Path, options: ReadOptions) -> ScanVolume:
    """One array (H, W) or (N, H, W) of anybody's file."""
    arrays: dict[str, Declared] = {}
    _list_arrays(file, "", arrays, {h5py.h5o.get_info(file.id).addr})
    key = options.array_key
    if key is not None and key not in arrays and "/" not in key:
        checked_dataset(file, key, path)  # says why: a link, a group, or not there
    name = choose_array(arrays, key, path)
    dataset = _dataset(file, name, path)
    is_volume = dataset.ndim == 3

    def raw(number: int, is_read: bool) -> Array:
        with open_hdf5(path) as opened:
            found = _dataset(opened, name, path)
            try:
                return checked_values(found, path, number if is_volume else None)
            except InputError:
                raise
            except Exception as error:  # h5py raises whatever a damaged byte leads it to
                raise InputError(f"{path}: {name} is damaged ({typed_line(error)}); make the file again") from error

    return ArrayFile(path, "HDF5 file", arrays[name], dataset.dtype, raw).volume(name)


def _list_arrays(group: Any, prefix: str, arrays: dict[str, Declared], seen: set[int]) -> None:
    """Add the arrays of a group and of those in it by name; links are not followed, no object is met twice."""
    for name in group:
        if len(seen) >= _MOST_OBJECTS or not has_hard_link(group, name):
            continue
        item = group[name]
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            continue
        seen.add(address)
        if isinstance(item, h5py.Group):
            _list_arrays(item, f"{prefix}{name}/", arrays, seen)
        elif isinstance(item, h5py.Dataset) and item.shape is not None:
            arrays[f"{prefix}{name}"] = Declared(tuple(item.shape), item.dtype.kind)


def _dataset(file: Any, name: str, path: Path) -> Any:
    """The array of a name that `_list_arrays` gave. InputError where its values are elsewhere, or too large."""
    *groups, leaf = name.split("/")
    for group in groups:
        file = file[group]
    is_volume = has_hard_link(file, leaf) and len(file[leaf].shape) == 3
    return checked_dataset(file, leaf, path, one_row=is_volume)
