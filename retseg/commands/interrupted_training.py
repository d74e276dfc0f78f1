"""SIGTERM and Ctrl-C outside the steps of a training: reading, scoring, evaluation. Inside: `SaveOnInterrupt`."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retseg.commands.stop_signals import raising_stopped


class Interrupted(SystemExit):
    """A signal came where a run has nothing to save. Its code says which: 130 for Ctrl-C, 143 for SIGTERM."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.name = signal.Signals(number).name
        self.is_told = False


@contextmanager
def interrupts_told(run_dir: Path | None = None) -> Iterator[None]:
    """Inside, the first signal raises Interrupted, with one line on what there is to go on with; the next kills."""
    with raising_stopped(Interrupted):
        try:
            yield
        except Interrupted as stopped:
            if not stopped.is_told:
                sys.stderr.write(f"retseg: {stopped.name}: {_what_is_left(run_dir)}\n")
                stopped.is_told = True
            raise


def _what_is_left(run_dir: Path | None) -> str:
    if run_dir is None or not (run_dir / "checkpoints" / "last.ckpt").is_file():
        return "stopped before the first step, there is nothing to save; start again with the same command"
    return f"stopped; go on with: resume={run_dir} (what was trained is kept, what is missing is made)"
