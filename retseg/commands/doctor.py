"""`retseg doctor`: whether the installation is sound, and what is wrong with data, a run folder or a file."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retseg.errors import InputError

if TYPE_CHECKING:
    from retseg.commands.doctor_findings import Section


def doctor(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH ...]", help="Data, run or sweep folders, scans, weights.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Import no package by itself (that takes half a minute).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object in place of tables.")] = False,
) -> None:
    """Check the installation, or what PATHs hold: a line a finding, "ok", "note" or "problem", with what to do.

    Without PATH: Python, every package and extra, whether they fit each other and
    can be imported, threads, GPUs, disk, shared memory, and the shipped network's
    answer to a made-up scan.

    A data folder: which files can be read, as what; subjects, scale, annotated
    columns, copies, sizes; how to train on it. A run folder: checkpoints, scores,
    what it did not finish and how it goes on, a leaky split, what is other now
    than when it ran. A scan, a checkpoint, exported weights: the same for one.

    Nothing is changed, and nothing is sent anywhere.

    Exit code: 0 without a problem, 1 with one, 2 for a wrong call.

    In use:

      retseg doctor

      retseg doctor data/duke

      retseg doctor runs/phantom/2026-01-31_10-00-00 model.onnx --json
    """
    for path in paths or ():
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; name data, a run, a scan or weights")

    from rich.console import Console

    from retseg.commands.doctor_report import findings_as_json, num_problems, tell_findings

    console = Console(stderr=True)
    with console.status("looking") if console.is_terminal else nullcontext():
        sections = [_of_path(path) for path in paths] if paths else _of_installation(quick)
    if as_json:
        typer.echo(findings_as_json(sections))
    else:
        tell_findings(sections)
    if num_problems(sections):
        raise typer.Exit(1)


def _of_installation(quick: bool) -> "list[Section]":
    from retseg.commands.doctor_findings import lazily, section

    packages, machine = "retseg.commands.doctor_packages", "retseg.commands.doctor_machine"

    parts = [
        section("Python and packages", [
            ("Python", lazily(packages, "check_python")),
            ("versions", lazily(packages, "check_versions")),
            ("each other", lazily(packages, "check_each_other")),
            *([] if quick else [("imports", lazily(packages, "check_imports"))]),
        ]),
        section("Extras", [("extras", lazily(packages, "check_extras"))]),
        section("Machine", [
            ("threads", lazily(machine, "check_threads")),
            ("GPU", lazily(machine, "check_gpus")),
            ("current folder", lazily(machine, "check_folder", Path.cwd(), "current folder")),
            ("shared memory", lazily(machine, "check_shared_memory")),
        ]),
        section("Network", [("shipped network", lazily(machine, "check_shipped_network"))]),
    ]  # fmt: skip
    return [part for part in parts if part.findings]


def _of_path(path: Path) -> "Section":
    from retseg.commands.doctor_findings import section

    if path.is_dir():
        if (path / "config.yaml").exists():
            from retseg.commands.doctor_run import run_checks

            return section(f"Run {path}", run_checks(path))
        if any(path.glob("*/config.yaml")):
            from retseg.commands.doctor_run import check_runs

            return section(f"Sweep {path}", [("jobs", lambda: check_runs(path))])
        from retseg.commands.doctor_data import check_data_folder

        return section(f"Data {path}", [("data", lambda: check_data_folder(path))])
    from retseg.commands.doctor_files import WEIGHTS, check_scan_file, check_weights

    if path.suffix.lower() in WEIGHTS:
        return section(f"Weights {path}", [(path.name, lambda: check_weights(path))])
    return section(f"Scan {path}", [(path.name, lambda: check_scan_file(path))])
