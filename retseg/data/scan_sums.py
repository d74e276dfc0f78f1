"""Running sums over B-scans: pixels by class and gray level, and thicknesses. Each image counts once for gray levels.

H rows (depth), W columns (A-scans), L layers, C classes. Rows of sums over labels (1 + C) are IGNORE and the classes.
"""

from dataclasses import dataclass

import numpy as np

from retseg.anatomy import IGNORE, LAYER_NAMES, NUM_CLASSES
from retseg.bscan import Array, BScan
from retseg.geometry.surfaces import paint_mask

NUM_LEVELS = 256


def mask_of(scan: BScan) -> Array:
    """Class ids (H, W) int8: the scan's mask, or painted from its surfaces; IGNORE everywhere where it has neither."""
    if scan.mask is not None:
        return scan.mask
    if scan.surface_rows is not None:
        return paint_mask(scan.surface_rows, scan.shape[0])
    return np.full(scan.shape, IGNORE, np.int8)


@dataclass(frozen=True)
class Measured:
    """One scan: histograms (1 + C, 256), sums of gray levels and of their squares (1 + C, 2), thickness_px (L, W)."""

    image: Array
    histograms: Array
    moments: Array
    thickness_px: Array
    axial_um: float
    fluid: Array | None


def measure(scan: BScan) -> Measured:
    """Pixels by label and gray level; sums and sums of squares of gray levels by label; thickness, nan if unknown."""
    rows = (mask_of(scan) - IGNORE).ravel().astype(np.int64)
    assert rows.min() >= 0, scan.key
    assert rows.max() <= NUM_CLASSES, scan.key
    image = scan.image.ravel().astype(np.float64)
    num_cells = (1 + NUM_CLASSES) * NUM_LEVELS
    cells = rows * NUM_LEVELS + np.clip(np.rint(image), 0, NUM_LEVELS - 1).astype(np.int64)
    moments = [np.bincount(rows, weights, 1 + NUM_CLASSES) for weights in (image, image**2)]
    thickness_px = np.full((len(LAYER_NAMES), scan.shape[1]), np.nan)
    if scan.surface_rows is not None:
        thickness_px = np.diff(scan.surface_rows.astype(np.float64), axis=0)
        thickness_px[thickness_px < 0] = np.nan
    return Measured(
        scan.image,
        np.bincount(cells, minlength=num_cells).reshape(-1, NUM_LEVELS),
        np.stack(moments, axis=1),
        thickness_px.astype(np.float32),
        np.nan if scan.spacing.axial_um is None else scan.spacing.axial_um,
        scan.fluid,
    )


class ScanSums:
    """Running sums of one group of scans. Sums named image count an image once, the others each scan's mask."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.num_scans = self.num_bscans = self.num_looked_at = self.num_with_fluid = 0
        self.histograms = np.zeros((1 + NUM_CLASSES, NUM_LEVELS), np.int64)
        self.moments = np.zeros((1 + NUM_CLASSES, 2))
        self.image_histogram = np.zeros(NUM_LEVELS, np.int64)
        self.image_moments = np.zeros(2)
        self.lowest, self.highest = np.inf, -np.inf
        self.num_exact = np.zeros(2, np.int64)
        self._thickness: list[tuple[Array, float]] = []

    def add(self, measured: Measured, is_same_bscan: bool, is_same_image: bool) -> None:
        """Add a scan; its image too, unless it is that of the scan before."""
        self.num_scans += 1
        self.num_bscans += not is_same_bscan
        self.histograms += measured.histograms
        self.moments += measured.moments
        self._thickness.append((measured.thickness_px, measured.axial_um))
        if measured.fluid is not None:
            self.num_looked_at += 1
            self.num_with_fluid += bool(measured.fluid.any())
        if not is_same_image:
            self.image_histogram += measured.histograms.sum(axis=0)
            self.image_moments += measured.moments.sum(axis=0)
            self.lowest = min(self.lowest, float(measured.image.min()))
            self.highest = max(self.highest, float(measured.image.max()))
            self.num_exact += [np.count_nonzero(measured.image == level) for level in (0, 255)]

    def thickness(self, layer: int) -> tuple[Array, Array]:
        """Thickness of a layer (0 is NFL) in px and in um, of all columns in which they are known."""
        px = np.concatenate([planes[layer] for planes, _ in self._thickness]).astype(np.float64)
        um = np.concatenate([planes[layer].astype(np.float64) * axial_um for planes, axial_um in self._thickness])
        return px[np.isfinite(px)], um[np.isfinite(um)]
