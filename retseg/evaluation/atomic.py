"""Files and folders that are either whole or not there: written beside their final name, then renamed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retseg.errors import InputError


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """A temporary path to write to; it takes the final name when the block ends well, and goes if it does not."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part{path.suffix}")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another folder with -o") from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new empty folder to fill; it takes the place of the one at path when the block ends well."""
    partial, old = (path.with_name(f".{path.name}.{os.getpid()}.{ending}") for ending in ("part", "old"))
    try:
        partial.mkdir(parents=True)
        yield partial
        if path.exists():
            path.replace(old)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another folder with -o") from error
    finally:
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)


def remove_partial(folder: Path) -> None:
    """Remove what a killed process left half written below a folder."""
    for path in folder.rglob(".*.part*"):
        if path.is_file():
            path.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder for what is written. InputError where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made a folder ({error.strerror}); choose another with -o") from error
