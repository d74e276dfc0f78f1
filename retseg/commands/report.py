"""`retseg report`: one HTML file of finished runs, to send to a colleague, who sends marks back."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retseg.errors import InputError

if TYPE_CHECKING:
    from retseg.report.marks import Mark
    from retseg.report.run_folder import ReportedRun

LARGEST_MB = 15
MOST_RUNS = 4
MOST_SCANS = 20


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help=f"Run folders, at most {MOST_RUNS}.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="HTML file to write; of one run, without: RUN/report.html.")
    ] = None,
    marks: Annotated[Path | None, typer.Option(metavar="CSV", help="Marks that a reviewer exported.")] = None,
    scans: Annotated[
        int, typer.Option(min=1, max=MOST_SCANS, help="Worst, median and best scans of a run, so many of each.")
    ] = 3,
    pixels: Annotated[
        bool, typer.Option("--pixels/--no-pixels", help="Show the scans' pixels below the layers.")
    ] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Write one HTML file of finished runs that needs no network and no server: mail it, open it, print it.

    At its top stands what a reader must not overlook; then what was run, the
    split and its audit, scores with intervals, curves, confusion, scans with
    a layer switcher, thickness, heat maps with their verdicts, calibration,
    and the commands that repeat it all. What a run lacks is named there with
    the command that makes it. Several runs stand side by side.

    A reviewer marks scans in the page (pass, check, fail, a comment) and
    exports the marks; --marks makes the page with them.

    In use:

      retseg report runs/phantom/2026-01-31_10-00-00

      retseg report RUN_A RUN_B -o reports/both.html --scans 5

      retseg report RUN --marks marks.csv -o reviewed.html

      retseg report RUN --no-pixels -o to_pass_on.html
    """
    if len(runs) > MOST_RUNS:
        raise InputError(f"{len(runs)} runs: at most {MOST_RUNS} fit side by side; make several reports")
    write_report(runs, _target(runs, output, overwrite), marks, scans, pixels, quiet)


def write_report(
    folders: Sequence[Path], target: Path, marks: Path | None, num_scans: int, with_pixels: bool, quiet: bool
) -> None:
    """Write the page of runs, whole or not at all, and say what it holds."""
    from retseg.commands.progress import progress
    from retseg.evaluation.atomic import check_writable, make_folder, replacing_file
    from retseg.report.page import draw_pictures, render
    from retseg.report.run_folder import read_runs

    check_writable(target.parent, "choose another file with -o")
    runs = read_runs(folders, [_config(folder) for folder in folders])
    read = _marks(marks, runs)
    with progress("drawing scans, thickness and heat maps", 3, quiet) as advance:
        pictures = draw_pictures(runs, num_scans, with_pixels, advance)
    page = render(runs, pictures, read, with_pixels, date.today().isoformat()).encode("utf-8", errors="replace")
    if len(page) > LARGEST_MB * 1e6:
        raise InputError(
            f"{target}: would be {len(page) / 1e6:.1f} MB, at most {LARGEST_MB} are written; take fewer --scans or runs"
        )
    make_folder(target.parent)
    with replacing_file(target) as partial:
        partial.write_bytes(page)
    counts = ((len(pictures.scans), "scan"), (len(read), "mark"))
    said = ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts)
    typer.echo(f"{target}: {len(page) / 1e6:.1f} MB, {said}")


def _target(runs: Sequence[Path], output: Path | None, overwrite: bool) -> Path:
    """The file to write. InputError where it is there, or nobody said which."""
    if output is None and len(runs) > 1:
        raise InputError(f"{len(runs)} runs and no file to write; name one with -o, e.g. -o report.html")
    target = output or runs[0] / "report.html"
    if target.is_dir():
        raise InputError(f"-o {target}: is a folder; name a file in it, e.g. {target / 'report.html'}")
    if target.exists() and not overwrite:
        raise InputError(f"{target}: is there already; give --overwrite, or another file with -o")
    return target


def _marks(path: Path | None, runs: "Sequence[ReportedRun]") -> "list[Mark]":
    from retseg.report.marks import read_marks

    return [] if path is None else read_marks(path, {run.name: frozenset(run.scans) for run in runs})


def _config(folder: Path) -> Mapping[str, Any]:
    """The configuration of a run in plain types. InputError where the folder is no run."""
    from omegaconf import OmegaConf

    from retseg.stored_config import load_config

    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name a run folder, e.g. runs/phantom/2026-01-31_10-00-00")
    config = OmegaConf.to_container(load_config(folder))
    assert isinstance(config, dict)
    if "optimizer" not in config:
        raise InputError(f"{folder / 'config.yaml'}: not the configuration of a run (no optimizer); name a run folder")
    return {str(name): value for name, value in config.items()}
