"""Does a map find the evidence that was planted? Hits, heat and ranks against pixels known by construction.

A uniform map is what chance is: its hit rate is the share of the pixels that count as found, its lift 1, its AUC 0.5.
A blank map says nothing and scores as a uniform one.
Baselines without a network are in `retseg.explain.baselines`. N scans, C classes, H rows, W columns, all on one grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from retseg.explain.ranks import average_ranks
from retseg.metrics.statistics import interval, resample_weights


@dataclass(frozen=True, slots=True, eq=False)
class PlantedHits:
    """How well maps find planted evidence, each (N, C) float64; nan where a scan has no evidence that counts.

    hit: share of the pixels with the map's peak that lie within the tolerance of the evidence (0 or 1 but for ties).
    chance: the hit of a uniform map, the share of pixels within the tolerance.
    heat_share: share of the map's heat on the evidence; area_share: the same of a uniform map.
    auc: probability that a pixel of the evidence is hotter than one that is not, ties counting half.
    is_blank: maps without any heat where pixels count, bool.
    """

    hit: Tensor
    chance: Tensor
    heat_share: Tensor
    area_share: Tensor
    auc: Tensor
    is_blank: Tensor

    @property
    def lift(self) -> Tensor:
        """Heat on the evidence per area (N, C), relative to the whole map: 1 is chance."""
        return self.heat_share / self.area_share


def planted_hits(maps: Tensor, evidence: Tensor, counted: Tensor | None = None, tolerance_px: int = 4) -> PlantedHits:
    """Hits of maps (N, C, H, W), non-negative, on evidence (N, C, H, W) bool.

    counted: pixels (N, C, H, W) bool that are looked at, e.g. `outside_prediction`; None: all. What is not counted
    has neither heat nor area nor evidence. tolerance_px: a peak this many rows or columns beside the evidence hits.
    """
    assert maps.shape == evidence.shape
    assert counted is None or counted.shape == maps.shape
    counted = torch.ones_like(evidence) if counted is None else counted
    width = 2 * tolerance_px + 1
    target = evidence & counted
    near = F.max_pool2d(target.double(), width, stride=1, padding=tolerance_px).bool() & counted
    heat = maps.double() * counted
    is_blank = heat.amax((2, 3)) == 0
    heat = torch.where(is_blank[..., None, None], counted.double(), heat)
    is_peak = (heat == heat.amax((2, 3), keepdim=True)) & counted
    pixels = counted.double().sum((2, 3))
    exists = target.any(3).any(2)
    nan = torch.full_like(pixels, torch.nan)

    def known(values: Tensor) -> Tensor:
        return torch.where(exists, values, nan)

    return PlantedHits(
        hit=known((is_peak & near).double().sum((2, 3)) / is_peak.sum((2, 3))),
        chance=known(near.sum((2, 3)) / pixels),
        heat_share=known((heat * target).sum((2, 3)) / heat.sum((2, 3))),
        area_share=known(target.sum((2, 3)) / pixels),
        auc=_auc(heat, target, counted),
        is_blank=is_blank,
    )


def outside_prediction(probabilities: Tensor) -> Tensor:
    """Pixels (N, C, H, W) bool that are not predicted as class c, from probabilities (N, C, H, W).

    A map that prints the segmentation has its heat on the others: what it has here has been found elsewhere.
    """
    ids = torch.arange(probabilities.shape[1], device=probabilities.device)[None, :, None, None]
    return probabilities.argmax(1, keepdim=True) != ids


@dataclass(frozen=True, slots=True)
class MeanBySubject:
    """A mean over scans with its 95 % interval, subjects drawn with replacement; nan where nothing is known."""

    mean: float
    low: float
    high: float
    num_scans: int
    num_subjects: int


def mean_by_subject(values: Sequence[float], subjects: Sequence[str]) -> MeanBySubject:
    """Mean of one value a scan, nan left out, each scan counting the same; below two subjects the interval is nan."""
    assert len(values) == len(subjects)
    numbers = np.asarray(values, np.float64)
    known = np.isfinite(numbers)
    names, whose = np.unique(np.asarray(subjects)[known], return_inverse=True)
    sums = np.bincount(whose, numbers[known], len(names))
    counts = np.bincount(whose, minlength=len(names))
    weights = resample_weights(len(names))
    low, high = interval((weights @ sums) / (weights @ counts))
    mean = float(numbers[known].mean()) if known.any() else float("nan")
    return MeanBySubject(mean, float(low), float(high), int(known.sum()), len(names))


def _auc(heat: Tensor, target: Tensor, counted: Tensor) -> Tensor:
    """Area (N, C) under the ROC curve of heat for being the target, among counted pixels (Mann and Whitney 1947).

    nan where all of them or none are the target.
    """
    areas = []
    for one, wanted, seen in zip(heat.flatten(0, 1), target.flatten(0, 1), counted.flatten(0, 1), strict=True):
        is_wanted = wanted[seen]
        num_wanted = is_wanted.double().sum()
        rank_sum = average_ranks(one[seen])[is_wanted].sum()
        areas.append((rank_sum - num_wanted * (num_wanted - 1) / 2) / (num_wanted * (len(is_wanted) - num_wanted)))
    return torch.stack(areas).reshape(heat.shape[:2])
