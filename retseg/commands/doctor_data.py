"""A folder of scans: what can be read, what training and prediction would make of it, and what to mind."""

from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import numpy as np

from retseg.commands.doctor_files import check_volumes, evenly, scale
from retseg.commands.doctor_findings import Finding, counted, first_of, note, ok, problem
from retseg.commands.doctor_pixels import SeenPixels
from retseg.errors import InputError

if TYPE_CHECKING:
    from retseg.bscan import BScan, ScanKey
    from retseg.data.source import ScanSource

READS = "Subject_XX.mat, .h5 of `retseg data convert`, or resized_images.npy with resized_labeledimages.npy"


def check_data_folder(folder: Path) -> Iterator[Finding]:
    """Which files can be read and as what; then what training would find, or what prediction would."""
    from retseg.data.readers.find import find_scans

    try:
        found = find_scans([folder])
    except InputError as error:
        yield problem("files", str(error))
        return
    kinds: dict[str, set[Path]] = {}
    for volume in found.volumes:
        kinds.setdefault(volume.format, set()).add(volume.path)
    for kind, paths in sorted(kinds.items()):
        yield ok("files", f"{len(paths)} readable: {kind}")
    yield from first_of([problem(path.name, line) for path, line in found.failures], "files that cannot be read")
    if found.ignored:
        names = ", ".join(path.name for path in found.ignored[:3])
        yield note("files", f"{len(found.ignored)} left out, of no kind that holds scans: {names}")
    choice = _choice(folder)
    if choice is None:
        yield from check_volumes(found.volumes)
        yield note("training", f"no labels here that training reads: it takes {READS}")
    else:
        yield from _check_source(folder, choice)
    yield ok("prediction", f"retseg predict {quote(str(folder))} -o OUT")


def _choice(folder: Path) -> str | None:
    """The value of data= that a folder looks like."""
    if any(folder.glob("Subject_[0-9][0-9].mat")):
        return "duke"
    if any(folder.glob("*.h5")):
        return "hdf5"
    return "paper_arrays" if any(folder.glob("resized_*images.npy")) else None


def _open(folder: Path, choice: str) -> "ScanSource":
    if choice == "duke":
        from retseg.data.sources.duke import DukeSource

        return DukeSource(folder, fluid=False)
    if choice == "hdf5":
        from retseg.data.sources.hdf5 import Hdf5Source

        return Hdf5Source(folder)
    from retseg.data.sources.paper_arrays import PaperArraysSource

    return PaperArraysSource(folder)


def _check_source(folder: Path, choice: str) -> Iterator[Finding]:
    """What training finds, scan by scan."""
    try:
        source = _open(folder, choice)
    except InputError as error:
        yield problem("training", f"data={choice} does not open it: {error}")
        return
    keys = source.keys
    subjects = {key.subject for key in keys}
    bscans = {(key.subject, key.bscan) for key in keys}
    graders = {key.grader for key in keys}
    counts = ((subjects, "subject"), (bscans, "annotated B-scan"), (graders, "grader"))
    told = ", ".join(counted(len(found), noun) for found, noun in counts)
    yield ok("labels", f"{told}; {source.name}, labels {source.label_origin}")
    if len(subjects) < 2:
        yield note("labels", "one subject: no split can keep subjects apart, scores would say nothing of new ones")
    yield from _check_scans(source, evenly(list(keys)), len(keys))
    yield from first_of([note("reader", line) for line in source.notices], "notices")
    yield ok("training", f"python -m retseg.train data={choice} data.root={quote(str(folder))}")


def _check_scans(source: "ScanSource", keys: "list[ScanKey]", num_all: int) -> Iterator[Finding]:
    """Scans read with their pixels: annotated columns, sizes, scale, copies; each that cannot be read is a problem."""
    from retseg.data.dataset import check_labels, with_mask

    seen, failures = SeenPixels(), []
    num_columns = num_annotated = num_unknown = 0
    for key in keys:
        try:
            scan = source.read(key)
            check_labels(with_mask(scan))
        except InputError as error:
            failures.append(problem(key.name, str(error)))
            continue
        seen.add(key.scan_name, scan.image)
        num_columns += scan.shape[1]
        num_annotated += annotated_columns(scan)
        num_unknown += scan.spacing.axial_um is None
    yield from first_of(failures, "scans that cannot be read")
    num = seen.shapes.total()
    if num:
        share = num_annotated / num_columns
        spread = "" if len(keys) == num_all else f"; {len(keys)} of {num_all} scans read, evenly spread"
        told = f"{num_annotated} of {num_columns} annotated ({share:.0%}), in {counted(num, 'scan')}{spread}"
        yield ok("columns", told)
    if len(seen.shapes) > 1:
        yield from seen.sizes()
    yield from seen.copies()
    yield from scale(num_unknown, num, "scan", "scores stay in px")


def annotated_columns(scan: "BScan") -> int:
    """Columns of a scan in which some surface is known, or some pixel has a class."""
    from retseg.anatomy import IGNORE

    if scan.surface_rows is not None:
        return int(np.isfinite(scan.surface_rows).any(axis=0).sum())
    assert scan.mask is not None
    return int((scan.mask != IGNORE).any(axis=0).sum())
