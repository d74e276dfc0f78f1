"""`retseg reproduce`: the paper's tables and figures from a run, and a verdict on each thing that it says."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retseg.errors import InputError

if TYPE_CHECKING:
    from retseg.reproduction.page import Contents
    from retseg.reproduction.read_run import Configs, Extras

EXPERIMENTS = ("paper_code", "duke_segnet")


def reproduce(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write; RUN/reproduction.")] = None,
    ablation: Annotated[Path | None, typer.Option(help="Folder of an ablation sweep (ablation.csv).")] = None,
    leakage: Annotated[Path | None, typer.Option(help="Folder of a leakage sweep (leakage.csv).")] = None,
    bench: Annotated[Path | None, typer.Option(help="JSON with seconds_per_scan, measured elsewhere.")] = None,
) -> None:
    """Make the paper's Tables 1 to 3 and Figures 1, 3, 4, 5, 6 from a run, and judge all 56 of its claims.

    Writes one page, index.html, that holds everything; verdicts.json and verdicts.csv; tables as CSV and PNG; figures
    as PNG and PDF. A folder that an earlier call made is replaced.

    In use:

      retseg reproduce runs/phantom/2026-01-31_10-00-00

      retseg reproduce RUN --ablation runs/ablation/SWEEP --leakage runs/leakage/SWEEP -o reports/paper
    """
    target = run / "reproduction" if output is None else output
    _refuse_what_is_not_ours(target)
    extras = _extras(ablation, leakage, bench)
    configs = _configs(run)
    from retseg.reproduction.checklist import judge_all
    from retseg.reproduction.page import Contents, count_outcomes, render_page
    from retseg.reproduction.pictures import pictures
    from retseg.reproduction.read_run import read_run
    from retseg.reproduction.tables import comparison_tables

    facts = read_run(run, configs, extras)
    contents = Contents(judge_all(facts), comparison_tables(facts), tuple(pictures(facts)))
    with _replacing(target) as folder:
        (folder / "index.html").write_text(render_page(facts, contents), encoding="utf-8")
        _write_files(folder, contents)
    for outcome, count in count_outcomes(contents.verdicts).items():
        typer.echo(f"{count:3d}  {outcome.value}")
    typer.echo(f"{target / 'index.html'}")


def _write_files(folder: Path, contents: "Contents") -> None:
    """Verdicts, tables and figures as files of their own."""
    from retseg.reproduction.pictures import picture_of_table
    from retseg.reproduction.verdict_files import verdicts_as_csv, verdicts_as_json

    (folder / "verdicts.json").write_text(verdicts_as_json(contents.verdicts), encoding="utf-8")
    (folder / "verdicts.csv").write_text(verdicts_as_csv(contents.verdicts), encoding="utf-8")
    for table in contents.tables:
        (folder / f"{table.name}.csv").write_text(table.csv(), encoding="utf-8")
        (folder / f"{table.name}.png").write_bytes(picture_of_table(table))
    for picture in contents.pictures:
        if picture.png:
            (folder / f"{picture.name}.png").write_bytes(picture.png)
            (folder / f"{picture.name}.pdf").write_bytes(picture.pdf)


def _configs(run: Path) -> "Configs":
    """The run's configuration, and those of the two experiments whose networks are counted."""
    from omegaconf import OmegaConf

    from retseg.build import load_config
    from retseg.commands.config_folder import compose_config
    from retseg.reproduction.read_run import Configs

    config = load_config(run)
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    paper_code, duke_segnet = (compose_config([f"experiment={name}", "paths.run_dir=none"]) for name in EXPERIMENTS)
    return Configs(config, {str(key): value for key, value in plain.items()}, paper_code, duke_segnet)


def _extras(ablation: Path | None, leakage: Path | None, bench: Path | None) -> "Extras":
    from retseg.reproduction.read_run import Extras
    from retseg.reproduction.sweeps import read_ablation, read_leakage

    return Extras(
        None if ablation is None else read_ablation(ablation),
        None if leakage is None else read_leakage(leakage),
        None if bench is None else _seconds_per_scan(bench),
    )


def _seconds_per_scan(path: Path) -> float:
    try:
        content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        seconds = float(content["seconds_per_scan"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: expected a JSON object with a number seconds_per_scan ({error!r})") from error
    if not seconds > 0:
        raise InputError(f"{path}: seconds_per_scan {seconds}, expected a number above 0")
    return seconds


def _refuse_what_is_not_ours(target: Path) -> None:
    """InputError if target is there, holds something, and is no folder that this command made."""
    if target.exists() and not (target / "verdicts.json").is_file() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: is there and was not made by this command; choose another folder with -o")


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A new folder that takes the place of target when all is written, or leaves target as it was."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror}); choose another folder with -o") from error
    try:
        yield folder
        folder.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        folder.replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
