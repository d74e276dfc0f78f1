"""Derivatives of the class scores that are known on paper: with respect to the logits, and to the softmax.

N scans, C classes, H x W pixels. Y^c is the sum over pixels of w times f, f being the logit z_c, P_c or log P_c.
"""

from functools import cached_property

import torch
from torch import Tensor

from retseg.explain.score import Score


class ScoreGradient:
    """Slopes and gradients of all class scores at logits (N, C, H, W).

    For a probability dP_c/dz_m = P_c ([c == m] - P_m), for its logarithm [c == m] - P_m. The diagonal is written with
    the sum of the other P_m, not with 1 - P_c, so that nothing cancels where the network is sure.
    """

    def __init__(self, score: Score, logits: Tensor) -> None:
        self.score, self.logits = score, logits.detach()
        self.weights = score.pixel_weights(self.logits)
        self.num_pixels = logits[0, 0].numel()

    @cached_property
    def probabilities(self) -> Tensor:
        """P (N, C, H, W)."""
        return self.logits.softmax(1)

    def logit_slopes(self) -> Tensor:
        """Mean over the pixels of dY^c / dz_m, (N, C, C)."""
        if self.score.of == "logit":
            return self._diagonal()
        weights = self.weights.expand_as(self.logits)
        if self.score.of == "probability":
            weights = weights * self.probabilities
        shared = torch.bmm(weights.flatten(2), self.probabilities.flatten(2).transpose(1, 2)) / self.num_pixels
        others = shared - torch.diag_embed(shared.diagonal(dim1=1, dim2=2))
        return torch.diag_embed(others.sum(2)) - others

    def probability_slopes(self) -> Tensor:
        """Mean over the pixels of dY^c / dP_k, (N, C, C): [k == c] for the paper's score, whatever the network.

        Of a probability score only: a logit does not depend on what comes after it, and 1 / P_c has no bound.
        """
        assert self.score.of == "probability"
        return self._diagonal()

    def at_logits(self, class_id: int) -> Tensor:
        """dY^c / dz_m of class c at every pixel, (N, C, H, W)."""
        if self.score.of == "logit":
            return self._own_channel(class_id)
        rows = -self.probabilities
        rows[:, class_id] = 0
        rows[:, class_id] = -rows.sum(1)
        weights = self._weights_of(class_id)
        if self.score.of == "probability":
            weights = weights * self.probabilities[:, class_id : class_id + 1]
        return rows.mul_(weights)

    def at_softmax(self, class_id: int) -> Tensor:
        """dY^c / dP_k of class c at every pixel, (N, C, H, W), of a probability score."""
        assert self.score.of == "probability"
        return self._own_channel(class_id)

    def _diagonal(self) -> Tensor:
        return torch.diag_embed(self.weights.expand_as(self.logits).mean((2, 3)))

    def _own_channel(self, class_id: int) -> Tensor:
        gradient = torch.zeros_like(self.logits)
        gradient[:, class_id] = self._weights_of(class_id)[:, 0]
        return gradient

    def _weights_of(self, class_id: int) -> Tensor:
        return self.weights[:, class_id : class_id + 1] if self.weights.shape[1] > 1 else self.weights
