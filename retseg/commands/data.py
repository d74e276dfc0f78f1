"""`retseg data`: describe any source of B-scans, convert it to HDF5 files, and download the Duke DME set."""

import importlib
import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retseg.errors import InputError

if TYPE_CHECKING:
    from retseg.data.source import ScanSource

app = typer.Typer(help="Get scans and bring them into fast files.", no_args_is_help=True)


class SourceName(str, Enum):
    """What scans can be read from; each value is a module of `retseg.data.sources`."""

    DUKE = "duke"
    PAPER_ARRAYS = "paper_arrays"
    HDF5 = "hdf5"
    PHANTOM = "phantom"


_CLASS = {
    SourceName.DUKE: "DukeSource",
    SourceName.PAPER_ARRAYS: "PaperArraysSource",
    SourceName.HDF5: "Hdf5Source",
    SourceName.PHANTOM: "PhantomSource",
}


SourceOption = Annotated[SourceName, typer.Option("--source", "-s", help="What to read.")]
RootOption = Annotated[Path | None, typer.Option(help="Folder that holds the scans (all but phantom).")]
OriginOption = Annotated[str | None, typer.Option(help="Who drew the labels, e.g. silver (duke, paper_arrays).")]
StrictOption = Annotated[bool | None, typer.Option("--strict", help="Refuse surfaces that cross (duke).")]
SubjectsOption = Annotated[int | None, typer.Option(help="How many to make up (phantom).")]
SeedOption = Annotated[int | None, typer.Option(help="Of the made-up scans (phantom).")]


@app.command()
def describe(
    source: SourceOption,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for numbers and figures.")] = None,
    samples: Annotated[int, typer.Option(min=1, help="How many scans the sample figure shows.")] = 3,
    root: RootOption = None,
    label_origin: OriginOption = None,
    strict: StrictOption = None,
    num_subjects: SubjectsOption = None,
    seed: SeedOption = None,
) -> None:
    """Show what a source holds: sizes, labels, gray levels, classes, layer thickness, fluid; all and by subject.

    Prints tables. With -o it also writes description.json, per_subject.csv and figures (PNG, PDF); old ones go.

    In use:

      retseg data describe --source phantom

      retseg data describe --source duke --root data/duke -o reports/duke

      retseg data describe --source paper_arrays --root data/kaggle --samples 5 -o reports/paper
    """
    from retseg.commands.describe_report import make_folder, print_tables, save_report
    from retseg.data.description import describe as describe_source

    scans = _open_source(
        source, root=root, label_origin=label_origin, strict=strict, num_subjects=num_subjects, seed=seed
    )
    if output is not None:
        make_folder(output)
    with _progress(len(scans.keys)) as progress:
        description = describe_source(scans, progress)
    print_tables(description)
    if output is not None:
        paths = save_report(description, scans, samples, output)
        typer.echo(f"{output}: {', '.join(path.name for path in paths)}")


@app.command()
def convert(
    source: SourceOption,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for one .h5 file per subject.")],
    root: RootOption = None,
    label_origin: OriginOption = None,
    strict: StrictOption = None,
    num_subjects: SubjectsOption = None,
    seed: SeedOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
) -> None:
    """Write one HDF5 file per subject, without loss, and an index; a folder of them opens in milliseconds.

    In use:

      retseg data convert --source duke --root data/duke -o data/duke_h5

      retseg data convert --source paper_arrays --root data/kaggle -o data/paper_h5

      retseg data convert --source phantom --num-subjects 3 -o data/phantom_h5
    """
    from retseg.data.sources.hdf5_convert import convert as write_hdf5

    start_s = time.monotonic()
    scans = _open_source(
        source, root=root, label_origin=label_origin, strict=strict, num_subjects=num_subjects, seed=seed
    )
    with _progress(len(scans.keys)) as progress:
        paths = write_hdf5(scans, output, progress, overwrite)
    _report(output, scans, paths, time.monotonic() - start_s)


@app.command()
def index(
    folder: Annotated[Path, typer.Argument(help="Folder of files that `retseg data convert` wrote.")],
) -> None:
    """Write down what a folder's HDF5 files hold, so that opening thousands takes no longer than opening a few.

    `retseg data convert` does so by itself; say it after files were copied or moved together. What changes later is
    noticed and read anew.

    In use:

      retseg data index data/duke_h5
    """
    from retseg.data.sources.hdf5_index import INDEX, write_index

    typer.echo(f"{folder}: {write_index(folder)} file(s) in {INDEX}")


@app.command()
def download(
    root: Annotated[Path, typer.Argument(help="Folder for Subject_01.mat to Subject_10.mat.")],
    url: Annotated[str | None, typer.Option(help="Another place of the archive.")] = None,
    sha256: Annotated[str | None, typer.Option(help="Checksum that the archive must have.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Fetch the Duke DME scans (Chiu et al. 2015) from their authors' page.

    They are for research; the page gives no right to pass them on.

    In use:

      retseg data download data/duke
    """
    from retseg.data.sources.download import DUKE_URL, download_duke

    names = download_duke(root, url or DUKE_URL, sha256, progress=not quiet)
    typer.echo(
        f"{root}: {len(names)} new file(s){': ' if names else ', those there stay as they are'}{', '.join(names)}"
    )


@contextmanager
def _progress(num_scans: int) -> Iterator[Callable[[int, int], None]]:
    """A bar with the time left, on a terminal's standard error; called with the number of B-scans done and of all."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:  # its columns end with the time left
        task = progress.add_task("B-scans", total=num_scans)
        yield lambda done, _: progress.update(task, completed=done)


def _report(output: Path, scans: "ScanSource", paths: tuple[Path, ...], seconds: float) -> None:
    """What was written, and what the source had to say."""
    num_mb = sum(path.stat().st_size for path in paths) / 1e6
    origin = f"({scans.name}, labels {scans.label_origin})"
    typer.echo(f"{output}: {len(scans.keys)} B-scans in {len(paths)} files, {num_mb:.1f} MB, {seconds:.1f} s {origin}")
    for notice in scans.notices:
        typer.echo(f"note: {notice}")


def _open_source(source: SourceName, **options: Any) -> "ScanSource":
    """The source with the options that were given (not None). InputError where one does not fit, or root lacks."""
    source_class = getattr(importlib.import_module(f"retseg.data.sources.{source.value}"), _CLASS[source])
    parameters = inspect.signature(source_class).parameters
    options = {name: value for name, value in options.items() if value is not None}
    for name in options:
        if name not in parameters:
            raise InputError(f"--{name.replace('_', '-')} does not fit --source {source.value}; leave it out")
    if "root" in parameters and "root" not in options:
        raise InputError(f"--source {source.value} needs --root, the folder that holds the scans")
    scans: ScanSource = source_class(**options)
    return scans
