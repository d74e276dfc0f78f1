"""HDF5 files of strangers: what may be opened, and what points outside the file, claims too much, or runs a plugin."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from retseg.errors import InputError

MAX_BYTES = 2 * 1024**3
"""Largest array that is read, in bytes: ten times the largest of the official files."""

_LZF = 32000
_OWN_FILTERS = (
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_SZIP,
    h5py.h5z.FILTER_NBIT,
    h5py.h5z.FILTER_SCALEOFFSET,
    _LZF,
)
"""Numbers of the filters that come with h5py. For any other, HDF5 looks for a library to load on this machine."""

_MOST_LISTED = 20


def one_line(error: BaseException) -> str:
    """What a library said, on one line, and not at any length: it may repeat what a file holds."""
    return f"{type(error).__name__}: {' '.join(str(error).split()):.200}"


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """An open `h5py.File` for reading. InputError where it is no HDF5 file, and for whatever h5py raises meanwhile."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except Exception as error:  # h5py raises whatever a damaged byte leads it to
        raise InputError(f"{path}: not a whole HDF5 file ({one_line(error)}); copy or make it again") from error


def has_link(file: Any, name: str) -> bool:
    """Whether a name stands at the root of an open file, wherever it points. Nothing is followed, unlike `in`."""
    return bool(file.id.links.exists(name.encode()))


def has_hard_link(file: Any, name: str) -> bool:
    """Whether a name at the root of an open file is an object in the file, no soft or external link."""
    return bool(file.id.links.get_info(name.encode(errors="surrogateescape")).type == h5py.h5l.TYPE_HARD)


def checked_dataset(file: Any, name: str, path: Path, max_bytes: int = MAX_BYTES, one_row: bool = False) -> Any:
    """The `h5py.Dataset` called name at the root of an open file, whose values lie in this very file.

    InputError where it is missing, a group, a link (soft or external), virtual, kept in external storage (which
    reads any file of the host), packed by a filter that h5py does not bring (HDF5 would load a library for it), or
    where what is read at a time is larger than max_bytes: the whole, or with one_row one entry of the first axis, and
    a chunk.
    """
    if not has_link(file, name):
        raise InputError(f"{path}: no array {name!r}, it holds {_names(file)}; make it again")
    if not has_hard_link(file, name):
        raise InputError(f"{path}: {name!r} is a link to elsewhere, expected an array in the file itself; refused")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(f"{path}: {name!r} is a group, expected an array; make the file again")
    if dataset.external or dataset.is_virtual:
        raise InputError(f"{path}: the values of {name!r} are in another file, expected them in the file; refused")
    packing = dataset.id.get_create_plist()
    filters = [packing.get_filter(number)[0] for number in range(packing.get_nfilters())]
    if other := [number for number in filters if number not in _OWN_FILTERS]:
        raise InputError(f"{path}: {name!r} is packed by HDF5 filter {other[0]}, expected gzip, lzf or none; repack it")
    chunk_values = int(np.prod(dataset.chunks, dtype=object)) if dataset.chunks else 0
    num_values = (dataset.size or 0) // (max(dataset.shape[0], 1) if one_row else 1)
    num_bytes = max(num_values, chunk_values) * dataset.dtype.itemsize
    if num_bytes > max_bytes:
        raise InputError(f"{path}: {name!r} declares {num_bytes} bytes, expected at most {max_bytes}; refused")
    return dataset


def _names(file: Any) -> str:
    names = sorted(file)
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return (", ".join(names[:_MOST_LISTED]) or "nothing") + more
