"""Thickness of the held-out scans, subject by subject: B-scans from top to bottom, A-scans from left to right.

N B-scans, W columns, G columns that are drawn. How far B-scans lie apart is not saved with predictions, so the pictures
have no scale downwards, and no fovea and no ETDRS grid are drawn on them: `retseg predict` does, from whole volumes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retseg.bscan import Array
from retseg.evaluation.store import load_case
from retseg.geometry.thickness import LAYER_SLABS, SUMS, thickness_profile
from retseg.report.colours import BROWN_TO_TEAL, VIRIDIS, Colour, ramp
from retseg.report.images import indexed_png
from retseg.report.run_folder import EVALUATION, ReportedRun

SLABS = (SUMS[0], *LAYER_SLABS)
"""The total retina, then each layer."""
MOST_SUBJECTS = 12
MOST_COLUMNS = 256
SIDES = ("prediction", "truth", "difference")
_GRADER = re.compile(r"_g\d$")


@dataclass(frozen=True, slots=True, eq=False)
class SubjectThickness:
    """values (2, L, N, G): of prediction and truth, slabs as SLABS; nan where unknown."""

    letter: str
    subject: str
    bscans: Sequence[str]
    unit: str
    values: Array


@dataclass(frozen=True, slots=True)
class ThicknessMap:
    """One slab of one subject in one run: pictures and means of SIDES, both "" or None where nothing is known."""

    slab: str
    letter: str
    subject: str
    first: str
    last: str
    num_bscans: int
    uris: Sequence[str]
    means: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class SlabMaps:
    """All maps of a slab with one scale of colours: limits of thickness, and of the difference to either side."""

    slab: str
    full_name: str
    unit: str
    low: float
    high: float
    difference: float
    bars: Sequence[str]
    maps: Sequence[ThicknessMap]


def subject_thickness(run: ReportedRun) -> list[SubjectThickness]:
    """Thickness of the first MOST_SUBJECTS subjects of a run, each B-scan once. InputError where a scan is damaged."""
    if run.evaluation is None:
        return []
    by_subject: dict[str, dict[str, str]] = {}
    wanted = list(run.evaluation["subjects"])[:MOST_SUBJECTS]
    for scan in run.scans:
        subject = _subject_of(run, scan)
        if subject in wanted:
            by_subject.setdefault(subject, {}).setdefault(_GRADER.sub("", scan), scan)
    return [_measured(run, subject, by_subject[subject]) for subject in wanted if subject in by_subject]


def slab_maps(measured: Sequence[SubjectThickness]) -> list[SlabMaps]:
    """Maps of every slab of SLABS, of one unit; all runs and subjects share the colours of a slab."""
    return [_slab_maps(place, measured) for place in range(len(SLABS))] if measured else []


def _subject_of(run: ReportedRun, scan: str) -> str:
    rows = (run.scan_rows or {}).get(scan, {})
    return next((row["subject"] for row in rows.values()), "")


def _measured(run: ReportedRun, subject: str, scans: dict[str, str]) -> SubjectThickness:
    """scans: B-scan to the key that is read for it."""
    lines = []
    for scan in scans.values():
        case = load_case(run.folder / EVALUATION, scan)
        profiles = [thickness_profile(side.surface_rows, case.spacing, SLABS) for side in (case.prediction, case.truth)]
        lines.append((np.stack([profile.values for profile in profiles]), profiles[0].unit))
    units = {unit for _, unit in lines}
    unit = units.pop() if len(units) == 1 else "um"
    width = min(MOST_COLUMNS, max(values.shape[2] for values, _ in lines))
    kept = [_narrowed(values if own == unit else np.full_like(values, np.nan), width) for values, own in lines]
    return SubjectThickness(run.letter, subject, list(scans), unit, np.stack(kept, axis=2))


def _narrowed(values: Array, width: int) -> Array:
    """Values (2, L, W) as (2, L, width): the column at the middle of each part; no means, which would blur gaps."""
    columns = ((np.arange(width) + 0.5) * values.shape[2] / width).astype(int)
    return np.asarray(values[:, :, columns])


def _slab_maps(place: int, measured: Sequence[SubjectThickness]) -> SlabMaps:
    slab, unit = SLABS[place], measured[0].unit
    both = [subject.values[:, place] for subject in measured]
    known = np.concatenate([values[np.isfinite(values)] for values in both])
    changes = np.concatenate([np.abs(values[0] - values[1])[np.isfinite(values[0] - values[1])] for values in both])
    low, high = np.percentile(known, (1, 99)) if known.size else (0.0, 1.0)
    most = float(np.percentile(changes, 99)) if changes.size else 1.0
    low, high, most = _rounded(float(low), float(high), most)
    thick, change = ramp(VIRIDIS), ramp(BROWN_TO_TEAL)
    shares = np.linspace(0, 1, 128)[None]
    bars = [_coloured(shares, 0, 1, thick), _coloured(shares, 0, 1, change)]
    maps = []
    for subject, (found, true) in zip(measured, both, strict=True):
        scaled = [(found, low, high, thick), (true, low, high, thick), (found - true, -most, most, change)]
        maps.append(
            ThicknessMap(
                slab.name, subject.letter, subject.subject, subject.bscans[0], subject.bscans[-1], len(subject.bscans),
                [_coloured(*one) if np.isfinite(one[0]).any() else "" for one in scaled],
                [_mean(one[0]) for one in scaled],
            )
        )  # fmt: skip
    return SlabMaps(slab.name, slab.full_name, "µm" if unit == "um" else unit, low, high, most, bars, maps)


def _rounded(low: float, high: float, most: float) -> tuple[float, float, float]:
    """Limits that are short to read: outwards to the next 5 (or 1, of small ones)."""
    step = 5.0 if high - low > 40 else 1.0
    low, high = step * np.floor(low / step), step * np.ceil(high / step)
    return float(low), float(max(high, low + step)), float(max(np.ceil(most), 1))


def _coloured(values: Array, low: float, high: float, colours: Sequence[Colour]) -> str:
    """Data URI of values (N, G) between limits; clear where nan."""
    share = np.clip((np.nan_to_num(values) - low) / (high - low), 0, 1)
    indices = np.where(np.isfinite(values), 1 + np.round(share * (len(colours) - 1)), 0)
    return indexed_png(indices.astype(np.uint8), [(0, 0, 0), *colours], [0, *[255] * len(colours)])


def _mean(values: Array) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None
