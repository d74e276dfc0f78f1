"""Between surfaces and masks of one B-scan. H rows (depth), W columns (A-scans), S surfaces, top to bottom."""

from typing import Any

import numpy as np
import numpy.typing as npt

from retseg.anatomy import IGNORE

Array = npt.NDArray[Any]


def paint_mask(surface_rows: Array, num_rows: int) -> Array:
    """Class ids (H, W) int8 from 0-based surface rows (S, W); class k fills rows s[k-1] <= row < s[k].

    Rows are rounded to the pixel as numpy.rint does. Class 0 is above the first and from the last surface on.
    Only what the annotation settles gets a class: between two known surfaces with an unknown one (NaN) between
    them, above an unknown first and below an unknown last surface, pixels are IGNORE; so are columns without any,
    and pixels between two surfaces that cross.
    """
    num_surfaces, num_columns = surface_rows.shape
    known = np.isfinite(surface_rows)
    rows = np.where(known, np.rint(np.nan_to_num(surface_rows)), 0).astype(np.int64)
    depth = np.arange(num_rows)[:, None]
    # The last surface at or above each pixel, and the first one below it.
    above = np.full((num_rows, num_columns), -1, np.int16)
    below = np.full((num_rows, num_columns), num_surfaces, np.int16)
    for surface in range(num_surfaces):
        is_past = known[surface] & (depth >= rows[surface])
        above[is_past] = surface
    for surface in range(num_surfaces - 1, -1, -1):
        below[known[surface] & (depth < rows[surface])] = surface
    settled = (below == above + 1) & known.any(axis=0)
    mask = np.where(above == num_surfaces - 1, 0, above + 1)
    return np.where(settled, mask, IGNORE).astype(np.int8)
