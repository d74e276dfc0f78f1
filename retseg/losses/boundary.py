"""Losses that look at the surfaces between layers: where they are, how far off, how long."""

import math

import torch
from torch import Tensor, nn

from retseg.anatomy import IGNORE
from retseg.errors import InputError
from retseg.losses.distances import is_beside_surface, rows_to
from retseg.losses.pixels import is_class, true_class_surprise, weighted_mean


class BoundaryWeightedCrossEntropy(nn.Module):
    """Cross-entropy whose pixels weigh 1 + surface x exp(-d^2 / (2 sigma_rows^2)) + layer (in a layer).

    d is the distance in rows from the pixel's middle to the nearest surface of its column. Weights as in ReLayNet
    (Roy et al. 2017, doi 10.1364/BOE.8.003627: 10 beside a surface, 5 in thin classes), fading as in U-Net
    (Ronneberger et al. 2015, eq. 2). The mean is over the weights, so that it has the size of a cross-entropy.
    """

    def __init__(self, surface: float = 10.0, sigma_rows: float = 1.5, layer: float = 5.0) -> None:
        super().__init__()
        if surface < 0 or layer < 0:
            raise InputError(f"loss: surface {surface} and layer {layer}, expected 0 (no extra weight) or more")
        if sigma_rows <= 0:
            raise InputError(f"loss.sigma_rows: {sigma_rows}, expected more than 0 px")
        self.surface, self.sigma_rows, self.layer = surface, sigma_rows, layer

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Scalar loss."""
        surprise = true_class_surprise(logits, mask)
        return weighted_mean(surprise, self.weights(mask).to(surprise.dtype))

    def weights(self, mask: Tensor) -> Tensor:
        """Weight of each pixel (N, H, W); 0 where nobody annotated."""
        reach = math.ceil(4 * self.sigma_rows) + 1
        rows = torch.arange(reach + 1, device=mask.device) + 0.5
        fading = torch.exp(-((rows / self.sigma_rows) ** 2) / 2)
        fading[-1] = 0  # beyond reach
        near = fading[rows_to(is_beside_surface(mask), reach).long()]
        return (1 + self.surface * near + self.layer * (mask > 0)) * (mask != IGNORE)


class BoundaryDistance(nn.Module):
    """Mean over annotated pixels of sum_c (p_c - y_c) phi_c: wrong classes cost by how far off they are.

    phi_c is the distance of the pixel's middle to the edge of class c in its column, in rows over reach_rows, at most
    1, below 0 inside. Kervadec et al. 2019 (doi 10.1016/j.media.2020.101851) with distances along columns and without
    dropping the constant: the truth y gives 0. Add it to another loss (WeightedSum): beyond reach all is equally far.
    """

    def __init__(self, reach_rows: int = 20) -> None:
        super().__init__()
        if reach_rows < 1:
            raise InputError(f"loss.reach_rows: {reach_rows}, expected 1 px or more")
        self.reach_rows = reach_rows

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Scalar loss."""
        is_annotated = (mask != IGNORE).unsqueeze(1)
        truth = is_class(mask, logits.shape[1])
        outside, inside = rows_to(truth, self.reach_rows), rows_to(~truth & is_annotated, self.reach_rows)
        level = torch.where(truth, 0.5 - inside, outside - 0.5) / self.reach_rows
        excess = (logits.softmax(dim=1) - truth.to(logits.dtype)) * level * is_annotated
        return excess.sum() / is_annotated.sum().clamp(min=1)


class ActiveContour(nn.Module):
    """region + length_weight x length, per annotated pixel, summed over classes (Chen et al. 2019).

    doi 10.1109/CVPR.2019.01190; region is u (1 - v)^2 + (1 - u) v^2, u the probability of a class and v
    its truth: summed over classes it is 2 (1 - p), p the probability of the true class. length is
    |gradient of u| = sqrt(dx^2 + dy^2 + eps) - sqrt(eps), its differences taken between annotated pixels alone.
    """

    EPSILON = 1e-6

    def __init__(self, length_weight: float = 1.0) -> None:
        super().__init__()
        if length_weight < 0:
            raise InputError(f"loss.length_weight: {length_weight}, expected 0 (region alone) or more")
        self.length_weight = length_weight

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Scalar loss."""
        is_annotated = mask != IGNORE
        region = -2 * torch.expm1(-true_class_surprise(logits, mask))
        u = logits.softmax(dim=1)
        known = is_annotated[:, :-1, :-1] & is_annotated[:, 1:, :-1] & is_annotated[:, :-1, 1:]
        down, right = u[:, :, 1:, :-1] - u[:, :, :-1, :-1], u[:, :, :-1, 1:] - u[:, :, :-1, :-1]
        slope = (down.square() + right.square() + self.EPSILON).sqrt() - math.sqrt(self.EPSILON)
        length = (slope * known.unsqueeze(1)).sum()
        return (region.sum() + self.length_weight * length) / is_annotated.sum().clamp(min=1)
