"""An index of a folder of our HDF5 files, so that opening ten thousand of them reads one file.

The hidden file INDEX, HDF5 itself, holds the tables of all files one after the other, and each file's size and time of
change; a file that differs in either is opened. Bytes of an entry: 60 a B-scan and some 300 a file.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from retseg.anatomy import CLASS_NAMES, SURFACE_NAMES
from retseg.data.sources.hdf5_subject import (
    FORMAT_VERSION,
    LISTS,
    SCAN_DTYPE,
    TEXTS,
    SubjectTable,
    read_subject,
    subject_table,
    values,
)
from retseg.data.sources.new_hdf5 import new_hdf5
from retseg.data.sources.safe_hdf5 import checked_dataset, open_hdf5
from retseg.errors import InputError

INDEX = ".retseg_index"

_HEAD = {
    "format": "retseg index",
    "format_version": FORMAT_VERSION,
    "surface_names": list(SURFACE_NAMES),
    "class_names": list(CLASS_NAMES),
}


def read_folder(folder: Path) -> tuple[list[SubjectTable], tuple[str, ...]]:
    """The tables of all files of a folder by name, from the index where it knows them; and what is wrong with that.

    InputError where a file that it does not know is damaged or no file of ours.
    """
    paths = sorted(folder.glob("*.h5"))
    known: dict[str, SubjectTable] = {}
    told: tuple[str, ...] = ()
    try:
        known = _read_index(folder / INDEX, paths)
    except InputError as error:
        told = (f"{error}; the files were opened one by one (`retseg data index {folder}` writes a new index)",)
    return [known.get(path.name) or read_subject(path) for path in paths], told


def write_index(folder: Path) -> int:
    """Write the index of a folder, and give the number of its files; those of others are left out.

    InputError where there is none of ours, or the index cannot be written.
    """
    stamps, tables = [], []
    for path in sorted(folder.glob("*.h5")):
        stamp = _stamp(path)
        with suppress(InputError):  # who opens the folder is told
            tables.append(read_subject(path))
            stamps.append(stamp)
    if not tables:
        raise InputError(f"{folder}: no file of `retseg data convert` here; name the folder that holds them")
    files = [
        {field: getattr(table, field) for field in TEXTS + LISTS}
        | {"name": table.path.name, "stamp": stamp, "num_rows": len(table.rows)}
        for table, stamp in zip(tables, stamps, strict=True)
    ]
    text = json.dumps(_HEAD | {"files": files}).encode()
    with new_hdf5(folder / INDEX) as file:
        file.create_dataset("scans", data=np.concatenate([table.rows for table in tables]), fletcher32=True)
        file.create_dataset("files", data=np.frombuffer(text, np.uint8), fletcher32=True)
    return len(files)


def _stamp(path: Path) -> list[int]:
    """What a file cannot be changed without: its size in bytes, the time of its last change in ns."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _read_index(index: Path, paths: Sequence[Path]) -> dict[str, SubjectTable]:
    """Tables of those files that are as they were. InputError where the index is damaged; {} where there is none."""
    if not index.exists():
        return {}
    with open_hdf5(index) as file:
        rows = values(checked_dataset(file, "scans", index), None, index)
        text = values(checked_dataset(file, "files", index), None, index)
    try:
        content = json.loads(text.tobytes())
        if rows.dtype != SCAN_DTYPE or {name: content[name] for name in _HEAD} != _HEAD:
            raise InputError(f"{index}: an index of another retseg")
        stamps = {path.name: _stamp(path) for path in paths}
        return _tables(content["files"], rows, stamps, index.parent)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise error if isinstance(error, InputError) else InputError(f"{index}: not a whole index") from error


def _tables(
    files: list[dict[str, Any]], rows: Any, stamps: dict[str, list[int]], folder: Path
) -> dict[str, SubjectTable]:
    found, start = {}, 0
    for entry in files:
        name, stop = entry["name"], start + entry["num_rows"]
        if stamps.get(name) == entry["stamp"]:
            found[name] = subject_table(folder / name, entry, rows[start:stop])
            found[name].check()
        start = stop
    return found
