"""What a multirun leaves: one row a job in summary.csv, and the same as a table on the screen."""

import csv
import json
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

SCORES = ("dice_macro_layers", "iou_macro_layers", "dice_micro_soft", "accuracy", "loss")


class SweepSummary(Callback):
    """Collects the jobs of a multirun as they end; writes <sweep folder>/summary.csv when all have."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._folder: Path | None = None

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Add a row for a job: its overrides, folder, split stamp and validation scores, or "failed".

        A run of its own, outside a sweep, adds none.
        """
        assert job_return.hydra_cfg is not None
        if job_return.hydra_cfg.hydra.mode is not RunMode.MULTIRUN:
            return
        run_dir = Path(job_return.hydra_cfg.hydra.runtime.output_dir)
        self._folder = run_dir.parent
        overrides = dict(str(item).split("=", 1) for item in job_return.overrides or [])
        row: dict[str, Any] = {"job": run_dir.name, **overrides}
        if job_return.status != JobStatus.COMPLETED:
            self._rows.append(row | {"split": "failed"})
            return
        metrics = json.loads((run_dir / "metrics.json").read_text())
        scores = {f"val/{name}": metrics["val"]["scores"][name] for name in SCORES}
        self._rows.append(row | {"split": metrics["split"]["stamp"], "epoch": metrics["checkpoint"]["epoch"]} | scores)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write and print the table."""
        if self._folder is None:
            return
        names = list(dict.fromkeys(name for row in self._rows for name in row))
        path = self._folder / "summary.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self._rows)
        _print(self._rows, names, path)


def _print(rows: list[dict[str, Any]], names: list[str], path: Path) -> None:
    """The jobs as a table: what differs between them, and their scores; what is the same for all stands in the CSV."""
    from rich.table import Table

    from retseg.commands.evaluation_report import report_console

    table = Table(title=f"{len(rows)} jobs, validation scores at the best epoch of each ({path})", title_justify="left")
    told = [name for name in names if len(rows) == 1 or len({str(row.get(name, "")) for row in rows}) > 1]
    for name in told:
        table.add_column(name, overflow="fold")
    for row in rows:
        cells = (row.get(name, "") for name in told)
        table.add_row(*(f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in cells))
    console = report_console()
    console.print(table)
    if len(stamps := {row["split"] for row in rows}) == 1:
        console.print(f"all: {stamps.pop()}")
