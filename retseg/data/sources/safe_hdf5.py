"""HDF5 files of strangers: what may be opened, and what points outside the file or claims too much."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from retseg.errors import InputError

MAX_BYTES = 2 * 1024**3
"""Largest array that is read, in bytes: ten times the largest of the official files."""


def one_line(error: BaseException) -> str:
    """What a library said, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def open_hdf5(path: Path) -> Any:
    """An open `h5py.File` for reading. InputError where it is damaged or no HDF5 file."""
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path}: not a whole HDF5 file ({one_line(error)}); copy or make it again") from error


def has_link(file: Any, name: str) -> bool:
    """Whether a name stands at the root of an open file, wherever it points. Nothing is followed, unlike `in`."""
    return bool(file.id.links.exists(name.encode()))


def has_hard_link(file: Any, name: str) -> bool:
    """Whether a name at the root of an open file is an object in the file, no soft or external link."""
    return bool(file.id.links.get_info(name.encode()).type == h5py.h5l.TYPE_HARD)


def checked_dataset(file: Any, name: str, path: Path, max_bytes: int = MAX_BYTES, one_row: bool = False) -> Any:
    """The `h5py.Dataset` called name at the root of an open file, whose values lie in this very file.

    InputError where it is missing, a group, a link (soft or external), virtual, kept in external storage (which
    reads any file of the host), or where what is read at a time is larger than max_bytes: the whole, or with one_row
    one entry of the first axis, and a chunk.
    """
    if not has_link(file, name):
        raise InputError(f"{path}: no array {name!r}, it holds {', '.join(sorted(file)) or 'nothing'}; make it again")
    if not has_hard_link(file, name):
        raise InputError(f"{path}: {name!r} is a link to elsewhere, expected an array in the file itself; refused")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(f"{path}: {name!r} is a group, expected an array; make the file again")
    if dataset.external or dataset.is_virtual:
        raise InputError(f"{path}: the values of {name!r} are in another file, expected them in the file; refused")
    chunk_values = int(np.prod(dataset.chunks, dtype=object)) if dataset.chunks else 0
    num_values = (dataset.size or 0) // (max(dataset.shape[0], 1) if one_row else 1)
    num_bytes = max(num_values, chunk_values) * dataset.dtype.itemsize
    if num_bytes > max_bytes:
        raise InputError(f"{path}: {name!r} declares {num_bytes} bytes, expected at most {max_bytes}; refused")
    return dataset
