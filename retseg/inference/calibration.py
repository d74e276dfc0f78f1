"""Factors of intervals by split conformal prediction on held-out scans, and the coverage that they are found to have.

A score is |predicted - true| / sd (Lei et al. 2018, doi 10.1080/01621459.2017.1307116, section 5.2; Angelopoulos &
Bates 2023, doi 10.1561/2200000101, section 2.3). The factor of a slab is the quantile of its scores at

    level (n + 1) / n,   n held-out scans,

over all subjects together, each with the same weight, however many scans and columns it has. For scan means of equally
many scans a subject this is the usual conformal quantile. What it promises holds for new scans like the held-out ones
on average. It is no promise for a subject: columns of a scan go together, and subjects differ. A distribution-free one
for a new subject needs 9 held-out subjects or more at 90 % (Dunn, Wasserman & Ramdas 2022,
doi 10.1080/01621459.2022.2060112) and is then the widest of them; so the coverage of each subject by the factors of the
others is counted and stored beside.

L slabs, W columns, J stretches of AREA_UM along a scan.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retseg.bscan import Array, Spacing
from retseg.errors import InputError
from retseg.geometry.thickness import SLABS, thickness_profile
from retseg.inference.intervals import AREA_UM, KINDS, Kind, mean_over, slab_sd
from retseg.inference.members import Mode

FEWEST_SUBJECTS = 3
COLUMN_STRIDE = 4
"""Every 4th column is counted: neighbours say nearly the same."""


@dataclass(frozen=True, slots=True, eq=False)
class ScanScores:
    """Scores of one scan: columns (L, W), areas (L, J), scans (L, 1): |error| / sd, nan where either is unknown.

    error, sd: (L,) mean absolute error and mean sd of its columns, in `unit`. num_missing: of its num_annotated
    columns, those in which the network finds no retina.
    """

    subject: str
    columns: Array
    areas: Array
    scans: Array
    error: Array
    sd: Array
    unit: str
    num_annotated: int
    num_missing: int

    def of(self, kind: Kind) -> Array:
        """Scores (L, ...) of one kind."""
        return {"columns": self.columns, "areas": self.areas, "scans": self.scans}[kind]


def score_scan(subject: str, surface_rows: Array, row_sd: Array, true_rows: Array, spacing: Spacing) -> ScanScores:
    """Scores from rows (S, W), their sd (S, W) and the true rows (S, W), all in px of the scan."""
    found, truth = thickness_profile(surface_rows, spacing), thickness_profile(true_rows, spacing)
    error, sd = found.values - truth.values, slab_sd(row_sd, spacing).values
    known = np.isfinite(error) & np.isfinite(sd)
    is_annotated = np.isfinite(true_rows).all(axis=0)
    error, sd = np.where(known, error, np.nan), np.where(known, sd, np.nan)
    return ScanScores(
        subject=subject,
        columns=np.abs(error / sd)[:, ::COLUMN_STRIDE].astype(np.float32),
        areas=_area_scores(error, sd, known, spacing),
        scans=np.abs(mean_over(error, known) / mean_over(sd, known))[:, None],
        error=mean_over(np.abs(error), known),
        sd=mean_over(sd, known),
        unit=found.unit,
        num_annotated=int(is_annotated.sum()),
        num_missing=int((is_annotated & ~np.isfinite(surface_rows).all(axis=0)).sum()),
    )


def _area_scores(error: Array, sd: Array, known: Array, spacing: Spacing) -> Array:
    """Scores (L, J) of the means of stretches of AREA_UM; nan where half of one is unknown. None of unknown scale."""
    num_columns = error.shape[1]
    length = num_columns + 1 if spacing.lateral_um is None else max(round(AREA_UM / spacing.lateral_um), 1)
    count = num_columns // length
    first = (num_columns - count * length) // 2

    def cut(values: Array) -> Array:
        return values[:, first : first + count * length].reshape(len(values), count, -1 if count == 0 else length)

    if count == 0:
        return np.full((len(error), 0), np.nan)
    parts = cut(known)
    scores = np.abs(mean_over(cut(error), parts) / mean_over(cut(sd), parts))
    return np.asarray(np.where(parts.mean(axis=2) > 0.5, scores, np.nan))


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """What held-out scans say at one level, by kind: factors (L,), and the coverage (L, subjects) of each subject.

    Coverage is counted by factors of the other subjects. nan: too few scans for the level.
    """

    level: float
    factors: dict[Kind, Array]
    coverage: dict[Kind, Array]
    subjects: tuple[str, ...]
    num_scans: int


def calibrate(scores: Sequence[ScanScores], level: float) -> Calibrated:
    """Factors at a level between 0 and 1. InputError for fewer than FEWEST_SUBJECTS subjects or another level."""
    if not 0 < level < 1:
        raise InputError(f"--level {level:g}: expected a share between 0 and 1, e.g. 0.9")
    subjects = tuple(sorted({score.subject for score in scores}))
    if len(subjects) < FEWEST_SUBJECTS:
        raise InputError(
            f"{len(subjects)} held-out subjects, intervals need {FEWEST_SUBJECTS}: one subject's scans say nothing "
            "about others; hold out more in training, or give other labelled scans with --data"
        )
    factors: dict[Kind, Array] = {}
    coverage: dict[Kind, Array] = {}
    for kind in KINDS:
        by_subject = [_together([score.of(kind) for score in scores if score.subject == name]) for name in subjects]
        counts = [sum(score.subject == name for score in scores) for name in subjects]
        factors[kind] = conformal_factors(by_subject, sum(counts), level)
        coverage[kind] = np.stack(
            [
                _covered(mine, conformal_factors(_without(by_subject, place), sum(counts) - counts[place], level))
                for place, mine in enumerate(by_subject)
            ],
            axis=1,
        )
    return Calibrated(level, factors, coverage, subjects, len(scores))


def conformal_factors(by_subject: Sequence[Array], num_scans: int, level: float) -> Array:
    """Factors (L,) from scores (L, ...) of each subject: the least one with enough weight at or below it, else nan."""
    wanted = level * (num_scans + 1) / num_scans
    num_slabs = len(by_subject[0])
    factors = np.full(num_slabs, np.nan)
    if wanted > 1:
        return factors
    for slab in range(num_slabs):
        known = [scores[slab][np.isfinite(scores[slab])] for scores in by_subject]
        known = [scores for scores in known if len(scores)]
        if not known:
            continue
        values = np.concatenate(known).astype(np.float64)
        weights = np.concatenate([np.full(len(scores), 1 / len(scores) / len(known)) for scores in known])
        order = np.argsort(values, kind="stable")
        place = np.searchsorted(np.cumsum(weights[order]), wanted - 1e-9)
        factors[slab] = values[order][min(int(place), len(values) - 1)]
    return factors


def _together(scores: Sequence[Array]) -> Array:
    return np.concatenate(list(scores), axis=1)


def _without(parts: Sequence[Array], place: int) -> list[Array]:
    return [part for number, part in enumerate(parts) if number != place]


def _covered(scores: Array, factors: Array) -> Array:
    """Share (L,) of known scores (L, ...) that a factor covers; nan where either is not known."""
    known = np.isfinite(scores) & np.isfinite(factors)[:, None]
    return mean_over(scores <= factors[:, None], known)


def to_json(calibrated: Calibrated, mode: Mode, data_name: str, label_origin: str, scans: str) -> dict[str, Any]:
    """An entry of `intervals` in reference.json. scans: which ones, in words."""
    return {
        "mode": mode.to_json(),
        "level": calibrated.level,
        "slabs": [slab.name for slab in SLABS],
        "factors": {kind: _plain(calibrated.factors[kind]) for kind in KINDS},
        "coverage_of_subjects_left_out": {
            kind: {
                "mean": _plain(mean_over(shares, np.isfinite(shares))),
                "lowest": _plain(np.where(np.isfinite(shares), shares, np.inf).min(axis=1)),
            }
            for kind, shares in calibrated.coverage.items()
        },
        "num_scans": calibrated.num_scans,
        "num_subjects": len(calibrated.subjects),
        "subjects": list(calibrated.subjects),
        "data_name": data_name,
        "label_origin": label_origin,
        "scans": scans,
        "area_um": AREA_UM,
    }


def with_entry(entries: Sequence[dict[str, Any]], entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Entries with a new one in place of that of the same mode and level."""
    mode = Mode.from_json(entry["mode"])
    others = [one for one in entries if (Mode.from_json(one["mode"]), one["level"]) != (mode, entry["level"])]
    return [*others, entry]


def _plain(values: Array) -> list[float | None]:
    return [round(float(value), 6) if np.isfinite(value) else None for value in values]
