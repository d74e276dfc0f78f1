"""One training at a time in a run folder: a lock that the system takes away from a process that ends, however it ends.

What is promised: while a process trains in a folder, no other one on this machine starts there, and none is kept out
by a process that is gone, killed ones included. The lock is one of POSIX (fcntl), which NFS carries between machines
where its lock service runs; where a file system has no locks at all, a warning says so and nothing is promised.
"""

import errno
import fcntl
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from retseg.errors import InputError

LOCK = "run.lock"
"""In a run folder while it trains: process, machine and time. What a kill leaves of it keeps nobody out."""
_HELD = {errno.EACCES, errno.EAGAIN}
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


@contextmanager
def run_locked(run_dir: Path) -> Iterator[None]:
    """Hold a run folder, made if need be. InputError at once where another process does, or where it is read-only."""
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        descriptor = _taken(run_dir / LOCK)
    except OSError as error:
        raise InputError(
            f"{run_dir}: a run cannot write here ({error.strerror}); choose another folder with hydra.run.dir=FOLDER"
        ) from error
    try:
        yield
    finally:
        (run_dir / LOCK).unlink(missing_ok=True)
        os.close(descriptor)


def _taken(path: Path) -> int:
    """Descriptor of the locked file; it holds the lock until it is closed or the process ends."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _lock(path, descriptor)
            if not _is_still_there(path, descriptor):  # its holder ended and removed it, just now
                os.close(descriptor)
                continue
            words = f"process {os.getpid()} on {socket.gethostname()} since {datetime.now():%Y-%m-%d %H:%M:%S}\n"
            os.ftruncate(descriptor, 0)
            os.write(descriptor, words.encode())
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def _lock(path: Path, descriptor: int) -> None:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            holder = os.read(descriptor, 200).decode("utf-8", "replace").strip() or "another process"
            raise InputError(
                f"{path.parent}: {holder} trains here; wait until it ends, or choose another hydra.run.dir"
            ) from error
        if error.errno not in _NO_LOCKS:
            raise
        text = f"{path}: no locks on this file system ({error.strerror}); see yourself that no second run comes here"
        warnings.warn_explicit(text, UserWarning, filename="retseg", lineno=0)


def _is_still_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
