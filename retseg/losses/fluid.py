"""Loss on one logit of fluid a pixel (N, H, W)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retseg.anatomy import IGNORE
from retseg.errors import InputError


class FluidCrossEntropyDice(nn.Module):
    """ce_weight x binary cross-entropy + dice_weight x (1 - Dice) of fluid against no fluid.

    Cross-entropy is the mean over the pixels that somebody looked at, those with fluid weighted by fluid_pixels. Dice
    is soft and pooled over the batch, (2 I + 1) / (P + Y + 1): the 1 makes a batch without fluid ask for none.
    Pixels labelled IGNORE take no part; a batch of nothing else gives 0.
    """

    def __init__(self, ce_weight: float = 1.0, dice_weight: float = 1.0, fluid_pixels: float = 1.0) -> None:
        super().__init__()
        if ce_weight < 0 or dice_weight < 0 or ce_weight + dice_weight == 0:
            raise InputError(f"loss.fluid: weights {ce_weight} and {dice_weight}, expected none below 0 and one above")
        if fluid_pixels <= 0:
            raise InputError(f"loss.fluid.fluid_pixels: {fluid_pixels}, expected more than 0; 1 weighs all alike")
        self.ce_weight, self.dice_weight = ce_weight, dice_weight
        self.register_buffer("fluid_pixels", torch.tensor(fluid_pixels), persistent=False)
        self.fluid_pixels: Tensor

    def forward(self, logit: Tensor, fluid: Tensor) -> Tensor:
        """Scalar loss of logits (N, H, W) against 1 fluid, 0 none, IGNORE (N, H, W)."""
        is_seen = fluid != IGNORE
        truth = (fluid == 1).to(logit.dtype)
        entropy = F.binary_cross_entropy_with_logits(logit, truth, reduction="none", pos_weight=self.fluid_pixels)
        cross_entropy = (entropy * is_seen).sum() / is_seen.sum().clamp(min=1)
        probability = logit.sigmoid() * is_seen
        dice = (2 * (probability * truth).sum() + 1) / (probability.sum() + truth.sum() + 1)
        return self.ce_weight * cross_entropy + self.dice_weight * (1 - dice)
