"""`retseg compare`: runs side by side, paired by subject."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retseg.commands.compare_sweep import compare_sweep, is_sweep, print_comparison, write_comparison
from retseg.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from retseg.evaluation.comparison import Difference
    from retseg.evaluation.record import ScanRecord

NUM_DRAWS = 2000


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN ...", help="Run, evaluation or sweep folders.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for tables and figures.")] = None,
    draws: Annotated[int, typer.Option(min=0, help="Draws of the bootstrap; 0: no intervals.")] = NUM_DRAWS,
    score: Annotated[
        str, typer.Option(help="Validation score that the jobs of a single SWEEP are sorted by.")
    ] = "dice_macro_layers",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No table.")] = False,
) -> None:
    """Compare runs with the first: paired differences by subject, their intervals, an exact test, Holm-corrected.

    Only scans that all runs have scored count. A sweep folder whose jobs are
    folds counts as one run. Runs without an evaluation are evaluated first.

    A single sweep folder: its jobs by their settings, best first, those that
    failed with their reason, and which setting matters: the share of the
    score's variance that each setting and each pair explains, with seeds as
    noise (or "too few jobs to tell").

    In use:

      retseg compare runs/a runs/b runs/c

      retseg compare runs/duke/kfold runs/duke_dice/kfold -o reports/dice

      retseg compare runs/phantom/sweep_2026-01-31_10-00-00 -o reports/sweep
    """
    from retseg.commands.evaluation_report import report_console
    from retseg.evaluation.comparison import compare as compare_records

    if len(runs) == 1 and is_sweep(runs[0]):
        _compare_jobs(runs[0], score, output, quiet)
        return
    if len(runs) < 2:
        raise InputError(f"{runs[0]}: one run; name two or more to compare, or the folder of a sweep")
    folders = [_evaluation_of(run) for run in runs]
    contents = [_metrics(folder) for folder in folders]
    names = _short_names(runs)
    rows = compare_records(
        {name: _records(folder, content) for name, folder, content in zip(names, folders, contents, strict=True)}, draws
    )
    if output is not None:
        _write(rows, output)
    if quiet:
        return
    console = report_console()
    _print(console, rows, names, contents)
    if output is not None:
        console.print(f"written to {output}: comparison.csv")


def _compare_jobs(sweep: Path, score: str, output: Path | None, quiet: bool) -> None:
    """The jobs of one sweep with each other."""
    found = compare_sweep(sweep, score)
    if output is not None:
        write_comparison(found, sweep, output)
    if not quiet:
        print_comparison(found)


def _evaluation_of(run: Path) -> Path:
    """The evaluation folder of a run, a sweep of folds, or an evaluation itself; made now where there is none."""
    from retseg.commands.evaluate import ensure_evaluated, pool_evaluations
    from retseg.evaluation.atomic import check_writable

    if not run.is_dir():
        raise InputError(f"{run}: no such folder; name run folders")
    if (run / "config.yaml").is_file():
        if not (run / "evaluation" / "metrics.json").is_file():
            check_writable(
                run, f"evaluate it with `retseg evaluate {run} -o FOLDER`, and name that FOLDER in its place"
            )
        return ensure_evaluated(run)
    if (run / "metrics.json").is_file() and (run / "truth").is_dir():
        return run
    jobs = sorted(path.parent for path in run.glob("*/config.yaml"))
    if not jobs:
        raise InputError(f"{run}: no run, evaluation or sweep folder; name one that holds config.yaml")
    if not (run / "evaluation" / "metrics.json").is_file():
        pool_evaluations(jobs, run / "evaluation", quiet=True)
    return run / "evaluation"


def _metrics(folder: Path) -> dict[str, Any]:
    from retseg.evaluation.output import read_metrics

    content = read_metrics(folder)
    assert content is not None
    return content


def _records(folder: Path, content: dict[str, Any]) -> "list[ScanRecord]":
    from retseg.evaluation.evaluation import measure_scans
    from retseg.evaluation.store import load_case

    return list(measure_scans(content["scans"], lambda name: load_case(folder, name)).records)


def _short_names(runs: Sequence[Path]) -> list[str]:
    """Folders without the part that they share; whole where a name would be empty or not unique."""
    whole = [str(run) for run in runs]
    parts = [run.resolve().parts for run in runs]
    shared = next((i for i, level in enumerate(zip(*parts, strict=False)) if len(set(level)) > 1), None)
    if len(set(whole)) < len(whole):
        raise InputError(f"{', '.join(whole)}: the same run twice; name each once")
    return whole if shared is None else ["/".join(part[shared:]) for part in parts]


def _print(
    console: "Console", rows: "Sequence[Difference]", names: Sequence[str], contents: Sequence[dict[str, Any]]
) -> None:
    """The table: for each score, a row a run; then what to mind."""
    from rich import box
    from rich.table import Table

    from retseg.evaluation.comparison import smallest_p

    num_subjects, num_scans = rows[0].num_subjects, rows[0].num_scans
    title = f"{num_scans} scans of {num_subjects} subject(s) that all runs have scored; differences to {names[0]}"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("score", "run", "mean over subjects", "difference", "p", "p (Holm)"):
        table.add_column(column, justify="left" if column in ("score", "run") else "right")
    for place, row in enumerate(rows):
        is_first = place % len(names) == 0
        what = f"{row.score} of {row.of}" + (f" ({row.unit})" if row.unit != "share" else "")
        value, difference = (
            _with_interval(*numbers)
            for numbers in (
                (row.value, row.low, row.high),
                (row.difference, row.difference_low, row.difference_high),
            )
        )
        cells = ("reference", "", "") if is_first else (difference, _number(row.p), _number(row.p_holm))
        table.add_row(
            what if is_first else "", row.run, value, *cells, end_section=place % len(names) == len(names) - 1
        )
    console.print(table)
    for name, content in zip(names, contents, strict=True):
        console.print(f"{name}: {content['stamp']}")
    console.print("interval: 95 % bootstrap over subjects; p: exact sign-flip test of the paired differences.")
    smallest = smallest_p(num_subjects)
    if num_subjects < 2:
        console.print("note: one subject in common: neither intervals nor tests are possible")
    else:
        num_tests = sum(row.p == row.p for row in rows)
        console.print(
            f"note: with {num_subjects} subjects p cannot fall below {smallest:.4g}, nor, corrected for {num_tests} "
            f"tests, below {min(1.0, smallest * num_tests):.4g}"
        )
    for line in _disagreements(names, contents):
        console.print(f"warning: {line}", style="bold")


def _disagreements(names: Sequence[str], contents: Sequence[dict[str, Any]]) -> list[str]:
    """What makes runs hard to compare."""
    lines = []
    for name, content in list(zip(names, contents, strict=True))[1:]:
        lines += [
            f"{name} was scored on {key} {content['data'][key]}, {names[0]} on {contents[0]['data'][key]}"
            for key in ("name", "label_origin")
            if content["data"][key] != contents[0]["data"][key]
        ]
    return lines


def _write(rows: "Sequence[Difference]", output: Path) -> None:
    from dataclasses import asdict

    from retseg.evaluation.atomic import make_folder
    from retseg.evaluation.output import write_csv

    make_folder(output)
    write_csv(output / "comparison.csv", [asdict(row) for row in rows])


def _with_interval(value: float, low: float, high: float) -> str:
    interval = "" if low != low else f" [{low:.3f}, {high:.3f}]"
    return _number(value) + interval


def _number(value: float) -> str:
    return "-" if value != value else f"{value:.3f}"
