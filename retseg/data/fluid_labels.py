"""What is known of a scan's fluid: for training and for scoring alike. H rows, W columns."""

import numpy as np

from retseg.anatomy import IGNORE
from retseg.bscan import Array, BScan


def fluid_labels(scan: BScan, columns: Array | None = None) -> Array:
    """Fluid drawn (H, W) int8 as 1 and 0; IGNORE in all of it where nobody looked, and outside columns (W,) bool.

    A grader looked at the columns in which the scan's layers are annotated, and at those in which there is fluid: in
    the Duke files 536 of 768 columns have layers, and all but 0.02 % of grader 1's fluid.
    """
    if scan.fluid is None:
        return np.full(scan.shape, IGNORE, np.int8)
    is_seen = _annotated_columns(scan) | scan.fluid.any(axis=0)
    if columns is not None:
        is_seen &= columns
    return np.where(is_seen, scan.fluid.astype(np.int8), np.int8(IGNORE))


def _annotated_columns(scan: BScan) -> Array:
    """Columns (W,) bool in which something is known of a scan's layers; all where it has no labels of layers."""
    if scan.surface_rows is not None:
        return np.asarray(np.isfinite(scan.surface_rows).any(axis=0))
    if scan.mask is not None:
        return np.asarray((scan.mask != IGNORE).any(axis=0))
    return np.ones(scan.shape[1], bool)
