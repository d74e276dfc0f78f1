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


def checked_dataset(file: Any, name: str, path: Path, max_bytes: int = MAX_BYTES) -> Any:
    """The `h5py.Dataset` called name at the root of an open file, whose values lie in this very file.

    InputError where it is missing, a group, a link (soft or external), virtual, kept in external storage (which
    reads any file of the host), or larger than max_bytes, as a whole or in one chunk.
    """
    link = file.get(name, getlink=True)
    if link is None:
        raise InputError(f"{path}: no array {name!r}, it holds {', '.join(sorted(file)) or 'nothing'}; make it again")
    if not isinstance(link, h5py.HardLink):
        raise InputError(f"{path}: {name!r} is a {type(link).__name__}, expected an array in the file itself; refused")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(f"{path}: {name!r} is a group, expected an array; make the file again")
    if dataset.external or dataset.is_virtual:
        raise InputError(f"{path}: the values of {name!r} are in another file, expected them in the file; refused")
    chunk_values = int(np.prod(dataset.chunks, dtype=object)) if dataset.chunks else 0
    num_bytes = max(dataset.size or 0, chunk_values) * dataset.dtype.itemsize
    if num_bytes > max_bytes:
        raise InputError(f"{path}: {name!r} declares {num_bytes} bytes, expected at most {max_bytes}; refused")
    return dataset
