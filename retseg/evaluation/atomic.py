"""Files and folders that are either whole or not there: written beside their final name, then renamed."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from retseg.errors import InputError

_LEFTOVER = re.compile(r"\.(?P<name>.+)\.\d+\.(?P<kind>part|old)(\.[^.]*)?")
"""What `replacing_file` and `replacing_folder` call their temporary files and folders: the final name, a process."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class FullDiskError(InputError):
    """No room, no quota left or a read-only disk: the next file will fail as this one did."""


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """A temporary path to write to; it takes the final name when the block ends well, and goes if it does not.

    InputError where it cannot be written, FullDiskError where nothing else can be, either.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part{path.suffix}")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise _cannot_be_written(path, error) from error
    finally:
        with suppress(OSError):  # it has its final name, or never was; a read-only disk says neither
            partial.unlink()


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new empty folder to fill; it takes the place of the one at path when the block ends well.

    A kill between its two renames leaves the older folder under a temporary name: `remove_partial` brings it back.
    """
    partial, old = (path.with_name(f".{path.name}.{os.getpid()}.{ending}") for ending in ("part", "old"))
    try:
        partial.mkdir(parents=True)
        yield partial
        if path.exists():
            path.replace(old)
        partial.replace(path)
    except OSError as error:
        raise _cannot_be_written(path, error) from error
    finally:
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)


def _cannot_be_written(path: Path, error: OSError) -> InputError:
    if error.errno == errno.EROFS:
        return FullDiskError(f"{path}: cannot be written ({error.strerror}); choose another folder with -o")
    if error.errno not in _FULL:
        return InputError(f"{path}: cannot be written ({error.strerror or error}); choose another folder with -o")
    why = f"{error.strerror}, {free_mib(path.parent):.1f} MiB free"
    next_step = "make room and start again, or choose another folder with -o"
    return FullDiskError(f"{path}: cannot be written ({why}); {next_step}")


def free_mib(folder: Path) -> float:
    """Room on the disk of a folder that is there, in MiB."""
    return shutil.disk_usage(folder).free / 2**20


def remove_partial(folder: Path, below: bool = True) -> None:
    """Remove what a killed process left half written in a folder; an older folder that it put aside comes back.

    below: in its folders, too; others may be at work there.
    """
    for path in sorted(folder.rglob(".*") if below else folder.glob(".*")):
        found = _LEFTOVER.fullmatch(path.name)
        if found is None or not path.exists():
            continue
        final = path.with_name(found["name"])
        if path.is_file():
            path.unlink()
        elif found["kind"] == "old" and not final.exists():
            path.replace(final)
        else:
            shutil.rmtree(path, ignore_errors=True)


def check_writable(folder: Path, next_step: str) -> None:
    """InputError, before work is done for it, where nothing can be written into a folder, or where it is to be made.

    What this writes has no name, or goes at once.
    """
    place = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"\0" * 4096)
    except OSError as error:
        kind = FullDiskError if error.errno in _FULL else InputError
        raise kind(f"{folder}: cannot be written ({error.strerror}); {next_step}") from error


def make_folder(folder: Path) -> None:
    """Make a folder for what is written. InputError where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        kind = FullDiskError if error.errno in _FULL else InputError
        first = "make room, or " if error.errno in _FULL - {errno.EROFS} else ""
        raise kind(f"{folder}: cannot be made a folder ({error.strerror}); {first}choose another with -o") from error
