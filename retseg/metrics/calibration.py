"""Do probabilities mean what they say? Sums that give calibration error and reliability at every temperature.

N scans, C classes, H rows, W columns; T temperatures, G groups of pixels, B bins of confidence. Confidence is the
probability of the predicted class; temperature scaling (Guo et al. 2017, arXiv 1706.04599) divides the logits.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from retseg.anatomy import IGNORE

Array = npt.NDArray[Any]

NUM_BINS = 15
"""Bins of confidence of equal width; each holds its lower edge, the last one 1 as well."""

TEMPERATURES = tuple(1.06**step for step in range(-16, 25))
"""0.39 to 4.05 in steps of 6 %, with exactly 1 among them."""
UNSCALED = TEMPERATURES.index(1.0)

GROUPS = ("all", "layers")
"""All annotated pixels; those of them that are predicted to be a layer (background is most of a scan, and easy)."""


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationSums:
    """Sums over pixels, of one scan or (added up) of many.

    nll: (T,) float64, negative log-likelihood of the true classes, over group 0.
    counts, hits: (T, G, B) int64, pixels and rightly predicted pixels. confidence: (T, G, B) float64.
    num_pixels: (G,) int64.
    """

    nll: Tensor
    counts: Tensor
    confidence: Tensor
    hits: Tensor
    num_pixels: Tensor

    def __add__(self, other: "CalibrationSums") -> "CalibrationSums":
        """The sums of both."""
        return CalibrationSums(
            self.nll + other.nll,
            self.counts + other.counts,
            self.confidence + other.confidence,
            self.hits + other.hits,
            self.num_pixels + other.num_pixels,
        )

    @classmethod
    def nothing(cls) -> "CalibrationSums":
        """Sums over no pixels: what a sum over scans starts with."""
        zeros = torch.zeros(len(TEMPERATURES), len(GROUPS), NUM_BINS, dtype=torch.long)
        return cls(zeros[:, 0, 0].double(), zeros, zeros.double(), zeros.clone(), zeros[0, :, 0].clone())


def calibration_sums(logits: Tensor, mask: Tensor, stride: int = 5) -> list[CalibrationSums]:
    """Sums on the CPU, one a scan, from logits (N, C, H, W) and class ids (N, H, W).

    Over every stride-th annotated pixel: neighbours tell nearly the same, and reading them all would take longer.
    """
    sums = []
    for scan_logits, scan_mask in zip(logits.flatten(2), mask.flatten(1), strict=True):
        chosen = (scan_mask != IGNORE).nonzero()[::stride, 0]
        sums.append(_scan_sums(scan_logits[:, chosen].float().cpu().numpy(), scan_mask[chosen].cpu().numpy()))
    return sums


def _scan_sums(logits: Array, classes: Array) -> CalibrationSums:
    """Sums from the logits (C, P) float32 and true classes (P,) of P pixels.

    In numpy: arrays this small only wait for each other on torch's threads.
    """
    predicted, below = logits.argmax(axis=0), logits - logits.max(axis=0)
    below_of_true = np.take_along_axis(below, classes[None], axis=0).sum(dtype=np.float64)
    # Every pixel is in one of four rows of bins: predicted background or a layer, wrongly or rightly.
    row = 2 * (predicted > 0) + (predicted == classes)
    nll = np.zeros(len(TEMPERATURES))
    counts = np.zeros((len(TEMPERATURES), 4 * NUM_BINS), np.int64)
    confidences = np.zeros(counts.shape)
    for index, temperature in enumerate(TEMPERATURES):
        partition = np.exp(below / np.float32(temperature)).sum(axis=0)
        nll[index] = np.log(partition).sum(dtype=np.float64) - below_of_true / temperature
        confidence = 1 / partition
        cell = row * NUM_BINS + np.minimum((confidence * NUM_BINS).astype(np.int64), NUM_BINS - 1)
        counts[index] = np.bincount(cell, minlength=4 * NUM_BINS)
        confidences[index] = np.bincount(cell, confidence, 4 * NUM_BINS)
    count = torch.from_numpy(counts).view(-1, 2, 2, NUM_BINS)
    return CalibrationSums(
        torch.from_numpy(nll),
        _by_group(count.sum(dim=2)),
        _by_group(torch.from_numpy(confidences).view(-1, 2, 2, NUM_BINS).sum(dim=2)),
        _by_group(count[:, :, 1]),
        torch.tensor([len(classes), int((predicted > 0).sum())]),
    )


def _by_group(values: Tensor) -> Tensor:
    """(T, G, B) sums over all pixels and over layers from (T, 2, B), predicted background and predicted layers."""
    return torch.stack([values.sum(dim=1), values[:, 1]], dim=1)


def best_temperature_index(sums: CalibrationSums) -> int:
    """Index in TEMPERATURES of the lowest negative log-likelihood; nothing annotated: that of 1."""
    return int(sums.nll.argmin()) if sums.num_pixels[0] else UNSCALED


def expected_calibration_error(sums: CalibrationSums, temperature_index: int = UNSCALED, group: int = 0) -> float:
    """Mean of |accuracy - confidence| over bins, weighted by their pixels (of one of GROUPS); no pixels: nan."""
    gaps = (sums.hits - sums.confidence)[temperature_index, group].abs()
    return float(gaps.sum() / sums.num_pixels[group])


def reliability(
    sums: CalibrationSums, temperature_index: int = UNSCALED, group: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean confidence, accuracy (nan in an empty bin) and share of the pixels, (B,) float64 each."""
    at = (temperature_index, group)
    counts = sums.counts[at].double()
    return sums.confidence[at] / counts, sums.hits[at] / counts, counts / sums.num_pixels[group]
