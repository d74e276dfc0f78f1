"""What a sweep's folder holds: its jobs, their settings, and whether each is done, failed, refused or cut off."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from retseg.commands.failed_run import read_failure
from retseg.evaluation.json_files import read_object

SCORES = ("dice_macro_layers", "iou_macro_layers", "dice_micro_soft", "accuracy", "loss")
"""Validation scores of a job that tables show."""
JOB_FILE = "job.json"
"""In a job's folder: its number and its settings, as they were typed."""
REFUSED = ".refused_{number}.json"
"""In the sweep's folder: a job of the present start that found another run in its folder, which stays as it is."""
State = Literal["done", "failed", "refused", "cut off"]


@dataclass(frozen=True)
class SweepJob:
    """A job: its run folder, number, settings by name, state, why it is not done, and its metrics.json if it is.

    Settings are None where the job was begun by a retseg that wrote none.
    """

    folder: Path
    number: int | None
    settings: Mapping[str, str] | None
    state: State
    reason: str = ""
    is_wrong_input: bool = False
    metrics: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """The run folder's name."""
        return self.folder.name


def read_jobs(sweep: Path) -> list[SweepJob]:
    """All jobs of a sweep's folder, by number, then by name; those that this start could not begin, too."""
    found = {path.parent for name in (JOB_FILE, "config.yaml") for path in sweep.glob(f"*/{name}")}
    jobs = [_read_job(folder) for folder in sorted(found)]
    jobs += [_read_refused(path) for path in sorted(sweep.glob(REFUSED.format(number="*")))]
    return sorted(jobs, key=lambda job: (job.number is None, job.number or 0, job.name))


def _read_job(folder: Path) -> SweepJob:
    record = read_object(folder / JOB_FILE) if (folder / JOB_FILE).is_file() else {}
    known = (folder, record.get("job"), record.get("settings"))
    if (failure := read_failure(folder)) is not None:
        return SweepJob(*known, "failed", failure.reason, failure.is_wrong_input)
    if (folder / "metrics.json").is_file():
        return SweepJob(*known, "done", metrics=read_object(folder / "metrics.json"))
    has_checkpoint = (folder / "checkpoints" / "last.ckpt").is_file()
    return SweepJob(*known, "cut off", "after a checkpoint" if has_checkpoint else "before a checkpoint")


def _read_refused(path: Path) -> SweepJob:
    record = read_object(path)
    folder = path.parent / record["folder"]
    return SweepJob(folder, record["job"], record["settings"], "refused", record["reason"], is_wrong_input=True)


def forget_refused(sweep: Path) -> None:
    """Take away what an earlier start of a sweep noted of jobs that it could not begin."""
    for path in sweep.glob(REFUSED.format(number="*")):
        path.unlink()
