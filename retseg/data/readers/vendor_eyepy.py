"""eyepy (github.com/MedVisBonn/eyepy) and pydicom kept within bounds: an error is one line, a warning a notice."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from retseg.errors import InputError, typed_line

_LOGGERS = ("eyepy", "pydicom")
_LONGEST_LINE = 300
_LOCK = threading.Lock()


@dataclass(slots=True)
class Said:
    """What a library warned of, one line each, each once."""

    lines: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Note a line."""
        line = " ".join(text.split())[:_LONGEST_LINE]
        if line and line not in self.lines:
            self.lines.append(line)


def module_of_eyepy(name: str) -> Any:
    """The module `eyepy.name`, imported now: it takes seconds, and is an extra. It has no types."""
    return import_module(f"eyepy.{name}")


class _Listener(logging.Handler):
    def __init__(self, said: Said) -> None:
        super().__init__(logging.WARNING)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.add(record.getMessage())


@contextmanager
def heard(path: Path, what: str) -> Iterator[Said]:
    """Whatever is raised inside becomes an InputError on one line; warnings and logs are kept, none is shown.

    what: of the file, e.g. "Heidelberg .vol file". One thread at a time: the filters of warnings are the process's.
    """
    said = Said()
    listener = _Listener(said)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    with _LOCK, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = [(logger, logger.propagate) for logger in loggers]
        for logger in loggers:
            logger.addHandler(listener)
            logger.propagate = False
        try:
            yield said
        except InputError:
            raise
        except ImportError as error:
            cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
            library = str(cause.name).partition(".")[0]
            raise InputError(
                f"{path}: a {what} needs {library}, which is not installed; pip install 'retseg[vendor]'"
            ) from error
        except Exception as error:  # damaged files make the parsers below raise anything
            raise InputError(f"{path}: damaged {what} ({typed_line(error)}); export it again") from error
        finally:
            for logger, propagate in before:
                logger.removeHandler(listener)
                logger.propagate = propagate
            for warning in caught:
                said.add(str(warning.message))
