"""How a sweep begins and ends: sweep.json, the command; summary.csv, a row a job, and the same as a table."""

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from retseg.commands.failed_run import Failure
from retseg.commands.sweep_folder import SCORES, SweepJob, forget_refused, read_jobs
from retseg.errors import InputError
from retseg.evaluation.atomic import check_writable, make_folder, remove_partial, replacing_file
from retseg.evaluation.json_files import read_object, write_object

if TYPE_CHECKING:
    from rich.console import Console

SWEEP_FILE = "sweep.json"


class SweepStart(Callback):
    """Keeps the command of a multirun in <sweep folder>/sweep.json, so that `resume=` can start it again."""

    folder: ClassVar[Path | None] = None
    """Of the multirun that this process has begun; `end_sweep` ends it."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """A run of its own ends no sweep."""
        SweepStart.folder = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write sweep.json; one line and exit code 2 where the sweep's folder cannot be written."""
        SweepStart.folder = Path(config.hydra.sweep.dir).resolve()
        try:
            _begin(SweepStart.folder, {"overrides": OmegaConf.to_container(config.hydra.overrides)})
        except InputError as error:  # Hydra would make a warning of it, and begin the first job
            SweepStart.folder = None
            if config.show_traceback:
                traceback.print_exc()
            sys.stderr.write(f"retseg: {str(error).rpartition(';')[0]}; choose another folder with hydra.sweep.dir\n")
            raise SystemExit(2) from error


def _begin(folder: Path, content: dict[str, Any]) -> None:
    make_folder(folder)
    check_writable(folder, "")
    remove_partial(folder, below=False)  # of its own files; jobs see to theirs
    forget_refused(folder)
    write_object(folder / SWEEP_FILE, content)


def sweep_arguments(arguments: Sequence[str]) -> list[str]:
    """Command line of a sweep that goes on, from what was typed; any other as it is.

    `resume=SWEEP` becomes the sweep's own command, with further options after it. A sweep into a folder that
    is named (hydra.sweep.dir=...) goes on there if it was cut off: it means existing=continue.
    """
    typed = list(arguments)
    for argument in typed:
        folder = Path(argument.removeprefix("resume="))
        if argument.startswith("resume=") and (folder / SWEEP_FILE).is_file():
            rest = [other for other in typed[1:] if other != argument]
            return [typed[0], *_command(folder), *rest]
    is_sweep = {"-m", "--multirun", "hydra.mode=MULTIRUN"} & set(typed)
    if is_sweep and _gives(typed, "hydra.sweep.dir") and not _gives(typed, "existing"):
        return [*typed, "existing=continue"]
    return typed


def _command(folder: Path) -> list[str]:
    overrides = read_object(folder / SWEEP_FILE)["overrides"]
    typed = [*overrides["hydra"], *overrides["task"]]
    return _with(_with(typed, "hydra.sweep.dir", str(folder.resolve())), "existing", "continue")


def _with(arguments: Sequence[str], option: str, value: str) -> list[str]:
    """Arguments with an option set, in its place if it is there: jobs keep the order of what was typed."""
    given = f"{option}={value}"
    if not _gives(arguments, option):
        return [*arguments, given]
    return [given if _gives([argument], option) else argument for argument in arguments]


def _gives(arguments: Sequence[str], option: str) -> bool:
    return any(argument.lstrip("+").startswith(f"{option}=") for argument in arguments)


def end_sweep() -> int | None:
    """Write summary.csv and print the table of the sweep that this process has begun; its exit code, None without one.

    Exit code 0: all jobs in its folder are done. 2: none is, and each failed by wrong input. 1: any other.
    """
    folder, SweepStart.folder = SweepStart.folder, None
    if folder is None:
        return None
    jobs = read_jobs(folder)
    if not jobs:  # refused before the first began: the error says why
        return 2
    rows = [_row(job) for job in jobs]
    names = list(dict.fromkeys(name for row in rows for name in row))
    _write(rows, names, folder / "summary.csv")
    _print(rows, names, folder / "summary.csv")
    missing = [job for job in jobs if job.state != "done"]
    if missing:
        _tell_missing(missing, len(jobs), folder)
    return 0 if not missing else 2 if all(job.is_wrong_input for job in jobs) else 1


def leave_broken_sweep(error: Exception) -> None:
    """End a sweep whose launcher or sweeper failed, in one line and with its exit code; without a sweep do nothing."""
    code = end_sweep()
    if code is not None:
        sys.stderr.write(f"retseg: the sweep ended before its end: {Failure.of(error).reason}\n")
        raise SystemExit(code or 1)


def _row(job: SweepJob) -> dict[str, Any]:
    """A job's row: folder, settings, state and reason; split stamp, best epoch and validation scores if it is done."""
    row: dict[str, Any] = {"job": job.name, **(job.settings or {}), "state": job.state, "reason": job.reason}
    if job.metrics is None:
        return row
    scores = {f"val/{name}": job.metrics["val"]["scores"][name] for name in SCORES}
    return row | {"split": job.metrics["split"]["stamp"], "epoch": job.metrics["checkpoint"]["epoch"]} | scores


def _write(rows: Sequence[dict[str, Any]], names: Sequence[str], path: Path) -> None:
    import csv

    with replacing_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def _print(rows: Sequence[dict[str, Any]], names: Sequence[str], path: Path) -> None:
    """The jobs as a table: what differs between them, and their scores; what is the same for all stands in the CSV."""
    from rich.table import Table

    table = Table(title=f"{len(rows)} jobs, validation scores at the best epoch of each ({path})", title_justify="left")
    told = [name for name in names if len(rows) == 1 or len({str(row.get(name, "")) for row in rows}) > 1]
    told = [name for name in told if name != "reason"]  # in lines below the table
    for name in told:
        table.add_column(name, overflow="fold")
    for row in rows:
        cells = (row.get(name, "") for name in told)
        table.add_row(*(f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in cells))
    console = _console()
    console.print(table)
    if len(stamps := {row.get("split", "") for row in rows} - {""}) == 1:
        console.print(f"all: {stamps.pop()}")


def _tell_missing(missing: Sequence[SweepJob], num_jobs: int, folder: Path) -> None:
    """How many jobs are not done, each with its reason, and how the sweep goes on."""
    console = _console()
    lines = [f"{len(missing)} of {num_jobs} jobs are not done:"]
    lines += [f"  {job.name} {job.state}: {job.reason}" for job in missing]
    lines += [f"What is done stays; mend the rest, then go on with: resume={folder}"]
    console.print("\n".join(lines), markup=False, soft_wrap=True)


def _console() -> "Console":
    from retseg.commands.evaluation_report import report_console

    return report_console()
