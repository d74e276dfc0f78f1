"""Scores as functions of sums: the same code gives a set's value, each subject's, each scan's and each draw's.

N rows of sums in, one number a row out. Absent classes are nan, and left out of the means over classes.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from retseg.anatomy import CLASS_NAMES, LAYER_NAMES, SURFACE_NAMES
from retseg.bscan import Array
from retseg.evaluation.sums import Sums
from retseg.metrics import overlap

OVERLAPS: dict[str, Callable[[Tensor], Tensor]] = {
    "dice": overlap.dice,
    "iou": overlap.iou,
    "recall": overlap.recall,
    "precision": overlap.precision,
}
LAYERS, CLASSES, SURFACES = "layers", "classes", "surfaces"
"""What a mean is of: the 7 layers, all 8 classes, the 8 surfaces."""


class Quantity(NamedTuple):
    """A score, what it is of, and how it pools: "pooled" (one class), "pooled_micro", "pooled_macro" (several)."""

    score: str
    of: str
    pooling: str


Quantities = dict[Quantity, Array]
"""Numbers (N,) by what they are."""


def overlap_quantities(confusion: Array) -> Quantities:
    """Dice, IoU, recall and precision, by class and together, from counts (N, C, C)."""
    counts = torch.from_numpy(np.asarray(confusion, np.float64))
    found: Quantities = {}
    for score, function in OVERLAPS.items():
        by_class = _each(function, counts)
        for k, name in enumerate(CLASS_NAMES):
            found[Quantity(score, name, "pooled")] = by_class[:, k]
        for of, first in ((LAYERS, 1), (CLASSES, 0)):
            found[Quantity(score, of, "pooled_micro")] = _each(function, _as_one_class(counts, first))[:, 1]
            found[Quantity(score, of, "pooled_macro")] = nanmean(by_class[:, first:], axis=1)
    return found


def _each(function: Callable[[Tensor], Tensor], counts: Tensor) -> Array:
    """A function of one confusion matrix, for each of (N, C, C): (N, C)."""
    if not len(counts):
        return np.zeros((0, counts.shape[1]))
    values: Array = torch.func.vmap(function)(counts).numpy()
    return values


def _as_one_class(counts: Tensor, first: int) -> Tensor:
    """Counts (N, 2, 2) whose second class pools the hits, misses and false alarms of classes first..C-1."""
    hits = counts.diagonal(dim1=1, dim2=2)[:, first:].sum(dim=1)
    misses = counts[:, first:].sum(dim=(1, 2)) - hits
    false_alarms = counts[:, :, first:].sum(dim=(1, 2)) - hits
    cells = torch.stack([torch.zeros_like(hits), false_alarms, misses, hits], dim=1)
    return cells.view(-1, 2, 2)


def distance_quantities(sums: Sums) -> Quantities:
    """Errors of surfaces and of thickness, in the unit of the sums; surface_missing: share of columns without one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        surfaces = {
            "surface_mean_absolute": sums.surface_absolute / sums.surface_columns,
            "surface_rms": np.sqrt(sums.surface_squared / sums.surface_columns),
            "surface_signed": sums.surface_signed / sums.surface_columns,
            "surface_missing": 1 - sums.surface_columns / sums.true_columns,
        }
        thickness = {
            "thickness_mean_absolute": sums.thickness_absolute / sums.thickness_columns,
            "thickness_signed": sums.thickness_signed / sums.thickness_columns,
        }
    found = {k: v for score, values in surfaces.items() for k, v in by_name(score, values, SURFACE_NAMES).items()}
    for score, values in thickness.items():
        found |= by_name(score, values, LAYER_NAMES)
    return found


def by_name(score: str, values: Array, names: tuple[str, ...]) -> Quantities:
    """Values (N, K) of K surfaces or layers as quantities, with their mean."""
    of = SURFACES if names == SURFACE_NAMES else LAYERS
    found = {Quantity(score, name, "pooled"): values[:, k] for k, name in enumerate(names)}
    return found | {Quantity(score, of, "pooled_macro"): nanmean(values, axis=1)}


def nanmean(values: Array, axis: int) -> Array:
    """Mean along an axis without the nan; only nan: nan (and no warning)."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        means: Array = np.where(known, values, 0).sum(axis=axis) / known.sum(axis=axis)
    return means
