"""`retseg audit`: what a split leaks, of a run or of a split file beside any data."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retseg.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from retseg.data.audit import Audit
    from retseg.data.audit_findings import Finding
    from retseg.data.source import ScanSource


class AuditSource(str, Enum):
    """What `--data` holds."""

    DUKE = "duke"
    PAPER_ARRAYS = "paper_arrays"
    HDF5 = "hdf5"
    PHANTOM = "phantom"
    IMAGES = "images"


def audit(
    what: Annotated[Path, typer.Argument(metavar="RUN|SPLIT", help="A run folder, or a JSON split file.")],
    data: Annotated[Path | None, typer.Option(help="Where the scans lie; of a run: if they have moved.")] = None,
    source: Annotated[AuditSource | None, typer.Option("--source", "-s", help="What DATA holds, if not told.")] = None,
    content_only: Annotated[bool, typer.Option("--content-only", help="Take no notice of ids: pixels alone.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="JSON file to write.")] = None,
    fail: Annotated[bool, typer.Option("--fail", help="Exit code 1 if the split leaks.")] = False,
) -> None:
    """Say which held-out B-scans and subjects are also in training: by ids, and by what the images show.

    A split file lists members under train and val (and test) by name or index.

    DATA holds Duke files, the paper's arrays, HDF5 files, or plain images
    (PNG, TIFF, NPY): of those the content alone is compared.

    The audit of a run is also written into its folder.

    In use:

      retseg audit runs/phantom/2026-01-31_10-00-00

      retseg audit split.json --data data/duke --fail

      retseg audit split.json --data folder/of/images -o audit.json
    """
    if what.is_dir():
        found = _audit_run(what, data, source, content_only)
        if not content_only:
            _save(found, what / "audit.json")
    else:
        found = _audit_split(what, data, source, content_only)
    if output is not None:
        _save(found, output)
    _print(found)
    if fail and found.is_leaky:
        raise typer.Exit(1)


def _audit_run(run_dir: Path, data: Path | None, source: AuditSource | None, content_only: bool) -> "Audit":
    """Audit of a run folder's split.json over the data that its config.yaml names."""
    from retseg.build import build_source, load_config

    if source is not None:
        raise InputError(f"{run_dir}: a run names its source itself; leave --source out")
    config = load_config(run_dir)
    if data is not None:
        if "root" not in config.data.source:
            raise InputError(f"{run_dir}: its scans lie in no folder ({config.data.source._target_}); leave --data out")
        config.data.source.root = str(data)
    return _audit_source(run_dir / "split.json", build_source(config), content_only)


def _audit_split(path: Path, data: Path | None, source: AuditSource | None, content_only: bool) -> "Audit":
    """Audit of a split file over a folder."""
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder; name a run folder or a JSON split file")
    if source == AuditSource.PHANTOM:
        from retseg.data.sources.phantom import PhantomSource

        return _audit_source(path, PhantomSource(), content_only)
    if data is None:
        raise InputError(f"{path}: a split file needs --data, the folder that holds its scans")
    if not data.exists():
        raise InputError(f"{data}: no such file or folder; give the scans' place with --data")
    kind = source or _sniffed(data)
    if kind == AuditSource.IMAGES:
        return _audit_images(path, data)
    return _audit_source(path, _opened(kind, data), content_only)


def _sniffed(data: Path) -> AuditSource:
    """What a folder or file holds, by its files' names."""
    if data.is_file():
        return AuditSource.HDF5 if data.suffix == ".h5" else AuditSource.IMAGES
    if any(data.glob("Subject_*.mat")):
        return AuditSource.DUKE
    if (data / "resized_images.npy").exists() and (data / "resized_labeledimages.npy").exists():
        return AuditSource.PAPER_ARRAYS
    return AuditSource.HDF5 if any(data.glob("*.h5")) else AuditSource.IMAGES


def _opened(kind: AuditSource, data: Path) -> "ScanSource":
    """The source of a kind that says who is who."""
    if kind == AuditSource.DUKE:
        from retseg.data.sources.duke import DukeSource

        return DukeSource(data, fluid=False)
    if kind == AuditSource.PAPER_ARRAYS:
        from retseg.data.sources.paper_arrays import PaperArraysSource

        return PaperArraysSource(data)
    from retseg.data.sources.hdf5 import Hdf5Source

    return Hdf5Source(data)


def _audit_source(path: Path, source: "ScanSource", content_only: bool) -> "Audit":
    """Audit of a split file over a source, each scan of a side read once and not kept."""
    from retseg.data.audit_stream import stream_audit
    from retseg.data.split_file import read_split_file

    sides = read_split_file(path, source.keys)
    with _progress(sum(map(len, sides))) as advance:
        return stream_audit(source.read, *sides, ids=not content_only, advance=advance)


def _audit_images(path: Path, data: Path) -> "Audit":
    """Audit of a split file over plain images, by their content."""
    from retseg.data.audit import audit as audit_records
    from retseg.data.audit_relations import AuditRecord
    from retseg.data.fingerprint import fingerprint
    from retseg.data.sources.plain_images import PlainImages
    from retseg.data.split_file import read_members

    images = PlainImages(data)
    sides = read_members(path, images.places, images.names)
    wanted = {place for side in sides for place in side}
    records: dict[int, AuditRecord] = {}
    with _progress(len(wanted)) as advance:
        for place, image in images.read(wanted):
            records[place] = AuditRecord(images.names[place], fingerprint(image))
            advance()
    return audit_records(*([records[place] for place in side] for side in sides))


def _save(found: "Audit", path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        found.save(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another place with -o") from error


@contextmanager
def _progress(num_scans: int) -> Iterator[Callable[[], None]]:
    """A bar with the time left, on a terminal's standard error; called once a scan."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("scans", total=num_scans)
        yield lambda: progress.advance(task)


def _print(found: "Audit") -> None:
    """A table for each pair of sides, what its rows count, and the verdict."""
    from rich.console import Console

    from retseg.data.audit import DEFINITIONS, SIDE_NAMES

    console = Console(soft_wrap=True, highlight=False)
    counts = {"train": found.num_train, "val": found.num_val, "test": found.num_test}
    for side, against in dict.fromkeys((f.side, f.against) for f in found.findings if f.side != f.against):
        title = f"{SIDE_NAMES[side]} ({counts[side]} B-scans) against {SIDE_NAMES[against]} ({counts[against]})"
        rows = [f for f in found.findings if f.side == side and f.against in (against, side)]
        console.print(_table(title, rows))
    for kind, definition in DEFINITIONS.items():
        console.print(f"{kind.replace('_', ' '):13} {definition}")
    if not found.ids_known:
        console.print("by ids        nothing: subjects and numbers of B-scans are not known, or not looked at")
    console.print(f"\n[bold]{found.stamp}[/bold]")


def _table(title: str, findings: "Sequence[Finding]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for column in ("what", "found", "by ids", "by content", "for example"):
        is_text = column in ("what", "for example")
        table.add_column(column, justify="left" if is_text else "right", overflow="fold")
    for finding in findings:
        name = finding.kind.replace("_", " ")
        is_pairs = finding.kind == "pairs"
        found = f"{finding.count} pairs" if is_pairs else f"{finding.count} of {finding.total}"
        what = f"{finding.side} pairs" if is_pairs else name
        untold = finding.by_ids is None and finding.by_content is None
        cells = ("unknown" if untold else found, _cell(finding.by_ids), _cell(finding.by_content))
        table.add_row(what, *cells, Text("\n".join(finding.examples[:2])))
    return table


def _cell(count: int | None) -> str:
    return "-" if count is None else str(count)
