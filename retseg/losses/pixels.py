"""Per-pixel quantities that losses share, from logits (N, C, H, W) and class ids (N, H, W)."""

import torch
from torch import Tensor

from retseg.anatomy import IGNORE


def true_class_surprise(logits: Tensor, mask: Tensor) -> Tensor:
    """-log of the probability given to the true class (N, H, W); 0 where nobody annotated.

    Equals `F.cross_entropy(..., reduction="none")`, whose kernel for images is not deterministic on GPUs.
    """
    log_probability = logits.log_softmax(dim=1).gather(1, mask.clamp(min=0).unsqueeze(1)).squeeze(1)
    return -log_probability.masked_fill(mask == IGNORE, 0)


def is_class(mask: Tensor, num_classes: int) -> Tensor:
    """Whether a pixel is of a class (N, C, H, W) bool; of none where nobody annotated."""
    return mask.unsqueeze(1) == torch.arange(num_classes, device=mask.device).view(1, -1, 1, 1)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Scalar sum(weights x values) / sum(weights), of equal shapes; 0 if all weights are."""
    return (weights * values).sum() / weights.sum().clamp(min=torch.finfo(values.dtype).tiny)
