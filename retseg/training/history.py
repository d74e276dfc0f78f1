"""metrics.csv: one row an epoch, training and validation side by side (Lightning writes a row for each of them)."""

import csv
import warnings
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from retseg.errors import InputError
from retseg.evaluation.atomic import replacing_file
from retseg.training.undrawn import Undrawn


class HistoryLogger(Logger):
    """Writes `<folder>/metrics.csv`, a row an epoch, sorted by epoch; a resumed run goes on in the same file.

    Columns: epoch, step, then every logged name. A value that an epoch did not log is empty. Where the file cannot be
    written, the older one stays, a warning says so, and the next epoch tries again with all rows.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self._rows: dict[int, dict[str, Any]] = {}
        self._told: int | None = None
        if self.path.exists():
            self._rows = {int(row["epoch"]): dict(row) for row in read_history(self.path)}

    @property
    def name(self) -> str:
        """For Lightning's paths."""
        return "history"

    @property
    def version(self) -> str:
        """For Lightning's paths."""
        return ""

    @property
    @rank_zero_experiment
    def experiment(self) -> "HistoryLogger":
        """This logger."""
        return self

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add values to the row of their epoch and rewrite the file."""
        if "epoch" not in metrics:
            return
        epoch = int(metrics["epoch"])
        row = self._rows.setdefault(epoch, {"epoch": epoch})
        row.update({name: value for name, value in metrics.items() if name != "epoch"}, step=step)
        try:
            self._write()
        except (OSError, InputError) as error:
            if self._told != epoch:
                _warn(f"metrics.csv: epoch {epoch} not written ({_reason(error)}); training goes on, and tries again")
            self._told = epoch

    @property
    def undrawn(self) -> Undrawn:
        """What is missing in the file after a last attempt, for the run's end."""
        found = Undrawn()
        if self._told is not None:
            try:
                self._write()
                self._told = None
            except (OSError, InputError) as error:
                found.lines.append(f"metrics.csv: not whole ({_reason(error)})")
        return found

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run folder holds config.yaml."""

    def _write(self) -> None:
        names = sorted({name for row in self._rows.values() for name in row} - {"epoch", "step"})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing_file(self.path) as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["epoch", "step", *names])
            writer.writeheader()
            writer.writerows(self._rows[epoch] for epoch in sorted(self._rows))


def _reason(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    return getattr(cause, "strerror", None) or " ".join(str(cause).split())


def _warn(text: str) -> None:
    """A warning in one line: where in this file it arose helps nobody."""
    warnings.warn_explicit(text, UserWarning, filename="retseg", lineno=0)


def read_history(path: Path) -> list[dict[str, str]]:
    """Rows of a metrics.csv, values as text, empty where an epoch did not log."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
