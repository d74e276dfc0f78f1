"""Random amounts, one a scan (N, 1, 1), drawn on the CPU and then moved: the same on every device.

Options are named as in the configuration: a wrong one is refused as augmentation.<name>.
"""

import math

import torch
from torch import Tensor

from retseg.errors import InputError


def amounts(like: Tensor, most: float, probability: float = 1.0) -> Tensor:
    """0 to `most`, uniform, with a probability; else 0. As many as `like` (N, ...) has scans, on its device."""
    draws = torch.rand(2, len(like), 1, 1)
    return (draws[0] * most * (draws[1] < probability)).to(like.device)


def both_ways(like: Tensor, most: float) -> Tensor:
    """-most to most, uniform."""
    return ((2 * torch.rand(len(like), 1, 1) - 1) * most).to(like.device)


def factors(like: Tensor, most: float) -> Tensor:
    """1 / most to most, as likely to divide as to multiply."""
    return torch.exp(both_ways(like, math.log(most)))


def normal(like: Tensor) -> Tensor:
    """Standard normal draws of the shape of a tensor."""
    return torch.randn(like.shape).to(like.device)


def check_shares(**options: float) -> None:
    """InputError unless each is from 0 to 1."""
    for name, value in options.items():
        if not 0 <= value <= 1:
            raise InputError(f"augmentation.{name}: {value}, expected a number from 0 to 1")


def check_factors(**options: float) -> None:
    """InputError unless each is 1 (nothing) or more."""
    for name, value in options.items():
        if value < 1:
            raise InputError(f"augmentation.{name}: {value}, expected a factor of 1 (nothing) or more")


def check_lengths(**options: float) -> None:
    """InputError unless each is 0 px (nothing) or more."""
    for name, value in options.items():
        if value < 0:
            raise InputError(f"augmentation.{name}: {value}, expected 0 px (nothing) or more")
