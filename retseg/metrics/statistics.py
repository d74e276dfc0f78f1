"""How sure a score is, with the subject as the unit: bootstrap intervals, a paired test, Holm's correction.

B draws of the bootstrap, S subjects. B-scans of one subject resemble each other, so they are never drawn one by one.
"""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Standing = Literal["below", "at", "above", ""]

MAX_EXACT_SUBJECTS = 16
"""Up to here `paired_test` goes through all 2^S patterns of signs; above, through NUM_FLIPS random ones."""
NUM_FLIPS = 20_000
# Sums that differ by less than this share of what they add up are equal: rounding must not break ties.
TIE = 1e-12


def resample_weights(num_subjects: int, num_draws: int = 2000, seed: int = 0) -> Array:
    """How often (B, S) int64 each subject is in each draw of S subjects with replacement.

    A pooled score of a draw is the score of the subjects' sums weighted so. Fewer than two subjects: no draws (0, S),
    for one subject tells nothing of how much subjects differ.
    """
    if num_subjects < 2:
        return np.zeros((0, num_subjects), np.int64)
    return np.random.default_rng(seed).multinomial(num_subjects, np.full(num_subjects, 1 / num_subjects), num_draws)


def interval(draws: Array, level: float = 0.95) -> tuple[Array, Array]:
    """Lower and upper percentile (...) of draws (B, ...), each tail (1 - level) / 2; nan draws are left out.

    No draws, or only nan: nan. Percentiles interpolate between draws as numpy.percentile does.
    """
    nothing = np.full((1, *draws.shape[1:]), np.nan)
    ordered = np.sort(np.concatenate([draws, nothing]), axis=0)  # nan last
    last = np.maximum(np.isfinite(ordered).sum(axis=0, keepdims=True) - 1, 0)
    tail = (1 - level) / 2
    return _at(ordered, tail * last, last), _at(ordered, (1 - tail) * last, last)


def _at(ordered: Array, place: Array, last: Array) -> Array:
    """Values (...) of draws (B, ...) at fractional places (1, ...) of the first axis."""
    below = np.floor(place).astype(np.int64)
    low = np.take_along_axis(ordered, below, axis=0)
    high = np.take_along_axis(ordered, np.minimum(below + 1, last), axis=0)
    values: Array = (low + (high - low) * (place - below))[0]
    return values


def paired_test(differences: Array) -> float:
    """Two-sided p-value of paired differences (S,), one a subject; below two subjects: nan.

    The share of sign patterns whose mean lies at least as far from 0 as the one found: all 2^S of them up to
    MAX_EXACT_SUBJECTS, NUM_FLIPS random ones above (the one found counts as one more). nan is left out. It is never
    smaller than 2 / 2^S: 0.0625 for five subjects.
    """
    known = differences[np.isfinite(differences)].astype(np.float64)
    if known.size < 2:
        return float("nan")
    is_exact = known.size <= MAX_EXACT_SUBJECTS
    if is_exact:
        # The first sign stays: the other half of the patterns mirrors this one.
        patterns = np.arange(2 ** (known.size - 1))[:, None] >> np.arange(known.size) & 1
    else:
        patterns = np.random.default_rng(0).integers(0, 2, (NUM_FLIPS, known.size), dtype=np.int8)
    sums = (1.0 - 2.0 * patterns) @ known
    is_as_far = np.abs(sums) >= np.abs(known.sum()) - TIE * np.abs(known).sum()
    if is_exact:
        return float(is_as_far.mean())
    return float((is_as_far.sum() + 1) / (NUM_FLIPS + 1))


def holm(p_values: Array) -> Array:
    """P-values (K,) corrected for being K tests (Holm 1979, step-down); nan stays nan and counts as no test."""
    adjusted = np.full(p_values.shape, np.nan)
    known = np.flatnonzero(np.isfinite(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p_values[order]), 1)
    return adjusted


def standing(low: float, high: float, higher_is_better: bool) -> Standing:
    """Where a score stands to its ceiling, from the interval of score - ceiling; "" where the interval is unknown.

    "below" always means worse than the ceiling and "above" better, whichever way the score counts; "at": the interval
    contains 0.
    """
    if not (np.isfinite(low) and np.isfinite(high)):
        return ""
    if low <= 0 <= high:
        return "at"
    return "above" if (low > 0) == higher_is_better else "below"
