"""Ranks of pixels by their heat, and Spearman's correlation of ranks. Leading axes are anything, the last is pixels."""

import torch
from torch import Tensor


def rank_correlation(left: Tensor, right: Tensor) -> Tensor:
    """Spearman's correlation (...) float64 of two tensors (..., n), ties at their mean rank; nan where one is constant.

    Source: Spearman 1904, doi 10.2307/1412159, as `scipy.stats.spearmanr`.
    """
    return correlation(average_ranks(left), average_ranks(right))


def average_ranks(values: Tensor) -> Tensor:
    """Ranks (..., n) float64 from 0 up, smallest first; equal values share the mean of their ranks."""
    return ranks_of_sorted(*values.sort(dim=-1))


def ranks_of_sorted(ordered: Tensor, order: Tensor) -> Tensor:
    """Average ranks (..., n) float64 of values before `torch.sort` gave ordered (..., n) and order (..., n)."""
    num_values = ordered.shape[-1]
    place = torch.arange(num_values, device=ordered.device)
    starts = torch.ones_like(ordered, dtype=torch.bool)
    starts[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    ends = torch.ones_like(starts)
    ends[..., :-1] = starts[..., 1:]
    first = torch.where(starts, place, 0).cummax(-1).values
    last = torch.where(ends, place, num_values - 1).flip(-1).cummin(-1).values.flip(-1)
    return torch.empty_like(ordered, dtype=torch.float64).scatter_(-1, order, (first + last).double() / 2)


def correlation(left: Tensor, right: Tensor) -> Tensor:
    """Pearson's correlation (...) of two tensors (..., n) float64; nan where one is constant."""
    left, right = (values - values.mean(-1, keepdim=True) for values in (left, right))
    return (left * right).sum(-1) / ((left * left).sum(-1) * (right * right).sum(-1)).sqrt()
