"""A figure that fails ends no training: it is told in one warning, and again at the run's end."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from lightning import Trainer

from retseg.errors import one_line


class Undrawn:
    """What a run could not draw; `lines` says what and why."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @contextmanager
    def drawing(self, what: str) -> Iterator[None]:
        """A block that draws: an error of any kind becomes a warning and a line, and the run goes on."""
        try:
            yield
        except Exception as error:  # of any kind: pixels, fonts, memory, a full disk; none is worth a training
            line = f"{what}: not drawn ({type(error).__name__}: {one_line(error):.300})"
            self.lines.append(line)
            warnings.warn_explicit(f"{line}; training goes on", UserWarning, filename="retseg", lineno=0)


def undrawn_lines(trainer: Trainer) -> list[str]:
    """What all callbacks of a trainer could not draw, and what its loggers could not write."""
    parts = [*trainer.callbacks, *trainer.loggers]  # type: ignore[attr-defined]  # Lightning sets it undeclared
    found = [part.undrawn for part in parts if isinstance(getattr(part, "undrawn", None), Undrawn)]
    return [line for undrawn in found for line in undrawn.lines]
