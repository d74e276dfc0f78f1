"""Scores of fluid as rows of the long table: overlap, volume, lesions, each with its interval by subject.

N scans, S subjects, V volumes (one of each subject and grader), M weightings: the set itself, then its B draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retseg.bscan import Array
from retseg.evaluation.fluid_record import FluidRecord
from retseg.evaluation.scores import NUM_DRAWS, SIGNED, Score, interval_of
from retseg.metrics.fluid import dice, iou, is_empty, precision, recall, weighted_mean
from retseg.metrics.fluid_lesions import SIZES_UM2, Lesions, size_classes
from retseg.metrics.fluid_volume import volume_mm3
from retseg.metrics.statistics import resample_weights, standing

FLUID = "fluid"
EMPTY_IS_1 = "mean_over_scans_empty_is_1"
OVERLAPS = {"dice": dice, "iou": iou, "recall": recall, "precision": precision}
ALL_SIZES = "lesions"
LOWER_IS_BETTER = ("volume_absolute",)


@dataclass(frozen=True, slots=True, eq=False)
class FluidScan:
    """A scan whose fluid is scored: its name, its subject, who drew its truth ("g1", "" unknown), and its counts."""

    name: str
    subject: str
    grader: str
    record: FluidRecord


Key = tuple[str, str, str, str]
"""score, of, unit, average."""


def fluid_scores(scans: Sequence[FluidScan], distance_um: float, num_draws: int = NUM_DRAWS) -> list[Score]:
    """Rows of fluid scores of scans; distance_um of neighbouring B-scans, nan where it is unknown.

    The ceiling is scored on the scans that have one; its standing is from differences in the same draws.
    """
    with_ceiling = [scan for scan in scans if scan.record.ceiling is not None]
    ceilings = [
        FluidScan(scan.name, scan.subject, scan.grader, scan.record.ceiling)
        for scan in with_ceiling
        if scan.record.ceiling is not None
    ]
    found = _values(scans, distance_um, num_draws)
    same = _values(with_ceiling, distance_um, num_draws)
    ceiling = _values(ceilings, distance_um, num_draws)
    num_subjects = len({scan.subject for scan in scans})
    return [_row(key, values, same.get(key), ceiling.get(key), num_subjects) for key, values in found.items()]


def _row(key: Key, values: Array, same: Array | None, ceiling: Array | None, num_subjects: int) -> Score:
    """A row from values (M,)."""
    row = (*key, float(values[0]), *interval_of(values[1:]), num_subjects)
    if same is None or ceiling is None:
        return Score(*row)
    place = ""
    if key[3] != "count" and key[0] not in (*SIGNED, "volume_signed"):
        place = standing(*interval_of((same - ceiling)[1:]), key[0] not in LOWER_IS_BETTER)
    return Score(*row, float(ceiling[0]), *interval_of(ceiling[1:]), place)


def _values(scans: Sequence[FluidScan], distance_um: float, num_draws: int) -> dict[Key, Array]:
    """Every score of scans, for the set (first) and for draws of its subjects: (M,) each."""
    if not scans:
        return {}
    subjects = sorted({scan.subject for scan in scans})
    of_subjects = np.concatenate([np.ones((1, len(subjects))), resample_weights(len(subjects), num_draws)])
    of_scans = of_subjects[:, [subjects.index(scan.subject) for scan in scans]]
    return (
        _overlap(scans, subjects, of_subjects, of_scans)
        | _volume(scans, distance_um, subjects, of_subjects)
        | _lesions(scans, of_scans)
    )


def _overlap(
    scans: Sequence[FluidScan], subjects: Sequence[str], of_subjects: Array, of_scans: Array
) -> dict[Key, Array]:
    counts = np.stack([scan.record.counts for scan in scans]).astype(np.float64)
    owner = np.array([subjects.index(scan.subject) for scan in scans])
    by_subject = np.stack([counts[owner == subject].sum(axis=0) for subject in range(len(subjects))])
    values: dict[Key, Array] = {}
    for name, function in OVERLAPS.items():
        values[name, FLUID, "share", "pooled"] = function(of_scans @ counts)
        if name == "dice":
            values[name, FLUID, "share", "mean_over_scans"] = weighted_mean(dice(counts), of_scans)
            values[name, FLUID, "share", EMPTY_IS_1] = weighted_mean(dice(counts), of_scans, absent=1.0)
            values[name, FLUID, "share", "mean_over_subjects"] = weighted_mean(dice(by_subject), of_subjects)
    true_px, found_px = counts[:, [0, 2]].sum(axis=1), counts[:, [0, 1]].sum(axis=1)
    kinds = {
        "scans_empty": is_empty(counts),
        "scans_all_missed": (true_px > 0) & (found_px == 0),
        "scans_false_alarm": (true_px == 0) & (found_px > 0),
    }
    for name, is_one in kinds.items():
        values[name, FLUID, "scans", "count"] = np.array([float(is_one.sum())])
    return values


@dataclass(frozen=True, slots=True)
class Volume:
    """Fluid of a subject as one grader's truth and as what is scored have it, in mm3 (nan: scale unknown)."""

    subject: str
    grader: str
    true_mm3: float
    found_mm3: float


def volumes(scans: Sequence[FluidScan], distance_um: float) -> list[Volume]:
    """The volume of each subject and grader, sorted, from the areas in its scans."""
    found = []
    for subject, grader in sorted({(scan.subject, scan.grader) for scan in scans}):
        own = [scan.record for scan in scans if (scan.subject, scan.grader) == (subject, grader)]
        pixel_um2 = np.array([record.pixel_um2 for record in own])
        true_px, found_px = (np.array([getattr(record, name) for record in own]) for name in ("true_px", "found_px"))
        sizes = (volume_mm3(areas, pixel_um2, distance_um) for areas in (true_px, found_px))
        found.append(Volume(subject, grader, *sizes))
    return found


def _volume(
    scans: Sequence[FluidScan], distance_um: float, subjects: Sequence[str], of_subjects: Array
) -> dict[Key, Array]:
    measured = volumes(scans, distance_um)
    errors = np.array([volume.found_mm3 - volume.true_mm3 for volume in measured])
    weights = of_subjects[:, [subjects.index(volume.subject) for volume in measured]]
    return {
        ("volume_signed", FLUID, "mm3", "mean_over_subjects"): weighted_mean(errors, weights),
        ("volume_absolute", FLUID, "mm3", "mean_over_subjects"): weighted_mean(np.abs(errors), weights),
    }


def _lesions(scans: Sequence[FluidScan], of_scans: Array) -> dict[Key, Array]:
    """Recall over lesions drawn and precision over lesions found, by either criterion, of all and by size."""
    values: dict[Key, Array] = {}
    sizes = [ALL_SIZES, *SIZES_UM2]
    for side, score in (("drawn", "recall"), ("found", "precision")):
        pieces: list[tuple[Lesions, float]] = [(getattr(s.record, side), s.record.pixel_um2) for s in scans]
        is_of_size = [_of_sizes(lesions, pixel_um2) for lesions, pixel_um2 in pieces]
        number = np.stack([mask.sum(axis=1) for mask in is_of_size]).astype(np.float64)
        for place, size in enumerate(sizes):
            values[f"lesions_{side}", size, "lesions", "count"] = number[:, place].sum(keepdims=True)
        for criterion in ("covered", "paired"):
            hits = [
                mask & getattr(lesions, f"is_{criterion}")
                for mask, (lesions, _) in zip(is_of_size, pieces, strict=True)
            ]
            num_hits = np.stack([mask.sum(axis=1) for mask in hits]).astype(np.float64)
            shares = _shares(of_scans @ num_hits, of_scans @ number)
            for place, size in enumerate(sizes):
                values[f"lesion_{score}_{criterion}", size, "share", "pooled"] = shares[:, place]
    return values


def _of_sizes(lesions: Lesions, pixel_um2: float) -> Array:
    """Which of K lesions are of any size, then of each class of sizes: (1 + classes, K) bool."""
    classes = size_classes(lesions.area_px, pixel_um2)
    return np.stack([np.ones(len(classes), bool), *(classes == place for place in range(len(SIZES_UM2)))])


def _shares(parts: Array, wholes: Array) -> Array:
    return np.asarray(np.divide(parts, wholes, out=np.full(wholes.shape, np.nan), where=wholes > 0))
