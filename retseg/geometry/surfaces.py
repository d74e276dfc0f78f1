"""Between surfaces and masks of one B-scan. H rows (depth), W columns (A-scans), S surfaces, top to bottom."""

from typing import Any

import numpy as np
import numpy.typing as npt

from retseg.anatomy import IGNORE, NUM_CLASSES, NUM_SURFACES

Array = npt.NDArray[Any]


def paint_mask(surface_rows: Array, num_rows: int) -> Array:
    """Class ids (H, W) int8 from 0-based surface rows (S, W); class k fills rows s[k-1] <= row < s[k].

    Rows are rounded to the pixel as numpy.rint does. Class 0 is above the first and from the last surface on.
    Only what the annotation settles gets a class: between two known surfaces with an unknown one (NaN) between
    them, above an unknown first and below an unknown last surface, pixels are IGNORE; so are columns without any,
    and pixels between two surfaces that cross.
    """
    rows = np.rint(surface_rows)
    is_known = np.isfinite(rows)
    is_ordered = is_known.all(axis=0) & (np.diff(np.where(is_known, rows, 0), axis=0) >= 0).all(axis=0)
    mask = _paint_ordered(np.where(is_ordered, rows, 0), num_rows)
    mask[:, ~is_ordered] = IGNORE
    is_other = is_known.any(axis=0) & ~is_ordered
    if is_other.any():
        mask[:, is_other] = _paint_settled(rows[:, is_other], num_rows)
    return mask


def _paint_ordered(rows: Array, num_rows: int) -> Array:
    """Class ids (H, W) from whole rows (S, W), all known and in order: how many surfaces lie at or above each pixel."""
    mask = np.zeros((num_rows + 1, rows.shape[1]), np.int8)
    columns = np.arange(rows.shape[1])
    for edges in np.clip(rows, 0, num_rows).astype(np.intp):
        mask[edges, columns] += 1
    mask = mask[:-1]
    for row in range(1, num_rows):  # whole rows at a time: a third of the time of numpy.cumsum along columns
        mask[row] += mask[row - 1]
    mask *= mask < len(rows)
    return mask


def _paint_settled(rows: Array, num_rows: int) -> Array:
    """Class ids (H, W) from whole rows (S, W), some unknown or out of order: IGNORE where they settle nothing."""
    num_surfaces, num_columns = rows.shape
    is_known = np.isfinite(rows)
    depth = np.arange(num_rows)[:, None]
    # The last surface at or above each pixel, and the first one below it.
    above = np.full((num_rows, num_columns), -1, np.int16)
    below = np.full((num_rows, num_columns), num_surfaces, np.int16)
    for surface in range(num_surfaces):
        above[is_known[surface] & (depth >= rows[surface])] = surface
    for surface in range(num_surfaces - 1, -1, -1):
        below[is_known[surface] & (depth < rows[surface])] = surface
    mask = np.where(above == num_surfaces - 1, 0, above + 1)
    return np.where(below == above + 1, mask, IGNORE).astype(np.int8)


def depth_classes(mask: Array) -> Array:
    """Depth classes (H, W) int8 of class ids (H, W): 0 above the retina, layers, NUM_CLASSES below it; or IGNORE.

    Background is below the retina where more layer pixels of its column lie above it than below it, else above: so a
    gap halfway through the retina, or a column without any layer, counts as above.
    """
    is_layer = mask > 0
    num_above = np.cumsum(is_layer, axis=0, dtype=np.int32)
    is_below = (mask == 0) & (2 * num_above > num_above[-1])
    return np.where(is_below, NUM_CLASSES, mask).astype(np.int8)


def trace_surfaces(mask: Array) -> Array:
    """Surface rows (S, W) float32 from class ids (H, W): the inverse of `paint_mask` wherever layers are in order.

    Surface k is the number of rows of its column whose depth class is k or less, so surfaces never cross, whatever the
    mask. A column without a layer has none (nan). IGNORE pixels count as what lies above them; surfaces that touch
    one (in the row above or below) are nan.
    """
    num_rows, num_columns = mask.shape
    depth, is_ignored = depth_classes(mask), mask == IGNORE
    if is_ignored.any():
        last_known = np.maximum.accumulate(np.where(is_ignored, 0, np.arange(num_rows)[:, None]), axis=0)
        depth = np.maximum(np.take_along_axis(depth, last_known, axis=0), 0)
    cells = depth + (NUM_CLASSES + 1) * np.arange(num_columns)
    counts = np.bincount(cells.ravel(), minlength=(NUM_CLASSES + 1) * num_columns)
    rows = counts.reshape(num_columns, NUM_CLASSES + 1).cumsum(axis=1)[:, :NUM_SURFACES].T
    padded = np.pad(is_ignored, ((1, 1), (0, 0)))
    is_open = np.take_along_axis(padded[:-1] | padded[1:], rows, axis=0)
    return np.where(is_open | ~(mask > 0).any(axis=0), np.nan, rows).astype(np.float32)
