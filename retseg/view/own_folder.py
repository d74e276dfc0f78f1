"""The viewer's temporary folder: gone when it ends, and where it was killed, when the next viewer of its user starts.

A lock in the folder says that somebody lives there; the system takes it away from a process that ends, however it ends.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from retseg.errors import InputError

PREFIX = "retseg_view_"
LOCK = "lock"
"""Appears in a folder when it is held already: whoever can lock it knows that its process is gone."""


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for dropped files, below $TMPDIR. InputError where none can be made."""
    try:
        _remove_left(Path(tempfile.gettempdir()))
        made = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
    except OSError as error:
        raise _unusable(error) from error
    with made as name:
        try:
            descriptor = _held(Path(name))
        except OSError as error:
            raise _unusable(error) from error
        try:
            yield Path(name)
        finally:
            os.close(descriptor)


def _unusable(error: OSError) -> InputError:
    return InputError(
        f"{os.environ.get('TMPDIR', 'the temporary folder')}: dropped files cannot be kept here "
        f"({error.strerror or error}); set TMPDIR to a folder with room that you may write to"
    )


def _held(folder: Path) -> int:
    """Descriptor of the folder's lock, which is there when it is held, or not at all (a file system without locks)."""
    begun = folder / f"{LOCK}.new"
    descriptor = os.open(begun, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        begun.rename(folder / LOCK)
    return descriptor


def _remove_left(root: Path) -> None:
    """Remove what killed viewers of this user left; what is held, another user's, a link or without a lock stays."""
    for folder in root.glob(f"{PREFIX}*"):
        with suppress(OSError):  # it goes just now, or is not ours to open
            found = folder.lstat()
            if found.st_uid == os.getuid() and stat.S_ISDIR(found.st_mode):
                _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in folder.iterdir():
            if path.name != LOCK:  # the last to go: without it nobody would dare to remove the rest
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        shutil.rmtree(folder)
    finally:
        os.close(descriptor)
