"""Scores that need probabilities on the network's own grid: the paper's own definitions, and calibration.

N rows (subjects), B draws, C classes, G groups of pixels, K bins of confidence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from retseg.anatomy import CLASS_NAMES
from retseg.bscan import Array
from retseg.evaluation.case import NetworkSums
from retseg.evaluation.quantities import CLASSES
from retseg.evaluation.record import ScanRecord
from retseg.evaluation.scores import NUM_DRAWS, Drawn, Score, interval_of
from retseg.evaluation.sums import subject_rows
from retseg.evaluation.temperature import Scaling
from retseg.metrics.calibration import GROUPS, UNSCALED
from retseg.metrics.overlap import accuracy, iou, recall
from retseg.metrics.statistics import resample_weights

ECE_SUFFIX = {"all": "", "layers": "_layers"}


def network_scores(records: Sequence[ScanRecord], scaling: Scaling, num_draws: int = NUM_DRAWS) -> list[Score]:
    """Rows of the paper's scores and of calibration; none where a scan has no probabilities."""
    sums = [record.network for record in records if record.network is not None]
    if not sums or len(sums) < len(records):
        return []
    subjects, membership = subject_rows(records)
    weights = resample_weights(len(subjects), num_draws) @ membership
    rows = [*_paper_rows(sums, weights), *_calibration_rows(sums, scaling, weights)]
    return [_with_subjects(row, len(subjects)) for row in rows]


def _with_subjects(row: Score, num_subjects: int) -> Score:
    return Score(row.score, row.of, row.unit, row.average, row.value, row.low, row.high, num_subjects)


def _paper_rows(sums: Sequence[NetworkSums], weights: Array) -> list[Score]:
    """The paper's definitions, from N scans and weights (B, N) of scans in draws of subjects."""
    probability = np.array([scan.true_probability for scan in sums])
    num_pixels = np.array([scan.num_pixels for scan in sums], np.float64)
    confusion = torch.stack([scan.confusion for scan in sums]).double()
    everything = np.concatenate([np.ones((1, len(sums))), weights])
    with np.errstate(divide="ignore", invalid="ignore"):
        dice = (everything @ probability) / (everything @ num_pixels)
    pooled = torch.einsum("bn,ncd->bcd", torch.from_numpy(everything), confusion)
    shares, recalls = torch.func.vmap(accuracy)(pooled).numpy(), torch.func.vmap(recall)(pooled).numpy()
    by_scan = torch.func.vmap(iou)(confusion).numpy()
    rows = [
        _row("paper_dice_micro_soft", CLASSES, "pooled_micro", dice),
        _row("paper_iou_micro_soft", CLASSES, "pooled_micro", dice / (2 - dice)),
        _row("paper_accuracy", CLASSES, "pooled_micro", shares),
    ]
    for k, name in enumerate(CLASS_NAMES):
        absent = ~np.isfinite(by_scan[:, k])
        value = float(np.where(absent, 0, by_scan[:, k]).mean())
        rows.append(Score("paper_iou_per_scan", name, "share", "mean_over_scans", value))
        rows.append(Score("paper_absent_scans", name, "scans", "count", float(absent.sum())))
    rows += [_row("paper_recall", name, "pooled", recalls[:, k]) for k, name in enumerate(CLASS_NAMES)]
    return rows


def _row(score: str, of: str, average: str, values: Array) -> Score:
    """A row from values (1 + B,): that of the set, then those of the draws."""
    drawn = Drawn(float(values[0]), values[1:])
    return Score(score, of, "share", average, drawn.value, *interval_of(drawn.draws))


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Pixels by confidence: hits, their summed confidence, and counts, (N, G, K) each, N scans."""

    counts: Array
    confidence: Array
    hits: Array

    def errors(self, weights: Array) -> Array:
        """Expected calibration error (M, G) of scans weighted by weights (M, N); no pixels: nan."""
        gaps = np.abs(np.tensordot(weights, self.hits - self.confidence, axes=1)).sum(axis=2)
        with np.errstate(divide="ignore", invalid="ignore"):
            errors: Array = gaps / np.tensordot(weights, self.counts, axes=1).sum(axis=2)
        return errors


def scan_reliability(sums: Sequence[NetworkSums], temperatures: Sequence[int]) -> Reliability:
    """Reliability of scans, each at its own place in TEMPERATURES."""
    pairs = [(scan.calibration, index) for scan, index in zip(sums, temperatures, strict=True)]
    return Reliability(
        np.stack([scan.counts[index].numpy() for scan, index in pairs]).astype(np.float64),
        np.stack([scan.confidence[index].numpy() for scan, index in pairs]),
        np.stack([scan.hits[index].numpy() for scan, index in pairs]).astype(np.float64),
    )


def _calibration_rows(sums: Sequence[NetworkSums], scaling: Scaling, weights: Array) -> list[Score]:
    everything = np.concatenate([np.ones((1, len(sums))), weights])
    rows = _ece_rows("", scan_reliability(sums, [UNSCALED] * len(sums)).errors(everything))
    indices = [index for index in scaling.of_scans if index is not None]
    if len(indices) == len(sums):
        rows += _ece_rows("_scaled", scan_reliability(sums, indices).errors(everything))
    if scaling.temperature is not None:
        rows.append(Score("temperature", "all", "", "pooled", scaling.temperature))
    return rows


def _ece_rows(suffix: str, errors: Array) -> list[Score]:
    """Rows from errors (1 + B, G)."""
    names = [f"ece{ECE_SUFFIX[group]}{suffix}" for group in GROUPS]
    return [_row(name, "all", "pooled", errors[:, place]) for place, name in enumerate(names)]
