"""Where pixels go wrong: by distance to the nearest surface, to which neighbour, by depth and column.

H rows (depth), W columns (A-scans), C classes, S surfaces. Everything is a count, so that scans add up; pixels
labelled IGNORE are in no count. Pixel row r spans r to r + 1, a surface at row s lies between rows s - 1 and s: the
pixel's centre is |r + 0.5 - s| pixels from it, along the column.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from retseg.anatomy import CLASS_NAMES, IGNORE

Array = npt.NDArray[Any]

DISTANCE_EDGES_PX = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, float("inf"))
"""Bins of distance to the nearest surface; each holds its lower edge. Whole pixels, see `errors_by_distance`."""

MAP_DEPTHS_PX = (-40, 200)
MAP_BIN_PX = 4
MAP_ROWS = (MAP_DEPTHS_PX[1] - MAP_DEPTHS_PX[0]) // MAP_BIN_PX
MAP_COLUMNS = 50
"""The error map: depth below the ILM in bins of MAP_BIN_PX, and equal parts of the scan's width."""


def errors_by_distance(prediction: Array, truth: Array, true_rows: Array) -> Array:
    """Wrong and all annotated pixels (2, D) int64 by axial distance in px to the nearest known true surface.

    From class ids (H, W) each and surface rows (S, W), in the bins of DISTANCE_EDGES_PX. Columns without a known
    surface are in no bin.
    """
    centres = np.arange(truth.shape[0], dtype=np.float32)[:, None] + np.float32(0.5)
    known = np.where(np.isfinite(true_rows), true_rows, np.inf).astype(np.float32)
    last = int(DISTANCE_EDGES_PX[-2])
    distance = np.full(truth.shape, last, np.float32)  # beyond the last edge all are equal
    for rows in known:
        np.minimum(distance, np.abs(centres - rows), out=distance)
    bin_of_px = np.searchsorted(DISTANCE_EDGES_PX, np.arange(last + 1), side="right") - 1
    is_counted = (truth != IGNORE) & np.isfinite(known).any(axis=0)
    return _count(prediction != truth, bin_of_px[distance.astype(np.uint8)], is_counted, len(DISTANCE_EDGES_PX) - 1)


def error_map(prediction: Array, truth: Array, true_rows: Array) -> Array:
    """Wrong and all annotated pixels (2, MAP_ROWS, MAP_COLUMNS) int64 by depth below the true ILM and by column.

    From class ids (H, W) each and surface rows (S, W). Depths beyond MAP_DEPTHS_PX, and columns whose ILM is unknown,
    are left out.
    """
    num_rows, num_columns = truth.shape
    column = (2 * np.arange(num_columns) + 1) * MAP_COLUMNS // (2 * num_columns)
    above_px = np.where(np.isfinite(true_rows[0]), true_rows[0], np.inf).astype(np.float32) + MAP_DEPTHS_PX[0]
    depth = (np.arange(num_rows, dtype=np.float32)[:, None] + np.float32(0.5) - above_px) / MAP_BIN_PX
    is_counted = (truth != IGNORE) & (depth >= 0) & (depth < MAP_ROWS)
    cell = np.where(is_counted, depth, 0).astype(np.int64) * MAP_COLUMNS + column
    counts = _count(prediction != truth, cell, is_counted, MAP_ROWS * MAP_COLUMNS)
    return counts.reshape(2, MAP_ROWS, MAP_COLUMNS)


def _count(is_wrong: Array, cell: Array, is_counted: Array, num_cells: int) -> Array:
    """Wrong and all pixels (2, num_cells) int64 by cell (H, W), of those counted (H, W)."""
    right, wrong = np.bincount((cell + num_cells * is_wrong)[is_counted], minlength=2 * num_cells).reshape(2, -1)
    return np.stack([wrong, right + wrong])


def neighbour_confusion(confusion: npt.ArrayLike) -> dict[str, dict[str, float]]:
    """Where wrong pixels of a confusion matrix (C, C), rows truth, went: "all" of them, and by true class name.

    Each has num_wrong and the shares that went to the class next "above", next "below" and "elsewhere" in depth (nan
    where nothing is wrong). Background lies above the first layer and below the last, so it neighbours both.
    """
    counts = np.asarray(confusion)
    classes = np.arange(len(counts))
    wrong = counts.sum(axis=1) - counts.diagonal()
    above, below = counts[classes, classes - 1], counts[classes, (classes + 1) % len(counts)]
    rows = {"all": (wrong.sum(), above.sum(), below.sum())}
    rows |= {name: (wrong[k], above[k], below[k]) for k, name in enumerate(CLASS_NAMES)}
    return {name: _shares(*(int(count) for count in row)) for name, row in rows.items()}


def _shares(wrong: int, above: int, below: int) -> dict[str, float]:
    """Counts of wrong pixels as shares of them."""
    counts = {"above": above, "below": below, "elsewhere": wrong - above - below}
    return {"num_wrong": wrong} | {name: count / wrong if wrong else float("nan") for name, count in counts.items()}


def over_and_under(confusion: npt.ArrayLike) -> tuple[Array, Array]:
    """False positives and false negatives over true pixels, (C,) each, from counts (C, C); absent from truth: nan.

    The first is over-segmentation (1: as many pixels too many as the class has), the second is 1 - recall.
    """
    counts = np.asarray(confusion)
    true = np.where(counts.sum(axis=1) > 0, counts.sum(axis=1), np.nan)
    hits = counts.diagonal()
    return (counts.sum(axis=0) - hits) / true, (counts.sum(axis=1) - hits) / true
