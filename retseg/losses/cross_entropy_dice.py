"""Cross-entropy and Dice: the paper's loss, with class weights and focus as choices."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retseg.anatomy import IGNORE
from retseg.errors import InputError
from retseg.losses.pixels import true_class_surprise

DiceReduction = Literal["micro_soft", "macro_soft"]


class CrossEntropyDice(nn.Module):
    """ce_weight x cross-entropy + dice_weight x (1 - Dice), the paper's eq. 3 with weights 1 and 0.5.

    Cross-entropy is the mean over annotated pixels (eq. 1 as Keras averages it), weighted by class if class_weights
    are given, and by (1 - p)^focal_gamma, p being the probability of the pixel's true class (focal loss, Lin et al.
    2017, doi 10.1109/ICCV.2017.324; gamma 0 is none). Dice (eq. 2) is soft, of one batch, see `dice_micro_soft` and
    `dice_macro_soft`. Section 3.6 speaks of "equal weighting (lambda = 0.5)"; the paper's printed loss follows eq. 3;
    equal weighting is 0.5 and 0.5 here.
    A batch with nothing annotated gives 0.
    """

    def __init__(
        self,
        ce_weight: float = 1.0,
        dice_weight: float = 0.5,
        dice_reduction: DiceReduction = "micro_soft",
        class_weights: Sequence[float] | None = None,
        focal_gamma: float = 0.0,
    ) -> None:
        super().__init__()
        if focal_gamma < 0:
            raise InputError(f"loss.focal_gamma: {focal_gamma}, expected 0 (plain cross-entropy) or more; 2 is usual")
        if dice_reduction not in ("micro_soft", "macro_soft"):
            raise InputError(f"loss.dice_reduction: {dice_reduction!r} is neither micro_soft nor macro_soft")
        if ce_weight < 0 or dice_weight < 0 or ce_weight + dice_weight == 0:
            raise InputError(f"loss: weights {ce_weight} and {dice_weight}, expected none below 0 and one above")
        self.ce_weight, self.dice_weight, self.dice_reduction = ce_weight, dice_weight, dice_reduction
        self.focal_gamma = focal_gamma
        weights = None if class_weights is None else torch.tensor(list(class_weights), dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)
        self.class_weights: Tensor | None

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Scalar loss."""
        annotated = mask != IGNORE
        surprise = true_class_surprise(logits, mask)
        cross_entropy = self._mean(self._focused(surprise), mask, annotated)
        if self.dice_reduction == "micro_soft":
            dice = dice_micro_soft(surprise, annotated)
        else:
            dice = dice_macro_soft(logits, mask, annotated)
        return self.ce_weight * cross_entropy + self.dice_weight * (1 - dice) * annotated.any()

    def _focused(self, surprise: Tensor) -> Tensor:
        """-(1 - p)^gamma log p from -log p (N, H, W)."""
        return surprise if self.focal_gamma == 0 else (-torch.expm1(-surprise)) ** self.focal_gamma * surprise

    def _mean(self, surprise: Tensor, mask: Tensor, annotated: Tensor) -> Tensor:
        if self.class_weights is None:
            return surprise.sum() / annotated.sum().clamp(min=1)
        weights = self.class_weights
        weight = weights[mask.clamp(min=0)] * annotated
        return (weight * surprise).sum() / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)

    def check(self, num_classes: int) -> None:
        """InputError unless the class weights are as many as the classes."""
        if self.class_weights is not None and len(self.class_weights) != num_classes:
            raise InputError(
                f"loss.class_weights: {len(self.class_weights)} numbers for {num_classes} classes; give one a class"
            )


def dice_micro_soft(surprise: Tensor, annotated: Tensor) -> Tensor:
    """Scalar 2 I / (P + Y) pooled over all annotated pixels and classes, from -log p of the true class (N, H, W).

    The probabilities of a pixel sum to 1 and so does its one-hot truth, so P = Y = number of pixels and the soft Dice
    is the mean probability given to the true class: no one-hot tensor is needed.
    """
    true_probability = torch.exp(-surprise) * annotated
    return true_probability.sum() / annotated.sum().clamp(min=1)


def dice_macro_soft(logits: Tensor, mask: Tensor, annotated: Tensor) -> Tensor:
    """Mean over the classes present in the batch of 2 I_c / (P_c + Y_c), sums over its annotated pixels."""
    num_classes = logits.shape[1]
    probabilities = logits.softmax(dim=1).movedim(1, -1)[annotated]
    truth = F.one_hot(mask[annotated], num_classes).to(probabilities.dtype)
    intersection = (probabilities * truth).sum(dim=0)
    present = truth.sum(dim=0) > 0
    dice = 2 * intersection / (probabilities.sum(dim=0) + truth.sum(dim=0)).clamp(min=1e-6)
    return dice[present].sum() / present.sum().clamp(min=1)
