"""Fluid lesion by lesion: which pockets were found, and which of those found are there, whatever their size.

A lesion is a connected piece of a B-scan's fluid, pixels that touch at a corner included. Scans are looked at one by
one: annotated B-scans seldom lie beside each other, so a pocket that is cut twice counts twice. T lesions drawn, F
lesions found, H rows, W columns.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import label

from retseg.anatomy import IGNORE

Array = npt.NDArray[Any]

NEIGHBOURS = np.ones((3, 3), np.int8)
"""What touches: the eight pixels around one."""

LEAST_COVER = 0.5
"""A lesion counts as hit by cover where at least this share of it is fluid on the other side."""

LEAST_IOU = 0.5
"""A lesion counts as hit by IoU where that with one lesion of the other side is larger than this. Above a half no two
lesions can claim the same one, so that hits are pairs (Kirillov et al. 2019, doi 10.1109/CVPR.2019.00963)."""

SIZES_UM2 = {"small": (0.0, 5_000.0), "medium": (5_000.0, 50_000.0), "large": (50_000.0, np.inf)}
"""Classes of a lesion's area in its B-scan, from the first on, below the second: circles of 80 and 252 um across."""


@dataclass(frozen=True, slots=True, eq=False)
class Lesions:
    """The lesions of one side (drawn or found) of a scan, K of them.

    area_px: pixels (K,). cover: share (K,) of each that is fluid on the other side. best_iou: (K,) the largest IoU of
    each with one lesion of the other side, 0 where it meets none.
    """

    area_px: Array
    cover: Array
    best_iou: Array

    @property
    def is_covered(self) -> Array:
        """Hit by cover (K,) bool: see LEAST_COVER."""
        return np.asarray(self.cover >= LEAST_COVER)

    @property
    def is_paired(self) -> Array:
        """Hit by IoU (K,) bool: see LEAST_IOU."""
        return np.asarray(self.best_iou > LEAST_IOU)


def lesions(found: Array, truth: Array) -> tuple[Lesions, Lesions]:
    """Lesions drawn (T) and lesions found (F) of a scan: found (H, W) bool, truth (H, W) of 0, 1 and IGNORE.

    What lies where nobody looked is cut off before pieces are told apart.
    """
    true_pieces, num_true = label(truth == 1, NEIGHBOURS)
    found_pieces, num_found = label(found & (truth != IGNORE), NEIGHBOURS)
    pairs = true_pieces.ravel().astype(np.int64) * (num_found + 1) + found_pieces.ravel()
    overlap = np.bincount(pairs, minlength=(num_true + 1) * (num_found + 1)).reshape(num_true + 1, num_found + 1)
    true_px, found_px = overlap[1:].sum(axis=1), overlap[:, 1:].sum(axis=0)
    both = overlap[1:, 1:]
    iou = both / (true_px[:, None] + found_px[None, :] - both)
    return (
        Lesions(true_px, both.sum(axis=1) / true_px, iou.max(axis=1, initial=0.0)),
        Lesions(found_px, both.sum(axis=0) / found_px, iou.max(axis=0, initial=0.0)),
    )


def size_classes(area_px: Array, pixel_um2: float) -> Array:
    """Places (K,) in SIZES_UM2 of areas (K,) in pixels of pixel_um2 each; -1 where that is unknown (nan)."""
    if np.isnan(pixel_um2):
        return np.full(len(area_px), -1)
    edges = [first for first, _ in SIZES_UM2.values()]
    return np.asarray(np.searchsorted(edges, area_px * pixel_um2, side="right") - 1)
