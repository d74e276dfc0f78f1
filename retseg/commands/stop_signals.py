"""Ctrl-C and SIGTERM as one exception, so that a command can leave whole files and say what is done."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(KeyboardInterrupt):
    """The user or the system asked to stop. code: the exit code that says so, 130 for Ctrl-C and 143 for SIGTERM."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


@contextmanager
def raising_stopped(stopped: Callable[[int], BaseException] = Stopped) -> Iterator[None]:
    """Inside, the first signal raises `stopped(number)` in the main thread; a second one ends the process at once.

    Processes that are forked inside (workers of a loader) leave signals to this one.
    """
    owner, numbers = os.getpid(), (signal.SIGINT, signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:
            for each in numbers:
                signal.signal(each, signal.SIG_DFL)
            raise stopped(number)

    before = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
