"""How far surfaces and thicknesses lie from the truth, in pixels of the scan's own grid (times axial_um: microns).

S surfaces top to bottom, L = S - 1 layers between them, W columns (A-scans). Distances are axial: along the column.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

SUMMARIES: dict[str, Callable[[Array], Any]] = {
    "mean_absolute": lambda errors: np.abs(errors).mean(),
    "rms": lambda errors: np.sqrt(np.square(errors).mean()),
    "p95": lambda errors: np.percentile(np.abs(errors), 95),
    "signed": lambda errors: errors.mean(),
}
"""Each one number from errors (n,): mean absolute, root mean square, 95th percentile of the absolute, mean."""


def surface_errors_px(found: Array, true: Array) -> Array:
    """Found minus true rows (S, W), positive where found lies deeper; nan where either is unknown."""
    errors: Array = found - true
    return errors


def thickness_errors_px(found: Array, true: Array) -> Array:
    """Found minus true thickness (L, W), positive where found is thicker, from surface rows (S, W) each.

    nan where one of the four surfaces is unknown, or where the true ones cross: there is no true thickness.
    """
    true_px = np.diff(true, axis=0)
    errors: Array = np.where(true_px < 0, np.nan, np.diff(found, axis=0) - true_px)
    return errors


def summarise_errors(errors: Array) -> dict[str, Array]:
    """Each of SUMMARIES (K,) by name, over the known columns of errors (K, columns); a row without any: nan."""
    known = [row[np.isfinite(row)].astype(np.float64) for row in errors]
    return {
        name: np.array([summary(row) if row.size else np.nan for row in known], np.float64)
        for name, summary in SUMMARIES.items()
    }
