"""How like two engines run one network, on real inputs. N scans, C classes, H rows, W columns."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from retseg.inference.network import FluidForward
from retseg.inference.torch_network import Forward

BATCHES = (1, 3)
"""Scans a batch: engines choose other algorithms for batches, and a batch size may have been frozen into a file."""

LIMIT = 0.01
"""Probabilities that differ by more are no rounding, even where every class is the same."""


@dataclass(frozen=True, slots=True)
class Parity:
    """num_unlike of num_pixels have another class; largest absolute differences of logits and of probabilities.

    fluid: of the probability of fluid; None where none is sought.
    """

    num_scans: int
    num_pixels: int
    num_unlike: int
    logits: float
    probabilities: float
    fluid: float | None = None

    @property
    def is_kept(self) -> bool:
        """Whether every pixel has the same class and probabilities differ by rounding alone (nan: no)."""
        is_same = self.num_unlike == 0 and self.probabilities <= LIMIT and math.isfinite(self.logits)
        return is_same and (self.fluid is None or self.fluid <= LIMIT)

    @property
    def words(self) -> str:
        """In a few words."""
        if self.num_unlike:
            classes = f"{self.num_unlike} of {self.num_pixels} pixels have another class"
        else:
            classes = f"the same class in all {self.num_pixels} pixels"
        fluid = "" if self.fluid is None else f", probability of fluid within {self.fluid:.1e}"
        return f"{classes}, logits within {self.logits:.1e}, probabilities within {self.probabilities:.1e}{fluid}"


def compare(reference: Forward, other: Forward, images: Sequence[Tensor]) -> Parity:
    """The parity of two forward passes on images, each (1, 1, H, W) in 0..1, one by one and in threes."""
    num_pixels, num_unlike, logits, probabilities = 0, 0, 0.0, 0.0
    with torch.no_grad():
        for batch in in_batches(images):
            wanted, found = reference(batch), other(batch)
            if wanted.shape != found.shape:
                raise AssertionError(f"logits {tuple(found.shape)}, expected {tuple(wanted.shape)}")
            num_pixels += wanted[:, 0].numel()
            num_unlike += int((wanted.argmax(dim=1) != found.argmax(dim=1)).sum())
            logits = _largest(logits, wanted - found)
            probabilities = _largest(probabilities, wanted.softmax(dim=1) - found.softmax(dim=1))
    return Parity(len(images), num_pixels, num_unlike, logits, probabilities)


def fluid_difference(reference: FluidForward, other: FluidForward, images: Sequence[Tensor]) -> float:
    """Largest absolute difference of the probability of fluid on images, each (1, 1, H, W), in the same batches."""
    largest = 0.0
    with torch.no_grad():
        for batch in in_batches(images):
            largest = _largest(largest, reference(batch)[1] - other(batch)[1])
    return largest


def in_batches(images: Sequence[Tensor]) -> Iterator[Tensor]:
    """Each image alone, then those of one shape in threes; the last three are filled up from the first ones."""
    by_shape: dict[tuple[int, ...], list[Tensor]] = {}
    for image in images:
        by_shape.setdefault(tuple(image.shape), []).append(image)
    for number in BATCHES:
        for alike in by_shape.values():
            for start in range(0, len(alike), number):
                yield torch.cat([alike[i % len(alike)] for i in range(start, start + number)])


def _largest(so_far: float, difference: Tensor) -> float:
    """The larger of two, nan if either is."""
    mine = float(difference.abs().max())
    return mine if math.isnan(mine) else max(so_far, mine) if not math.isnan(so_far) else so_far
