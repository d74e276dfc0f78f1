"""Several losses as one."""

from collections.abc import Sequence

from torch import Tensor, nn

from retseg.errors import InputError


class WeightedSum(nn.Module):
    """sum_i weights[i] x losses[i](logits, mask)."""

    def __init__(self, losses: Sequence[nn.Module], weights: Sequence[float]) -> None:
        super().__init__()
        if len(losses) != len(weights) or not losses:
            raise InputError(f"loss.weights: {len(weights)} numbers for {len(losses)} losses; give one a loss")
        if min(weights) < 0:
            raise InputError(f"loss.weights: {list(weights)}, expected none below 0")
        self.losses, self.weights = nn.ModuleList(losses), tuple(weights)

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Scalar loss."""
        parts = [weight * loss(logits, mask) for loss, weight in zip(self.losses, self.weights, strict=True)]
        total: Tensor = sum(parts[1:], start=parts[0])
        return total

    def check(self, num_classes: int) -> None:
        """InputError unless each loss fits so many classes."""
        for loss in self.losses:
            check = getattr(loss, "check", None)
            if check is not None:
                check(num_classes)
