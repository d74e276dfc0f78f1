"""FAILED: what a run that failed leaves in its folder, the reason in one line; the traceback is beside it."""

import contextlib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from retseg.errors import InputError, one_line
from retseg.evaluation.atomic import replacing_file

FAILED, TRACEBACK = "FAILED", "traceback.txt"
_WRONG_INPUT, _ERROR = "wrong input: exit code 2", f"an error: exit code 1; {TRACEBACK} has where"


@dataclass(frozen=True)
class Failure:
    """Why a run failed, in one line, and whether the user's input was wrong."""

    reason: str
    is_wrong_input: bool

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """The failure that an error is: InputError by its message, any other with its type before it."""
        is_wrong_input = isinstance(error, InputError)
        kind = "" if is_wrong_input else f"{type(error).__name__}: "
        return cls(f"{kind}{one_line(error)}", is_wrong_input)


@contextlib.contextmanager
def failure_kept(run_dir: Path) -> Iterator[None]:
    """Leave FAILED in a run folder when the block fails after the run began; take an older one away when it ends well.

    A run began when its config.yaml is written. One that is stopped by a signal has not failed: it can go on. One that
    was done, and was refused before it went on, is done as before.
    """
    scores = _scores_written(run_dir)
    try:
        yield
    except Exception as error:
        is_as_before = scores is not None and scores == _scores_written(run_dir)
        if (run_dir / "config.yaml").is_file() and not is_as_before:
            leave_failed(run_dir, error)
        raise
    for name in (FAILED, TRACEBACK):
        (run_dir / name).unlink(missing_ok=True)


def _scores_written(run_dir: Path) -> int | None:
    """When a run's metrics.json was written, in ns; it goes when the run goes on, and is written anew at its end."""
    path = run_dir / "metrics.json"
    return path.stat().st_mtime_ns if path.is_file() else None


def leave_failed(run_dir: Path, error: BaseException) -> None:
    """Write FAILED and traceback.txt. Where even that fails (a full disk), the error itself is the news."""
    failure = Failure.of(error)
    lines = f"{failure.reason}\n{_WRONG_INPUT if failure.is_wrong_input else _ERROR}\n"
    with contextlib.suppress(InputError):
        for name, text in ((TRACEBACK, "".join(traceback.format_exception(error))), (FAILED, lines)):
            with replacing_file(run_dir / name) as partial:
                partial.write_text(text, encoding="utf-8")


def read_failure(run_dir: Path) -> Failure | None:
    """Why the run of a folder failed; None where it did not."""
    path = run_dir / FAILED
    if not path.is_file():
        return None
    reason, _, kind = path.read_text(encoding="utf-8").partition("\n")
    return Failure(reason, kind.strip() == _WRONG_INPUT)
