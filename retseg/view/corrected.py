"""Surfaces that a person corrected in the page: checked, put in place of the network's, and kept as a label.

S surfaces top to bottom, W columns (A-scans), H rows.
"""

import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from retseg.anatomy import NUM_SURFACES, SURFACE_NAMES
from retseg.bscan import Array, BScan, Eye, ScanKey
from retseg.data.sources.hdf5 import Hdf5Source
from retseg.data.sources.hdf5_convert import convert
from retseg.errors import InputError
from retseg.evaluation.atomic import check_writable
from retseg.inference.predicted import Finding, PredictedScan
from retseg.view.refusal import Refusal

SOURCE_NAME = "scans corrected in retseg view"
LABEL_ORIGIN = "silver, corrected by hand"
"""A network drew them and a person moved them: no manual labels."""

LEAST_MOVE_PX = 0.001
"""A surface that comes back from the page within this was not moved."""

GRADER = 1
_SUBJECT = re.compile(r"\w[\w.-]{0,63}")


@dataclass(frozen=True, slots=True)
class LabelWords:
    """What a label file says of its scan. only_corrected: columns that nobody touched count as not annotated."""

    subject: str
    bscan: int
    eye: Eye | None
    only_corrected: bool

    @classmethod
    def from_json(cls, content: Any) -> "LabelWords":
        """The words of a request. InputError for a subject that no file can be named after, and for another eye."""
        if not isinstance(content, dict):
            raise InputError("label: expected subject, bscan, eye, only_corrected; reload the page")
        subject, bscan, eye = content.get("subject"), content.get("bscan"), content.get("eye")
        if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
            raise InputError(
                f"subject {str(subject)!r:.70}: expected letters, digits, '_', '-' and '.', at most 64; name one"
            )
        if not isinstance(bscan, int) or isinstance(bscan, bool) or not 0 <= bscan < 100_000:
            raise InputError(f"B-scan {bscan!r:.40}: expected its number in the volume, from 0")
        if eye not in ("OD", "OS", None):
            raise InputError(f"eye {eye!r:.40}: expected OD, OS or nothing")
        return cls(subject, bscan, eye, content.get("only_corrected") is True)

    @property
    def key(self) -> ScanKey:
        """Of the label."""
        return ScanKey(GRADER, self.subject, self.bscan)


def read_surfaces(content: Any, shape: tuple[int, int]) -> Array:
    """Surface rows (S, W) float32 from lists of numbers and nulls for a scan (H, W).

    InputError where there are not as many as the scan has, where they cross, leave the scan, or where a column knows
    some surfaces and others not.
    """
    try:
        rows = np.array([[np.nan if row is None else float(row) for row in one] for one in content], np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError("surfaces: expected lists of numbers and nulls; reload the page") from None
    if rows.shape != (NUM_SURFACES, shape[1]):
        raise InputError(f"surfaces: {rows.shape}, expected {(NUM_SURFACES, shape[1])} for this scan; reload the page")
    known = ~np.isnan(rows)
    is_partial = known.any(axis=0) & ~known.all(axis=0)
    if is_partial.any():
        column = int(is_partial.argmax())
        raise InputError(f"surfaces: column {column} knows some and not others; draw all eight there, or none")
    filled = np.where(known, rows, 0)
    if (filled < 0).any() or (filled > shape[0]).any():
        raise InputError(
            f"surfaces: rows {filled.min():g}..{filled.max():g}, expected 0..{shape[0]}; undo the last move"
        )
    crossed = np.argwhere(np.diff(filled, axis=0) < 0)
    if len(crossed):
        surface, column = crossed[0]
        raise InputError(
            f"surfaces: {SURFACE_NAMES[surface + 1]} lies above {SURFACE_NAMES[surface]} in column {column}; "
            "surfaces never cross: undo the last move"
        )
    return rows.astype(np.float32)


def moved(scan: PredictedScan, surface_rows: Array) -> Array:
    """Which surfaces (S, W) bool lie elsewhere than the network has them."""
    before, after = np.nan_to_num(scan.surface_rows), np.nan_to_num(surface_rows)
    return np.asarray(np.abs(before - after) > LEAST_MOVE_PX)


def corrected_scan(scan: PredictedScan, surface_rows: Array) -> PredictedScan:
    """The scan with these surfaces, and a finding that says so; sd and confidence are unknown where they were moved."""
    is_moved = moved(scan, surface_rows)
    if not is_moved.any():
        return scan
    columns = is_moved.any(axis=0)
    words = (
        f"surfaces corrected by hand in {int(columns.sum())} columns: verdict, sd and confidence are of the network's"
    )
    return replace(
        scan,
        surface_rows=np.where(is_moved, surface_rows, scan.surface_rows).astype(np.float32),
        row_sd=np.where(is_moved, np.nan, scan.row_sd).astype(np.float32),
        confidence=np.where(columns, np.nan, scan.confidence).astype(np.float32),
        findings=(*scan.findings, Finding("pass", "corrected", words)),
    )


class _OneScan:
    """A corrected scan as a source of scans, to be written."""

    name = SOURCE_NAME
    label_origin = LABEL_ORIGIN

    def __init__(self, scan: BScan, notices: tuple[str, ...]) -> None:
        self.scan, self.notices = scan, notices

    @property
    def keys(self) -> tuple[ScanKey, ...]:
        return (self.scan.key,)

    def read(self, key: ScanKey) -> BScan:
        return self.scan


def label_scan(scan: PredictedScan, surface_rows: Array, words: LabelWords) -> BScan:
    """The scan with these surfaces as its labels. InputError where no column would be annotated."""
    is_known = np.isfinite(surface_rows).all(axis=0)
    if words.only_corrected:
        is_known &= moved(scan, surface_rows).any(axis=0)
    if not is_known.any():
        what = "no surface was moved" if words.only_corrected else "no column has surfaces"
        raise InputError(f"label: {what}, so nothing would be annotated; correct the scan first")
    rows = np.where(is_known, surface_rows, np.nan).astype(np.float32)
    return BScan(words.key, scan.image, surface_rows=rows, spacing=scan.spacing, eye=words.eye)


def write_label(label: BScan, folder: Path, notices: tuple[str, ...], overwrite: bool = False) -> Path:
    """Write a label file that `data=hdf5` reads, named after its scan, whole or not at all; its path.

    Refusal (409) where it is there already, unless overwrite. InputError where it cannot be written.
    """
    path = folder / f"{label.key.name}.h5"
    if path.exists() and not overwrite:
        raise Refusal(409, f"{path.name}: is there already in {folder}; replace it, or change subject or B-scan")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".retseg_", dir=folder))
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); choose another with --labels") from error
    try:
        (written,) = convert(_OneScan(label, notices), part)
        written.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return path


def check_label_folder(folder: Path) -> None:
    """InputError where a folder for labels is a file, or holds scans of another source: they train apart."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--labels {folder}: is a file; name a folder")
    check_writable(folder, "name another folder with --labels")
    if not any(folder.glob("*.h5")):
        return
    source = Hdf5Source(folder)
    if (source.name, source.label_origin) != (SOURCE_NAME, LABEL_ORIGIN):
        raise InputError(
            f"--labels {folder}: holds {source.name} with {source.label_origin} labels, which train apart; "
            "name another folder"
        )
