"""A new HDF5 file that is whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py

from retseg.errors import InputError, typed_line


@contextmanager
def new_hdf5(path: Path) -> Iterator[Any]:
    """An open `h5py.File` that takes the place of path once it is whole; nothing is left of it otherwise."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with h5py.File(part, "w") as file:
            yield file
        part.replace(path)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else typed_line(error)
        raise InputError(f"{path}: cannot be written ({reason}); choose a folder with room") from error
    finally:
        with suppress(OSError):  # it has its name, or never was; a read-only disk says neither
            part.unlink()
