"""The long table of scores: a row for each score, what it is of and how it averages, with interval and ceiling."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retseg.anatomy import SURFACE_NAMES
from retseg.bscan import Array
from retseg.evaluation.quantities import (
    OVERLAPS,
    Quantities,
    Quantity,
    by_name,
    distance_quantities,
    nanmean,
    overlap_quantities,
)
from retseg.evaluation.record import ScanRecord
from retseg.evaluation.sums import Sums, Unit, scaled_errors, scan_sums, subject_rows
from retseg.metrics.statistics import interval, resample_weights, standing

NAN = float("nan")
LEVEL = 0.95
NUM_DRAWS = 2000
PERCENTILE = 95
NUM_ERROR_BINS = 4096
"""Of the histograms from which draws of a percentile are read: their ends are good to 1/4096 of the largest error."""

ORDER = (
    *OVERLAPS,
    "surface_mean_absolute",
    "surface_rms",
    "surface_p95",
    "surface_signed",
    "surface_missing",
    "thickness_mean_absolute",
    "thickness_signed",
)
"""Of the rows of a table."""

SIGNED = ("surface_signed", "thickness_signed")
"""Scores of which neither more nor less is better."""


@dataclass(frozen=True, slots=True)
class Score:
    """One row: value, its interval by subject (nan: none), and the second grader's ceiling with where it stands to it.

    average: pooled, pooled_micro, pooled_macro, mean_over_scans, mean_over_subjects; see `definitions.DEFINITIONS`.
    num_subjects: how many the interval was drawn from.
    """

    score: str
    of: str
    unit: str
    average: str
    value: float
    low: float = NAN
    high: float = NAN
    num_subjects: int = 0
    ceiling: float = NAN
    ceiling_low: float = NAN
    ceiling_high: float = NAN
    standing: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A score of one labelling on one set of scans: its value, and its values (B,) in the draws of subjects."""

    value: float
    draws: Array


def score_table(records: Sequence[ScanRecord], unit: Unit, num_draws: int = NUM_DRAWS) -> list[Score]:
    """Scores of overlap and distance of scans, in the order of print.

    The ceiling is scored on the scans that have one. The interval of score - ceiling, on the same scans and the same
    draws, says whether a score stands below, at or above it.
    """
    found = drawn_scores(records, unit, num_draws)
    with_ceiling = [record for record in records if record.ceiling is not None]
    ceilings = [record.ceiling for record in with_ceiling if record.ceiling is not None]
    same = found if len(ceilings) == len(records) else drawn_scores(with_ceiling, unit, num_draws)
    ceiling = drawn_scores(ceilings, unit, num_draws)
    num_subjects = len({record.subject for record in records})
    return [_row(name, unit, drawn, same.get(name), ceiling.get(name), num_subjects) for name, drawn in found.items()]


def _row(
    name: Quantity, unit: Unit, found: Drawn, same: Drawn | None, ceiling: Drawn | None, num_subjects: int
) -> Score:
    low, high = interval_of(found.draws)
    is_distance = name.score.startswith(("surface", "thickness")) and name.score != "surface_missing"
    row = (name.score, name.of, unit if is_distance else "share", name.pooling, found.value, low, high, num_subjects)
    if same is None or ceiling is None:
        return Score(*row)
    is_better_higher = not name.score.startswith(("surface", "thickness"))
    place = "" if name.score in SIGNED else standing(*interval_of(same.draws - ceiling.draws), is_better_higher)
    return Score(*row, ceiling.value, *interval_of(ceiling.draws), place)


def interval_of(draws: Array) -> tuple[float, float]:
    """Interval of draws (B,); none: nan."""
    low, high = interval(draws, LEVEL)
    return float(low), float(high)


def drawn_scores(records: Sequence[ScanRecord], unit: Unit, num_draws: int) -> dict[Quantity, Drawn]:
    """Every score of scans by name; its pooling is the average: mean_over_scans and mean_over_subjects among them."""
    if not records:
        return {}
    subjects, membership = subject_rows(records)
    weights = resample_weights(len(subjects), num_draws)
    scans = scan_sums(records, unit)
    by_subject = scans.weighted(membership)
    of_scans, of_subjects = overlap_quantities(scans.confusion), quantities(by_subject)
    pooled = quantities(by_subject.weighted(np.ones((1, len(subjects)))))
    draws = quantities(by_subject.weighted(weights))
    percentiles = _Percentiles.of(records, unit, membership)
    of_subjects |= percentiles.quantities(percentiles.by_subject)
    pooled |= percentiles.quantities(percentiles.pooled[None])
    draws |= percentiles.quantities(percentiles.draws(weights))
    scored: dict[Quantity, Drawn] = {}
    for name in sorted(pooled, key=lambda name: ORDER.index(name.score)):
        scored[name] = Drawn(float(pooled[name][0]), draws[name])
        if name.pooling == "pooled_micro":
            continue
        if name in of_scans:
            mean = float(nanmean(of_scans[name], axis=0))
            scored[name._replace(pooling="mean_over_scans")] = Drawn(mean, np.full(len(weights), NAN))
        mean = float(nanmean(of_subjects[name], axis=0))
        scored[name._replace(pooling="mean_over_subjects")] = Drawn(mean, _weighted_means(weights, of_subjects[name]))
    return scored


def quantities(sums: Sums) -> Quantities:
    """Everything that follows from sums, N rows."""
    return overlap_quantities(sums.confusion) | distance_quantities(sums)


def _weighted_means(weights: Array, values: Array) -> Array:
    """Means (B,) of values (N,) in each draw, weighted by weights (B, N); nan left out."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        means: Array = (weights @ np.where(known, values, 0)) / (weights @ known.astype(np.float64))
    return means


@dataclass(frozen=True, slots=True, eq=False)
class _Percentiles:
    """The 95th percentile of absolute surface errors: pooled (S,), by_subject (N, S), and what draws are read from.

    cumulative: (N, S, NUM_ERROR_BINS) columns of each subject whose error is in this bin or below, of widths (S,).
    """

    pooled: Array
    by_subject: Array
    cumulative: Array
    widths: Array

    @classmethod
    def of(cls, records: Sequence[ScanRecord], unit: Unit, membership: Array) -> "_Percentiles":
        """Of scans, with membership (subjects, scans)."""
        errors = [np.abs(scaled_errors(record, unit)[0]) for record in records]
        owner = membership.argmax(axis=0)
        num_subjects = len(membership)
        pooled, widths = np.full(len(SURFACE_NAMES), NAN), np.ones(len(SURFACE_NAMES))
        by_subject = np.full((num_subjects, len(SURFACE_NAMES)), NAN)
        counts = np.zeros((num_subjects, len(SURFACE_NAMES), NUM_ERROR_BINS))
        for surface in range(len(SURFACE_NAMES)):
            known = [rows[surface][np.isfinite(rows[surface])] for rows in errors]
            values = np.concatenate(known)
            if not values.size:
                continue
            pooled[surface] = np.percentile(values, PERCENTILE)
            widths[surface] = max(values.max(), np.finfo(np.float64).tiny) / NUM_ERROR_BINS
            for subject in range(num_subjects):
                own = np.concatenate([rows for rows, s in zip(known, owner, strict=True) if s == subject])
                if own.size:
                    by_subject[subject, surface] = np.percentile(own, PERCENTILE)
                bins = np.minimum((own / widths[surface]).astype(np.int64), NUM_ERROR_BINS - 1)
                counts[subject, surface] = np.bincount(bins, minlength=NUM_ERROR_BINS)
        return cls(pooled, by_subject, counts.cumsum(axis=2), widths)

    def draws(self, weights: Array) -> Array:
        """The percentile (B, S) in draws weighted by weights (B, N), to half a bin."""
        found = np.full((len(weights), len(self.widths)), NAN)
        for surface, width in enumerate(self.widths):
            cumulative = weights.astype(np.float32) @ self.cumulative[:, surface].astype(np.float32)
            total = cumulative[:, -1]
            below = (cumulative < PERCENTILE / 100 * total[:, None]).sum(axis=1)
            found[:, surface] = np.where(total > 0, (below + 0.5) * width, NAN)
        return found

    @staticmethod
    def quantities(values: Array) -> Quantities:
        """Percentiles (N, S) by name, with their mean over surfaces."""
        return by_name("surface_p95", values, SURFACE_NAMES)
