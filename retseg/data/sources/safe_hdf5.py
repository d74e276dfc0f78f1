"""HDF5 files of strangers: what may be opened, and what points outside the file, claims too much, or runs a plugin."""

import mmap
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from retseg.bscan import Array
from retseg.errors import InputError, typed_line

MAX_BYTES = 2 * 1024**3
"""Largest array that is read, in bytes: ten times the largest of the official files."""

_LZF = 32000
_DEFLATE, _FLETCHER = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_FLETCHER32
_FILTERS = (_DEFLATE, h5py.h5z.FILTER_SHUFFLE, _FLETCHER, _LZF)
"""Numbers of the filters that are undone. For one that h5py does not bring, HDF5 would load a library."""

_HEAP = b"GCOL\x01\0\0\0"
_MOST_LISTED = 20


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """An open `h5py.File` for reading. InputError where it is no HDF5 file, and for whatever h5py raises meanwhile."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except Exception as error:  # h5py raises whatever a damaged byte leads it to
        raise InputError(f"{path}: not a whole HDF5 file ({typed_line(error)}); copy or make it again") from error


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
    filters = _filters(dataset)
    if other := [number for number in filters if number not in _FILTERS]:
        raise InputError(f"{path}: {name!r} is packed by HDF5 filter {other[0]}, expected gzip, lzf or none; repack it")
    if len({*filters}) < len(filters) or {_DEFLATE, _LZF} <= {*filters}:
        raise InputError(f"{path}: {name!r} is packed twice, expected gzip or lzf once; repack it")
    chunk_values = int(np.prod(dataset.chunks, dtype=object)) if dataset.chunks else 0
    num_values = (dataset.size or 0) // (max(dataset.shape[0], 1) if one_row else 1)
    num_bytes = max(num_values, chunk_values) * dataset.dtype.itemsize
    if num_bytes > max_bytes:
        raise InputError(f"{path}: {name!r} declares {num_bytes} bytes, expected at most {max_bytes}; refused")
    return dataset


def checked_values(dataset: Any, path: Path, row: int | None = None) -> Array:
    """All values of a dataset that passed `checked_dataset`, or one entry of its first axis.

    InputError where a chunk that is packed by gzip does not unpack to just its size: HDF5 (2.0) unpacks it to any size
    there is memory for, and takes what is in memory for what is missing.
    """
    if dataset.dtype.hasobject:
        raise InputError(f"{path}: {dataset.name} holds texts or lists, expected numbers; make the file again")
    filters = _filters(dataset)
    if dataset.chunks and _DEFLATE in filters:
        before = filters[: filters.index(_DEFLATE)]
        wanted = int(np.prod(dataset.chunks)) * dataset.dtype.itemsize + 4 * (_FLETCHER in before)
        tail = 4 * (_FLETCHER in filters and _FLETCHER not in before)
        for place in _chunk_places(dataset, row):
            skipped, packed = dataset.id.read_direct_chunk(place)
            is_packed = not skipped >> filters.index(_DEFLATE) & 1
            unpacking = zlib.decompressobj()
            values = unpacking.decompress(packed[: len(packed) - tail], wanted + 1) if is_packed else packed
            if is_packed and (len(values) != wanted or not unpacking.eof):
                raise InputError(f"{path}: {dataset.name} is damaged, a chunk is not of its size; make the file again")
    return np.asarray(dataset[()] if row is None else dataset[row])


def text_attribute(item: Any, name: str, path: Path) -> str:
    """An attribute of an open file or dataset as text, "" where it is not there. InputError where it cannot be read."""
    if name not in item.attrs:
        return ""
    kind = item.attrs.get_id(name).get_type()
    if isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str():
        _check_heaps(path)
    text = item.attrs[name]
    return text.decode(errors="replace") if isinstance(text, bytes) else str(text)


def _check_heaps(path: Path) -> None:
    """InputError where a heap of texts has an entry of no size: HDF5 (2.0) would read that one for ever.

    Layout: HDF5 File Format Specification 3.0, III.E, Global Heap.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.find(_HEAP)
        while at >= 0:
            end = at + int.from_bytes(content[at + 8 : at + 16], "little")
            entry = at + 16
            while entry + 16 <= min(end, len(content)):
                number, _, _, size = struct.unpack_from("<HHIQ", content, entry)
                step = 16 + size + -size % 8 if number else size
                if step < 16 or entry + step > end:
                    raise InputError(f"{path}: not a whole HDF5 file (a heap of texts); copy or make it again")
                entry += step
            at = content.find(_HEAP, at + 8)


def _filters(dataset: Any) -> list[int]:
    packing = dataset.id.get_create_plist()
    return [packing.get_filter(number)[0] for number in range(packing.get_nfilters())]


def _chunk_places(dataset: Any, row: int | None) -> list[tuple[int, ...]]:
    """Where the chunks begin that a read needs, as far as there are any in the file."""
    places: list[tuple[int, ...]] = []
    if row is None:
        dataset.id.chunk_iter(lambda chunk: places.append(chunk.chunk_offset))
        return places
    first = row - row % dataset.chunks[0]
    others = [range(0, size, step) for size, step in zip(dataset.shape[1:], dataset.chunks[1:], strict=True)]
    candidates = [(first, *rest) for rest in product(*others)]
    return [place for place in candidates if dataset.id.get_chunk_info_by_coord(place).size]


def _names(file: Any) -> str:
    names = sorted(file)
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return (", ".join(names[:_MOST_LISTED]) or "nothing") + more
