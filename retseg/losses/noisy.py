"""Losses for labels of which some are wrong: a confident contradiction pulls less than in cross-entropy."""

import torch
from torch import Tensor, nn

from retseg.anatomy import IGNORE
from retseg.errors import InputError
from retseg.losses.pixels import true_class_surprise


class GeneralisedCrossEntropy(nn.Module):
    """Mean over annotated pixels of (1 - p^q) / q, p being the probability of the labelled class.

    Zhang & Sabuncu 2018, arXiv 1805.07836: q towards 0 is cross-entropy, 1 is the mean absolute error (1 - p),
    which bears noise but learns slowly. 0.7 there.
    """

    def __init__(self, q: float = 0.7) -> None:
        super().__init__()
        if not 0 < q <= 1:
            raise InputError(f"loss.q: {q}, expected more than 0 (near it: cross-entropy) and at most 1")
        self.q = q

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Scalar loss."""
        surprise = true_class_surprise(logits, mask)
        lack = -torch.expm1(-self.q * surprise) / self.q
        return lack.sum() / (mask != IGNORE).sum().clamp(min=1)


class SymmetricCrossEntropy(nn.Module):
    """forward_weight x cross-entropy + reverse_weight x reverse cross-entropy, means over annotated pixels.

    Reverse: -sum_c p_c log y_c with log 0 set to log_zero, that is -log_zero (1 - p), p being the probability of the
    labelled class (Wang et al. 2019, doi 10.1109/ICCV.2019.00041; log_zero -4 and 0.1, 1 there for
    CIFAR-10).
    """

    def __init__(self, forward_weight: float = 0.1, reverse_weight: float = 1.0, log_zero: float = -4.0) -> None:
        super().__init__()
        if forward_weight < 0 or reverse_weight < 0 or forward_weight + reverse_weight == 0:
            raise InputError(f"loss: weights {forward_weight} and {reverse_weight}, expected none below 0, one above")
        if log_zero >= 0:
            raise InputError(f"loss.log_zero: {log_zero}, expected less than 0: it stands for the logarithm of 0")
        self.forward_weight, self.reverse_weight, self.log_zero = forward_weight, reverse_weight, log_zero

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Scalar loss."""
        surprise = true_class_surprise(logits, mask)
        reverse = self.log_zero * torch.expm1(-surprise)
        total = self.forward_weight * surprise + self.reverse_weight * reverse
        return total.sum() / (mask != IGNORE).sum().clamp(min=1)
