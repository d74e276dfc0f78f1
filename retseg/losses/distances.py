"""Distances along columns: layers lie across them. N scans, C classes, H rows, W columns."""

import torch
from torch import Tensor

from retseg.anatomy import IGNORE


def rows_to(is_there: Tensor, reach: int) -> Tensor:
    """Rows from each pixel to the nearest one of its column that is there, at most `reach`; (..., H, W) int16."""
    distance = torch.where(is_there, 0, reach).to(torch.int16)
    step = 1
    while step < reach and step < distance.shape[-2]:  # after each round, exact up to twice as far
        known = distance.clone()
        distance[..., step:, :] = torch.minimum(distance[..., step:, :], known[..., :-step, :] + step)
        distance[..., :-step, :] = torch.minimum(distance[..., :-step, :], known[..., step:, :] + step)
        step *= 2
    return distance


def is_beside_surface(mask: Tensor) -> Tensor:
    """Whether the pixel above or below is of another class (N, H, W) bool; what nobody annotated has no surfaces."""
    above, below = mask[:, :-1], mask[:, 1:]
    is_edge = (above != below) & (above != IGNORE) & (below != IGNORE)
    beside = torch.zeros_like(mask, dtype=torch.bool)
    beside[:, :-1] |= is_edge
    beside[:, 1:] |= is_edge
    return beside
