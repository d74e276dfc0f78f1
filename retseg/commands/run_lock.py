"""One command at a time in a folder: a lock that the system takes away from a process that ends, however it ends.

What is promised: while a process trains in a run folder, or predicts into a folder, no other one on this machine does
the same there, and none is kept out by a process that is gone, killed ones included. The lock is one of POSIX (fcntl),
which NFS carries between machines where its lock service runs; where a file system has no locks at all, a warning says
so and nothing is promised.
"""

import errno
import fcntl
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from retseg.errors import InputError

LOCK = "run.lock"
"""In a run folder while it trains: process, machine and time. What a kill leaves of it keeps nobody out."""


@dataclass(frozen=True)
class Work:
    """What a folder is held for: name of the lock, who holds it, what that does there, the option of the folder."""

    lock: str
    who: str
    does: str
    option: str


TRAINING = Work(LOCK, "a run", "trains", "hydra.run.dir")
PREDICTION = Work("predict.lock", "retseg predict", "predicts", "-o")
_HELD = {errno.EACCES, errno.EAGAIN}
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


def run_locked(run_dir: Path) -> AbstractContextManager[None]:
    """Hold a run folder while it trains, see `folder_locked`."""
    return folder_locked(run_dir, TRAINING)


@contextmanager
def folder_locked(folder: Path, work: Work) -> Iterator[None]:
    """Hold a folder, made if need be. InputError at once where another process does, or where it is read-only."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _taken(folder / work.lock, work)
    except OSError as error:
        raise InputError(
            f"{folder}: {work.who} cannot write here ({error.strerror}); choose another folder with {work.option}"
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # it went, or the disk has become read-only: what is left of a lock keeps nobody out
            (folder / work.lock).unlink()
        os.close(descriptor)


def _taken(path: Path, work: Work) -> int:
    """Descriptor of the locked file; it holds the lock until it is closed or the process ends."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _lock(path, descriptor, work)
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


def _lock(path: Path, descriptor: int, work: Work) -> None:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            holder = os.read(descriptor, 200).decode("utf-8", "replace").strip() or "another process"
            raise InputError(
                f"{path.parent}: {holder} {work.does} here; wait until it ends, or choose another {work.option}"
            ) from error
        if error.errno not in _NO_LOCKS:
            raise
        text = f"{path}: no locks on this file system ({error.strerror}); see yourself that no second one comes here"
        warnings.warn_explicit(text, UserWarning, filename="retseg", lineno=0)


def _is_still_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
