"""How much fluid an eye holds, and how far two measurements of it agree. N subjects."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

UM2_PER_MM2, UM3_PER_MM3 = 1e6, 1e9
LIMITS_IN_SD = 1.96
"""Half the width of the limits of agreement: 95 % of a normal distribution (Bland & Altman)."""


def area_mm2(area_px: float, pixel_um2: float) -> float:
    """Area in a B-scan of so many pixels of pixel_um2 each; an unknown size (nan) gives nan."""
    return area_px * pixel_um2 / UM2_PER_MM2


def volume_mm3(areas_px: Array, pixel_um2: Array, distance_um: float) -> float:
    """Volume of slabs: areas (B,) in pixels of B-scans, each of pixel_um2 (B,), times the distance of B-scans.

    Each B-scan stands for a slab as thick as the distance of neighbours, so of a volume of which some B-scans are
    missing it is a part alone. nan where a size is unknown.
    """
    return float(np.sum(areas_px * pixel_um2) * distance_um / UM3_PER_MM3)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Bland and Altman's figures of differences found - true, in their unit (1986, doi 10.1016/S0140-6736(86)90837-8).

    bias: mean difference. sd: of the differences, with N - 1. low, high: limits of agreement, bias -+ 1.96 sd, within
    which 95 % of differences of such subjects lie if they are normal. absolute: mean of |difference|.
    num: subjects whose difference is known. Below two, sd and limits are nan.
    """

    bias: float
    sd: float
    low: float
    high: float
    absolute: float
    num: int


def agreement(found: Array, true: Array) -> Agreement:
    """Agreement of measurements (N,) with the true ones (N,); pairs of which one is nan are left out."""
    differences = found - true
    differences = differences[np.isfinite(differences)]
    if not differences.size:
        return Agreement(np.nan, np.nan, np.nan, np.nan, np.nan, 0)
    bias = float(differences.mean())
    sd = float(differences.std(ddof=1)) if differences.size > 1 else np.nan
    reach = LIMITS_IN_SD * sd
    return Agreement(bias, sd, bias - reach, bias + reach, float(np.abs(differences).mean()), differences.size)
