"""Noise for many random scans at next to no cost: large fields, made once, of which every scan takes its own corner."""

import math

import numpy as np
from scipy.ndimage import gaussian_filter

from retseg.bscan import Array

FIELD = 1024
WIDTHS_PX = ((0.0, 0.0), (0.6, 0.4), (1.0, 0.5), (1.5, 0.6), (1.3, 1.0), (2.2, 1.4))
"""Sd (axial, lateral) of the Gaussians that the fields are smoothed with: from white noise to a coarse grain. Duke
scans at 256 x 256 lie near the fourth."""
MOTTLE_PX = ((4.0, 8.0), (8.0, 10.0), (10.0, 30.0), (1.0, 6.0))
"""Likewise of slow fields: mottled tissue, the choroid's vessels, clouds, streaks along layers."""


class NoiseBank:
    """Fields of unit sd; a scan's noise is a corner of one, perhaps mirrored, or the mean of two."""

    def __init__(self, seed: int, shape: tuple[int, int]) -> None:
        rng = np.random.default_rng([seed, 0xF1E1D])
        self.shape = shape
        side = (max(FIELD, shape[0] + 256), max(FIELD, shape[1] + 256))
        self.fields = [_field(rng, side, widths) for widths in (*WIDTHS_PX, *MOTTLE_PX)]

    def grain(self, rng: np.random.Generator, kind: int) -> Array:
        """Noise (H, W) float32 of unit sd, smoothed by WIDTHS_PX[kind]: the sum of two corners of a field."""
        share = rng.uniform(0.3, 0.7)
        grain = math.sqrt(share) * self._corner(rng, kind)
        grain += math.sqrt(1 - share) * self._corner(rng, kind)
        return np.asarray(grain)

    def mottle(self, rng: np.random.Generator, kind: int) -> Array:
        """Slow noise (H, W) float32 of unit sd, smoothed by MOTTLE_PX[kind]."""
        return self._corner(rng, len(WIDTHS_PX) + kind)

    def _corner(self, rng: np.random.Generator, field: int) -> Array:
        whole = self.fields[field]
        top = int(rng.integers(whole.shape[0] - self.shape[0] + 1))
        left = int(rng.integers(whole.shape[1] - self.shape[1] + 1))
        part = whole[top : top + self.shape[0], left : left + self.shape[1]]
        turn = int(rng.integers(4))
        return np.asarray(part[:: 1 if turn & 1 else -1, :: 1 if turn & 2 else -1])


def _field(rng: np.random.Generator, side: tuple[int, int], widths: tuple[float, float]) -> Array:
    noise = rng.standard_normal(side, np.float32)
    smooth = gaussian_filter(noise, widths, mode="wrap") if max(widths) else noise
    return np.asarray(smooth / smooth.std(), np.float32)
