"""What `retseg measure LABELS` does: read labels, put them into volumes, measure and write as `retseg predict` does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from retseg.bscan import Eye
from retseg.commands.measured_account import Measured, close_folder, open_folder
from retseg.commands.measured_files import Wanted
from retseg.commands.measured_images import find_images
from retseg.commands.measured_names import LabelFile, NamedVolume, labels_of, named_volumes, read_pattern
from retseg.commands.measured_options import read_foveae, read_grids, read_slabs, refuse_outside
from retseg.commands.measured_scans import FileScans, MeasuredVolume, assembled, read_file
from retseg.commands.progress import progress
from retseg.data.readers.options import ReadOptions
from retseg.data.readers.volume import ScanVolume
from retseg.errors import InputError
from retseg.evaluation.json_files import read_object
from retseg.evaluation.matching import Measuring
from retseg.evaluation.parallel import in_order
from retseg.geometry.volume_map import BScanDistance, Vertical
from retseg.inference.predicted import PredictedScan
from retseg.inference.stream import Failure, in_volumes


@dataclass(frozen=True, slots=True)
class GeometryCall:
    """The words of a call of `retseg measure LABELS`, as its help explains them."""

    labels: Path
    output: Path | None
    measuring: Measuring
    bscan_distance: float | None = None
    max_gap: float | None = None
    eye: Eye | None = None
    first_bscan: Vertical | None = None
    foveae: tuple[str, ...] = ()
    slabs: tuple[str, ...] = ()
    grids: tuple[str, ...] = ()
    volumes_by: str | None = None
    images: Path | None = None
    figures: bool = True
    quiet: bool = False


def measure_labels(call: GeometryCall) -> Measured:
    """Carry out a call. InputError where nothing can start, or files contradict each other."""
    slabs, grids = read_slabs(call.slabs), read_grids(call.grids)
    measured = Measured()
    volumes = _volumes(call, measured)
    foveae = read_foveae(call.foveae, [volume.source.name for volume in volumes if volume.source.num_bscans > 1])
    for volume in volumes:
        if (place := foveae.of(volume.source.name)) is not None and volume.source.num_bscans > 1:
            refuse_outside(place, volume.source.numbers, volume.num_columns, volume.source.name)
    kinds = {"surfaces", "thickness", "tables", "arrays"}
    if call.figures:
        kinds |= {"maps"} if call.images is None else {"maps", "overlay"}
    wanted = Wanted(call.output, slabs, grids, foveae, frozenset(kinds))
    if call.output is not None:
        open_folder(call.output)
    _measure(volumes, wanted, measured, call.quiet)
    if call.output is not None:
        close_folder(call.output, measured, _said(call))
    return measured


def _volumes(call: GeometryCall, measured: Measured) -> list[MeasuredVolume]:
    """All labels of a call, read and put into volumes; files that cannot be read become failures."""
    options = _options(call)
    pattern = None if call.volumes_by is None else read_pattern(call.volumes_by)
    images = None if call.images is None else find_images(call.images)
    root = call.labels if call.labels.is_dir() else call.labels.parent
    named = named_volumes(labels_of(call.labels), root, pattern)
    read = _read_all(named, call, measured)
    named = [volume for volume in named if volume.name in read]
    num_alone = sum(volume.is_alone and not read[volume.name][0].is_volume for volume in named)
    if num_alone:
        measured.notices[
            f"{num_alone} files are measured each by itself, without a map: their names do not say volume and B-scan; "
            "give --volumes-by if they are B-scans of volumes"
        ] = 1
    volumes = [assembled(volume, read[volume.name], options, images) for volume in named]
    return volumes if call.max_gap is None else [_with_gap(volume, call.max_gap) for volume in volumes]


def _with_gap(volume: MeasuredVolume, max_gap_um: float) -> MeasuredVolume:
    """The volume with the largest distance of B-scans that the user takes for no gap."""
    distance = volume.source.distance
    if distance is None:
        return volume
    return replace(volume, source=replace(volume.source, distance=replace(distance, max_gap_um=max_gap_um)))


def _options(call: GeometryCall) -> ReadOptions:
    """What the user says of all volumes."""
    for name, value_um in (("--bscan-distance", call.bscan_distance), ("--max-gap", call.max_gap)):
        if value_um is not None and not (np.isfinite(value_um) and value_um > 0):
            raise InputError(f"{name} {value_um:g}: expected a positive distance in um")
    distance = None if call.bscan_distance is None else BScanDistance(call.bscan_distance, "user")
    return ReadOptions(call.measuring.spacing, distance, call.eye, call.first_bscan)


def _read_all(named: Sequence[NamedVolume], call: GeometryCall, measured: Measured) -> dict[str, list[FileScans]]:
    """What the files of each volume hold. InputError where none of them can be read."""
    items = [(volume, file) for volume in named for file in volume.files]

    def attempt(item: tuple[NamedVolume, LabelFile]) -> FileScans | Failure:
        try:
            return read_file(*item, call.measuring)
        except InputError as error:
            return Failure(item[1].scan, str(error))

    read: dict[str, list[FileScans]] = {}
    with progress("reading", len(items), call.quiet) as advance:
        for (volume, _), found in zip(items, in_order(attempt, items), strict=True):
            if isinstance(found, Failure):
                measured.failures.append(found)
            else:
                read.setdefault(volume.name, []).append(found)
            advance()
    if not read:
        more = f" (and {len(items) - 1} more files cannot be read)" if len(items) > 1 else ""
        raise InputError(measured.failures[0].reason + more)
    return read


def _measure(volumes: Sequence[MeasuredVolume], wanted: Wanted, measured: Measured, quiet: bool) -> None:
    """Measure volumes one by one and write what is wanted of them."""
    by_name = {volume.source.name: volume for volume in volumes}

    def work(source: ScanVolume, number: int) -> tuple[PredictedScan, tuple[Path, ...]]:
        scan = by_name[source.name].predicted(number)
        return scan, wanted.write_scan(scan, source)

    sources = [volume.source for volume in volumes]
    with progress("measuring", sum(len(source.numbers) for source in sources), quiet) as advance:
        for done in in_volumes(sources, work, advance=advance):
            measured.volumes.append(done.source)
            measured.failures += done.failures
            measured.rows += wanted.rows(done)
            files, notices = wanted.write_volume(done.predicted)
            measured.files += [*done.files, *files]
            measured.accounts += [read_object(path) for path in files if path.name.endswith("_volume.json")]
            measured.notices.update({*done.source.notices, *notices})


def _said(call: GeometryCall) -> dict[str, Any]:
    """The user's words as plain JSON, for run.json."""
    spacing = call.measuring.spacing
    return {
        "labels": str(call.labels),
        "spacing": None if spacing is None else [spacing.axial_um, spacing.lateral_um],
        "bscan_distance": call.bscan_distance,
        "max_gap": call.max_gap,
        "eye": call.eye,
        "first_bscan": call.first_bscan,
        "fovea": list(call.foveae),
        "slab": list(call.slabs),
        "grid": list(call.grids),
        "volumes_by": call.volumes_by,
        "images": None if call.images is None else str(call.images),
        "ignore_label": list(call.measuring.ignore_labels),
        "figures": call.figures,
    }
