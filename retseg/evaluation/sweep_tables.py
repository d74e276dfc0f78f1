"""What a sweep of runs says, by subject: what a leaky split pays, what each ablation costs. One row a scan comes in.

Scans are a table with the columns arm (which of the compared kinds of run), seed, subject, scan, and a column for each
score. A subject's score in an arm is the mean over all its scans and seeds; arms are compared subject by subject, over
the subjects that every arm has scored. Intervals: 95 % percentile bootstrap over these subjects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from retseg.errors import InputError
from retseg.metrics.statistics import holm, interval, paired_test, resample_weights

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ArmDifference:
    """An arm against a reference, in one score: means over subjects, their paired difference, its interval and p."""

    arm: str
    reference: str
    score: str
    num_subjects: int
    num_scored: int
    value: float
    low: float
    high: float
    reference_value: float
    difference: float
    difference_low: float
    difference_high: float
    p: float


def subject_means(scans: pd.DataFrame, score: str) -> pd.DataFrame:
    """Subjects (rows) x arms (columns): mean of a score over a subject's scans and seeds; common subjects only."""
    means = scans.groupby(["subject", "arm"])[score].mean().unstack("arm").dropna()
    if means.empty:
        arms = ", ".join(sorted(scans["arm"].unique()))
        raise InputError(f"no subject is scored in every one of {arms}; wait for the jobs that are missing")
    return means


def compare_arms(scans: pd.DataFrame, score: str, reference: str, num_draws: int = 10_000) -> list[ArmDifference]:
    """Every arm against the reference, in order of appearance; p of an exact paired test, not corrected.

    The reference is there too, without a difference to itself: nan.
    """
    means = subject_means(scans, score)
    weights = resample_weights(len(means), num_draws)
    return [
        _difference(arm, reference, score, means, weights, int((scans["arm"] == arm).sum()))
        for arm in dict.fromkeys(scans["arm"])
    ]


def _difference(
    arm: str, reference: str, score: str, means: pd.DataFrame, weights: Array, num_scored: int
) -> ArmDifference:
    values, base = means[arm].to_numpy(), means[reference].to_numpy()
    differences = np.full_like(values, np.nan) if arm == reference else values - base
    low, high = _interval(weights, values)
    difference_low, difference_high = _interval(weights, differences)
    return ArmDifference(
        arm=arm,
        reference=reference,
        score=score,
        num_subjects=len(means),
        num_scored=num_scored,
        value=float(values.mean()),
        low=low,
        high=high,
        reference_value=float(base.mean()),
        difference=float(differences.mean()),
        difference_low=difference_low,
        difference_high=difference_high,
        p=paired_test(differences),
    )


def corrected(rows: Sequence[ArmDifference]) -> Array:
    """Holm-corrected p of each row (R,); nan where a row has none."""
    return holm(np.array([row.p for row in rows]))


def _interval(weights: Array, values: Array) -> tuple[float, float]:
    """Interval of the mean of values (S,) over draws of subjects (B, S)."""
    low, high = interval(weights @ values / len(values))
    return float(low), float(high)
