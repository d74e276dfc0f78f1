"""Overlap of fluid found with fluid drawn: a yes or no a pixel, beside the layers and not in their order.

H rows, W columns; N scans or sets of scans. Truth is 1 where fluid was drawn, 0 where somebody looked and drew none,
IGNORE where nobody looked: those pixels are in no count.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from retseg.anatomy import IGNORE

Array = npt.NDArray[Any]

HITS, FALSE_ALARMS, MISSES = 0, 1, 2
"""Places in counts (..., 3): pixels found and drawn, found and not drawn, drawn and not found."""


def fluid_counts(found: Array, truth: Array) -> Array:
    """Hits, false alarms and misses (3,) int64 from fluid found (H, W) bool and truth (H, W) of 0, 1 and IGNORE."""
    is_true, is_known = truth == 1, truth != IGNORE
    hits, known_found = int((found & is_true).sum()), int((found & is_known).sum())
    return np.array([hits, known_found - hits, int(is_true.sum()) - hits], np.int64)


def dice(counts: Array) -> Array:
    """2 TP / (2 TP + FP + FN), (...) from counts (..., 3); no fluid found and none drawn: nan.

    Of counts of one scan it is the scan's Dice, of their sum over scans the pooled one.
    """
    return _share(2 * counts[..., HITS], 2 * counts[..., HITS] + counts[..., FALSE_ALARMS] + counts[..., MISSES])


def iou(counts: Array) -> Array:
    """TP / (TP + FP + FN), (...) from counts (..., 3); no fluid found and none drawn: nan."""
    return _share(counts[..., HITS], counts.sum(axis=-1))


def recall(counts: Array) -> Array:
    """TP / (TP + FN), (...) from counts (..., 3); none drawn: nan."""
    return _share(counts[..., HITS], counts[..., HITS] + counts[..., MISSES])


def precision(counts: Array) -> Array:
    """TP / (TP + FP), (...) from counts (..., 3); none found: nan."""
    return _share(counts[..., HITS], counts[..., HITS] + counts[..., FALSE_ALARMS])


def is_empty(counts: Array) -> Array:
    """Whether no fluid was found and none drawn, (...) bool from counts (..., 3)."""
    return np.asarray(counts.sum(axis=-1) == 0)


def weighted_mean(values: Array, weights: Array, absent: float = np.nan) -> Array:
    """Means (M,) of values (N,), each counted as often as weights (M, N) say.

    absent: what a nan counts as; nan itself leaves it out. No value counts: nan.
    """
    values = np.where(np.isnan(values), absent, values)
    is_known = np.isfinite(values)
    return _share(weights @ np.where(is_known, values, 0.0), weights @ is_known.astype(np.float64))


def _share(part: Array, whole: Array) -> Array:
    """Part of a whole; nan where the whole is 0."""
    nothing = np.full(np.shape(whole), np.nan)
    return np.asarray(np.divide(part, whole, out=nothing, where=np.asarray(whole) != 0))
