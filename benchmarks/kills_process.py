"""A command in a process that is killed at a chosen moment: after a time, or at one of its own writes.

The process is forked from one in which retseg is imported already: while it is imported, nothing is written.
"""

import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

COUNT = "writes "
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Moment:
    """When to kill: seconds after the start, or delay_s after the process is about to do its write number `write`.

    A write is a file opened for writing, a folder made, or a file or folder renamed or removed, below the output
    folder; delay_s = 0 is before it has happened. file: count only writes to it, whatever it is called before it has
    its name, e.g. "rename last.ckpt".
    """

    seconds: float | None = None
    write: int | None = None
    delay_s: float = 0.0
    file: str = ""

    def __str__(self) -> str:
        if self.write is None:
            return "never" if self.seconds is None else f"after {self.seconds:.2f} s"
        return f"at write {self.write}" + (f" + {1000 * self.delay_s:.1f} ms" if self.delay_s else "")


@dataclass(frozen=True)
class Ended:
    """How a process ended. code: its exit code, negative for a signal. writes: how many it did, if it was not killed.

    last: the write that it was killed at, in words.
    """

    code: int
    seconds: float
    writes: int
    last: str
    output: str


def run(task: Callable[[], None], arguments: list[str], folder: Path, log: Path, moment: Moment | None = None) -> Ended:
    """Run a command's main with arguments, in a forked process, and kill it at a moment; folder: what it writes to."""
    moment = moment or Moment()
    reading, writing = os.pipe()
    start = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _child(task, arguments, folder, log, moment, writing)
    os.close(writing)
    said = _kill_at(pid, moment, reading)
    _, status = os.waitpid(pid, 0)
    while part := os.read(reading, 10_000):
        said += part
    os.close(reading)
    lines = said.decode().splitlines()
    writes = next((int(line.removeprefix(COUNT)) for line in lines if line.startswith(COUNT)), 0)
    last = next((line for line in lines if not line.startswith(COUNT)), "")
    seconds = time.monotonic() - start
    return Ended(os.waitstatus_to_exitcode(status), seconds, writes, last, log.read_text(errors="replace"))


def _kill_at(pid: int, moment: Moment, reading: int) -> bytes:
    """Wait for the moment and kill; what the process said by then. It is waited for later: its number is its own."""
    if moment.seconds is not None:
        ready, _, _ = select.select([reading], [], [], moment.seconds)
        if not ready:
            os.kill(pid, signal.SIGKILL)
        return b""
    if moment.write is None:
        return b""
    said = os.read(reading, 10_000)
    if said and not said.startswith(COUNT.encode()):
        time.sleep(moment.delay_s)
        os.kill(pid, signal.SIGKILL)
    return said


def _child(
    task: Callable[[], None], arguments: list[str], folder: Path, log: Path, moment: Moment, writing: int
) -> NoReturn:
    code = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(output, number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        os.chdir(log.parent)
        sys.argv = arguments
        watch = _Watch(str(folder), moment, writing)
        sys.addaudithook(watch)
        task()
        code = 0
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(writing, f"{COUNT}{watch.count}\n".encode())
        os._exit(code)


class _Watch:
    """An audit hook that counts writes below a folder, and at one of them has the process killed."""

    def __init__(self, folder: str, moment: Moment, writing: int) -> None:
        self.folder, self.moment, self.writing = folder, moment, writing
        self.count = 0

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            if not isinstance(args[2], int) or not args[2] & WRITES:
                return
        elif event not in ("os.rename", "os.remove", "os.mkdir", "os.rmdir"):
            return
        if not isinstance(args[0], str | os.PathLike) or not os.fspath(args[0]).startswith(self.folder):
            return
        name = os.path.relpath(os.fspath(args[0]), self.folder)
        kind, _, file = self.moment.file.partition(" ")
        if kind not in event or file not in name:
            return
        self.count += 1
        if self.count != self.moment.write:
            return
        os.write(self.writing, f"{event} {name}\n".encode())
        if not self.moment.delay_s:
            os.kill(os.getpid(), signal.SIGKILL)
