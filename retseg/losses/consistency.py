"""Agreement of two predictions of the same scans: two views, or a student and its teacher."""

from torch import Tensor, nn

from retseg.errors import InputError


class Consistency(nn.Module):
    """Mean over pixels of KL(target || prediction), sum_c t_c (log t_c - log p_c); the target gets no gradient.

    Pixels whose target is less sure than min_confidence (its highest probability) take no part; if none is left the
    loss is 0. Nor do those outside of `where`. Both are to lie on one grid: undo flips and shifts before.
    """

    def __init__(self, min_confidence: float = 0.0) -> None:
        super().__init__()
        if not 0 <= min_confidence < 1:
            raise InputError(f"loss.min_confidence: {min_confidence}, expected from 0 (every pixel) to below 1")
        self.min_confidence = min_confidence

    def forward(self, logits: Tensor, target_logits: Tensor, where: Tensor | None = None) -> Tensor:
        """Scalar loss of logits (N, C, H, W) against those of the target, in the pixels (N, H, W) bool of where."""
        log_target = target_logits.detach().log_softmax(dim=1)
        target = log_target.exp()
        divergence = (target * (log_target - logits.log_softmax(dim=1))).sum(dim=1)
        is_sure = target.amax(dim=1) >= self.min_confidence
        if where is not None:
            is_sure = is_sure & where
        return (divergence * is_sure).sum() / is_sure.sum().clamp(min=1)
