"""`retseg data`: convert any source of B-scans to HDF5 files, and download the Duke DME set."""

import importlib
import inspect
import time
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


@app.command()
def convert(
    source: Annotated[SourceName, typer.Option("--source", "-s", help="What to read.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for one .h5 file per subject.")],
    root: Annotated[Path | None, typer.Option(help="Folder that holds the scans (all but phantom).")] = None,
    label_origin: Annotated[
        str | None, typer.Option(help="Who drew the labels, e.g. silver (duke, paper_arrays).")
    ] = None,
    strict: Annotated[bool | None, typer.Option("--strict", help="Refuse surfaces that cross (duke).")] = None,
    num_subjects: Annotated[int | None, typer.Option(help="How many to make up (phantom).")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the made-up scans (phantom).")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
) -> None:
    """Write one HDF5 file per subject, without loss; it opens in milliseconds.

    In use:

      retseg data convert --source duke --root data/duke -o data/duke_h5

      retseg data convert --source paper_arrays --root data/kaggle -o data/paper_h5

      retseg data convert --source phantom --num-subjects 3 -o data/phantom_h5
    """
    from rich.console import Console
    from rich.progress import Progress

    from retseg.data.sources.hdf5 import convert as write_hdf5

    options = {"root": root, "label_origin": label_origin, "strict": strict, "num_subjects": num_subjects, "seed": seed}
    start_s = time.monotonic()
    scans = _open_source(source, {name: value for name, value in options.items() if value is not None})
    bar = Console(stderr=True)
    with Progress(console=bar, disable=not bar.is_terminal) as progress:  # its default columns end with the time left
        task = progress.add_task("B-scans", total=len(scans.keys))
        paths = write_hdf5(scans, output, lambda done, _: progress.update(task, completed=done), overwrite)
    _report(output, scans, paths, time.monotonic() - start_s)


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


def _report(output: Path, scans: "ScanSource", paths: tuple[Path, ...], seconds: float) -> None:
    """What was written, and what the source had to say."""
    num_mb = sum(path.stat().st_size for path in paths) / 1e6
    origin = f"({scans.name}, labels {scans.label_origin})"
    typer.echo(f"{output}: {len(scans.keys)} B-scans in {len(paths)} files, {num_mb:.1f} MB, {seconds:.1f} s {origin}")
    for notice in scans.notices:
        typer.echo(f"note: {notice}")


def _open_source(source: SourceName, options: dict[str, Any]) -> "ScanSource":
    """The source with the options that were given. InputError where one does not fit it, or it lacks its root."""
    source_class = getattr(importlib.import_module(f"retseg.data.sources.{source.value}"), _CLASS[source])
    parameters = inspect.signature(source_class).parameters
    for name in options:
        if name not in parameters:
            raise InputError(f"--{name.replace('_', '-')} does not fit --source {source.value}; leave it out")
    if "root" in parameters and "root" not in options:
        raise InputError(f"--source {source.value} needs --root, the folder that holds the scans")
    scans: ScanSource = source_class(**options)
    return scans
