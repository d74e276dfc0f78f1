"""Loss on surface rows (N, S, W) in px of the grid."""

import torch.nn.functional as F
from torch import Tensor, nn

from retseg.errors import InputError


class SurfaceDistance(nn.Module):
    """Mean over the known rows of |rows - true rows| in px, rounded off within beta_rows (smooth L1).

    d^2 / (2 beta) for a distance d below beta, d - beta / 2 from there on (Girshick 2015, doi 10.1109/ICCV.2015.169);
    beta_rows 0 is the likelihood of a Laplace distribution of fixed width. Unknown true rows (nan) take no part; none
    known gives 0.
    """

    def __init__(self, beta_rows: float = 1.0) -> None:
        super().__init__()
        if beta_rows < 0:
            raise InputError(f"loss.surfaces.beta_rows: {beta_rows}, expected 0 (plain distance) or more px")
        self.beta_rows = beta_rows

    def forward(self, rows: Tensor, true_rows: Tensor) -> Tensor:
        """Scalar loss, in px."""
        is_known = true_rows.isfinite()
        true_rows = true_rows.nan_to_num(0, 0, 0).where(is_known, rows.detach())
        distance = F.smooth_l1_loss(rows, true_rows, reduction="sum", beta=self.beta_rows)
        return distance / is_known.sum().clamp(min=1)
