"""Smoothing of planes (N, H, W) by an amount of its own for each scan."""

import math

import torch
from torch import Tensor

MOST_VARIANCE = 0.5
"""Of one pass of three taps k, 1, k with k up to 1/2."""


def smoothed(plane: Tensor, sigma: Tensor, most: float, dim: int) -> Tensor:
    """The plane (N, H, W) smoothed along a dimension by sigma px (N, 1, 1), each at most `most`; edges are repeated.

    Passes of three taps: close to a Gaussian of the same variance, and much cheaper.
    """
    num_passes = math.ceil(most**2 / MOST_VARIANCE)
    if num_passes == 0:
        return plane
    share = sigma.square() / num_passes / 2  # weight of either neighbour: the variance is twice it
    for _ in range(num_passes):
        plane = torch.lerp(plane, neighbours(plane, dim), 2 * share)
    return plane


def neighbours(plane: Tensor, dim: int) -> Tensor:
    """Mean of the two neighbours along a dimension; beyond an edge the outermost pixel is repeated."""
    last = plane.shape[dim] - 1
    before = torch.cat([plane.narrow(dim, 0, 1), plane.narrow(dim, 0, last)], dim)
    after = torch.cat([plane.narrow(dim, 1, last), plane.narrow(dim, last, 1)], dim)
    return (before + after) / 2
