"""From files of labels to volumes with surfaces: read, checked to be of one size, with what the user says of them.

B B-scans of a volume, S surfaces, H rows, W columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from retseg.bscan import Array, Spacing
from retseg.commands.measured_images import Images
from retseg.commands.measured_names import LabelFile, NamedVolume
from retseg.data.readers.options import ReadOptions, with_options
from retseg.data.readers.volume import RawBScan, ScanVolume
from retseg.errors import InputError
from retseg.evaluation.label_files import Labels
from retseg.evaluation.label_volumes import read_label_volume
from retseg.evaluation.matching import UNKNOWN, Measuring
from retseg.geometry.surfaces import trace_surfaces
from retseg.geometry.volume_map import BScanDistance
from retseg.inference.gate import shown_image
from retseg.inference.predicted import Finding, PredictedScan

_APART = "the B-scans of a volume are of one size: bring them to one grid, or give --volumes-by"
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredScan:
    """One B-scan's surface_rows (S, W) float32, and what is known of it.

    where: the file, and its place in it. num_rows: H, None of surfaces whose file does not say it.
    """

    where: str
    name: str
    number: int
    surface_rows: Array
    num_rows: int | None
    spacing: Spacing
    subject: str | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredVolume:
    """A volume as readers describe one, with the surfaces of its scans.

    num_rows: H of all of them; None of surfaces alone, whose image says it.
    """

    source: ScanVolume
    scans: tuple[MeasuredScan, ...]
    num_rows: int | None

    @property
    def num_columns(self) -> int:
        """W."""
        return int(self.scans[0].surface_rows.shape[1])

    def predicted(self, number: int) -> PredictedScan:
        """A scan as `retseg predict` gives it, of unknown uncertainty. InputError for an image of another size."""
        scan = next(scan for scan in self.scans if scan.number == number)
        image = shown_image(self.source.read(number))
        rows = image.shape[0] if self.num_rows is None else self.num_rows
        if image.shape != (rows, self.num_columns):
            sizes = [" x ".join(map(str, shape)) for shape in (image.shape, (rows, self.num_columns))]
            raise InputError(
                f"{scan.where}: {sizes[1]} (rows x columns), but its image is {sizes[0]}; give its own image"
            )
        return PredictedScan(
            name=scan.name,
            number=number,
            image=image,
            surface_rows=scan.surface_rows,
            row_sd=np.full(scan.surface_rows.shape, np.nan, np.float32),
            confidence=np.full(self.num_columns, np.nan, np.float32),
            spacing=self.source.spacing,
            findings=scan.findings,
        )


@dataclass(frozen=True, slots=True, eq=False)
class FileScans:
    """What one file gave: its scans, of a stack or one alone, and what it says of them all."""

    scans: tuple[MeasuredScan, ...]
    is_volume: bool
    distance_um: float | None
    notices: tuple[str, ...]


def read_file(volume: NamedVolume, file: LabelFile, measuring: Measuring) -> FileScans:
    """Scans of one file. InputError where it breaks a rule, or holds several scans where its name says it is one."""
    found = read_label_volume(file.path, measuring.ignore_labels)
    if file.bscan is not None and len(found.scans) > 1:
        raise InputError(
            f"{file.path}: {len(found.scans)} scans, but by its name it is B-scan {file.bscan} of {volume.name}; "
            "rename it, or give --volumes-by"
        )
    stem = volume.name.rpartition("/")[2]
    scans = []
    for place, labels in zip(found.numbers, found.scans, strict=True):
        is_one = not found.is_volume or (len(found.scans) == 1 and place == 0)
        name = file.scan if is_one else f"{stem}_b{place:03d}"
        where = str(file.path) if is_one else f"{file.path}, B-scan {place}"
        scans.append(_measured(labels, where, name, place if file.bscan is None else file.bscan, measuring))
    return FileScans(tuple(scans), found.is_volume, found.distance_um, found.notices)


def _measured(labels: Labels, where: str, name: str, number: int, measuring: Measuring) -> MeasuredScan:
    """A scan's surfaces: as they are, or traced in its mask. InputError where both are there, of other widths."""
    mask, rows = labels.mask, labels.surface_rows
    if mask is not None and rows is not None and mask.shape[1] != rows.shape[1]:
        raise InputError(f"{where}: surfaces of {rows.shape[1]} columns, mask of {mask.shape[1]}; expected the same")
    findings = _crossing_surfaces(rows) if rows is not None else ()
    if rows is None:
        assert mask is not None
        rows, findings = trace_surfaces(mask), _layers_out_of_order(mask)
    subject = measuring.subject_of(name, labels)
    return MeasuredScan(
        where=where,
        name=name,
        number=number,
        surface_rows=rows,
        num_rows=labels.num_rows if mask is None else mask.shape[0],
        spacing=labels.spacing or Spacing(),
        subject=None if subject == UNKNOWN else subject,
        findings=findings,
    )


def _layers_out_of_order(mask: Array) -> tuple[Finding, ...]:
    """What to say of a mask (H, W) in some columns of which layers are not in order, or in more than one piece.

    `trace_surfaces` puts each surface below as many rows as belong above it: as if the column's pixels were sorted, so
    background between layers is moved out of the retina.
    """
    layers = np.maximum(mask, 0)
    deepest = np.maximum.accumulate(layers, axis=0)
    is_above_a_layer = np.maximum.accumulate(layers[::-1], axis=0)[::-1] > 0
    out_of_order = ((layers > 0) & (layers < deepest)).any(axis=0)
    holes = ((mask == 0) & (deepest > 0) & is_above_a_layer).any(axis=0)
    findings = []
    for rule, columns, words in (
        ("order", out_of_order, "layers out of order in {} of {} columns, read there as if sorted by depth"),
        ("hole", holes, "background between layers in {} of {} columns: it counts in no layer's thickness"),
    ):
        if columns.any():
            findings.append(Finding("check", rule, words.format(int(columns.sum()), mask.shape[1])))
    return tuple(findings)


def _crossing_surfaces(rows: Array) -> tuple[Finding, ...]:
    """What to say of surfaces (S, W) that cross: known rows that rise from one surface to a deeper one."""
    deepest = np.fmax.accumulate(rows, axis=0)
    num_columns = int((rows[1:] < deepest[:-1]).any(axis=0).sum())
    if not num_columns:
        return ()
    words = f"surfaces cross in {num_columns} of {rows.shape[1]} columns; what lies between two that cross is unknown"
    return (Finding("check", "order", words),)


def assembled(
    named: NamedVolume, read: Sequence[FileScans], options: ReadOptions, images: Images | None
) -> MeasuredVolume:
    """A volume from its files, with what their images and the user say of it. InputError where sizes differ."""
    scans = tuple(scan for file in read for scan in file.scans)
    num_rows = _num_rows(scans)
    is_stack = read[0].is_volume or not named.is_alone
    num_bscans = max(scan.number for scan in scans) + 1 if is_stack else 1
    notices = [notice for file in read for notice in file.notices]
    spacing = _one("pixel sizes", [scan.spacing for scan in scans], notices) or Spacing()
    distance_um = _one("distances of B-scans", [file.distance_um for file in read], notices)
    subject = _one("subjects", [scan.subject for scan in scans], notices)
    source = ScanVolume(
        name=named.name,
        path=named.files[0].path if len(named.files) == 1 else named.files[0].path.parent,
        format="labels",
        numbers=tuple(scan.number for scan in scans),
        read=partial(_blank, (num_rows, scans[0].surface_rows.shape[1])),
        num_bscans=num_bscans,
        spacing=spacing,
        distance=None if distance_um is None or num_bscans == 1 else BScanDistance(distance_um, spacing.source),
        eye=named.eye,
        subject=subject,
        notices=tuple(dict.fromkeys(notices)),
    )
    if images is not None:
        source = images.joined(source, {scan.number: scan.name for scan in scans})
    is_of_image = images is not None and all(scan.num_rows is None for scan in scans)
    return MeasuredVolume(with_options(source, options), scans, None if is_of_image else num_rows)


def _blank(shape: tuple[int, int], number: int) -> RawBScan:
    """The image (H, W) of a B-scan of which only labels are known."""
    return RawBScan(np.zeros(shape, np.uint8))


def _num_rows(scans: Sequence[MeasuredScan]) -> int:
    """H: that of the masks; of surfaces alone as many as hold them all, and one more. InputError where sizes differ."""
    first = scans[0]
    for scan in scans:
        widths = scan.surface_rows.shape[1], first.surface_rows.shape[1]
        if widths[0] != widths[1]:
            raise InputError(
                f"{scan.where}: {widths[0]} columns, but {first.where} of the same volume has {widths[1]}; {_APART}"
            )
    masks = [(scan.where, scan.num_rows) for scan in scans if scan.num_rows is not None]
    for where, num_rows in masks:
        if num_rows != masks[0][1]:
            raise InputError(
                f"{where}: {num_rows} rows, but {masks[0][0]} of the same volume has {masks[0][1]}; {_APART}"
            )
    if masks:
        return masks[0][1]
    deepest = max(float(np.nanmax(scan.surface_rows, initial=0)) for scan in scans)
    return int(np.ceil(deepest)) + 2


def _one(what: str, values: Sequence[Value], notices: list[str]) -> Value | None:
    """What all files of a volume say; None, with a notice, where they do not agree."""
    if all(value == values[0] for value in values):
        return values[0]
    notices.append(f"files of the volume state different {what}: none is taken")
    return None
