"""Several evaluations side by side: differences to the first by subject, with intervals and an exact paired test.

S subjects, B draws. Only B-scans that all have scored count, so that no difference is one of scans.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from retseg.bscan import Array
from retseg.errors import InputError
from retseg.evaluation.quantities import CLASSES, LAYERS, SURFACES, Quantity
from retseg.evaluation.record import ScanRecord
from retseg.evaluation.scores import NUM_DRAWS, interval_of, quantities
from retseg.evaluation.sums import Unit, scan_sums, subject_rows
from retseg.metrics.statistics import MAX_EXACT_SUBJECTS, NUM_FLIPS, holm, paired_test, resample_weights

COMPARED = (
    Quantity("dice", LAYERS, "pooled_macro"),
    Quantity("iou", LAYERS, "pooled_macro"),
    Quantity("recall", LAYERS, "pooled_macro"),
    Quantity("precision", LAYERS, "pooled_macro"),
    Quantity("dice", CLASSES, "pooled_macro"),
    Quantity("surface_mean_absolute", SURFACES, "pooled_macro"),
    Quantity("thickness_mean_absolute", LAYERS, "pooled_macro"),
)
"""What runs are compared in: each subject's pooled score, then the mean over subjects."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A run against the first in one score: means over the common subjects, their difference, its interval and p.

    The first run itself has no difference (nan). p_holm: corrected for all tests of the table.
    """

    run: str
    score: str
    of: str
    unit: str
    num_subjects: int
    num_scans: int
    value: float
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float
    p: float
    p_holm: float = float("nan")


def common_records(runs: Mapping[str, Sequence[ScanRecord]]) -> dict[str, list[ScanRecord]]:
    """Of each run, the records of scans that every run has scored. InputError where there is none."""
    names = [{record.name for record in records} for records in runs.values()]
    common = set.intersection(*names)
    if not common:
        sizes = ", ".join(f"{run}: {len(records)} scans" for run, records in runs.items())
        raise InputError(f"no scan is scored in all runs ({sizes}); compare runs that held out the same subjects")
    return {
        run: sorted((record for record in records if record.name in common), key=lambda record: record.name)
        for run, records in runs.items()
    }


def compare(runs: Mapping[str, Sequence[ScanRecord]], num_draws: int = NUM_DRAWS) -> list[Difference]:
    """Every run against the first, in every score of COMPARED."""
    common = common_records(runs)
    is_scaled = all(np.isfinite(record.axial_um) for records in common.values() for record in records)
    unit: Unit = "um" if is_scaled else "px"
    by_run = {run: _by_subject(records, unit) for run, records in common.items()}
    first = next(iter(by_run))
    weights = resample_weights(len(next(iter(by_run[first].values()))), num_draws)
    num_scans = len(common[first])
    rows = []
    for quantity in COMPARED:
        base = by_run[first][quantity]
        for run, scores in by_run.items():
            differences = np.full_like(base, np.nan) if run == first else scores[quantity] - base
            name = (quantity.score, quantity.of, unit if "mean_absolute" in quantity.score else "share")
            rows.append(_row(run, name, num_scans, scores[quantity], differences, weights))
    corrected = holm(np.array([row.p for row in rows]))
    return [replace(row, p_holm=float(p)) for row, p in zip(rows, corrected, strict=True)]


def _by_subject(records: Sequence[ScanRecord], unit: Unit) -> dict[Quantity, Array]:
    """Scores (S,) of subjects, sorted by name."""
    _, membership = subject_rows(records)
    found = quantities(scan_sums(records, unit).weighted(membership))
    return {quantity: found[quantity] for quantity in COMPARED}


def _row(
    run: str, name: tuple[str, str, str], num_scans: int, values: Array, differences: Array, weights: Array
) -> Difference:
    return Difference(
        run,
        *name,
        num_subjects=len(values),
        num_scans=num_scans,
        value=float(values.mean()),
        low=_interval(values, weights)[0],
        high=_interval(values, weights)[1],
        difference=float(differences.mean()),
        difference_low=_interval(differences, weights)[0],
        difference_high=_interval(differences, weights)[1],
        p=paired_test(differences),
    )


def _interval(values: Array, weights: Array) -> tuple[float, float]:
    """Interval of the mean of values (S,) over draws of subjects (B, S)."""
    return interval_of(weights @ values / len(values))


def smallest_p(num_subjects: int) -> float:
    """The smallest p that the paired test can give at all."""
    if num_subjects < 2:
        return float("nan")
    exact = 2.0 / 2**num_subjects
    return exact if num_subjects <= MAX_EXACT_SUBJECTS else 1 / (NUM_FLIPS + 1)
