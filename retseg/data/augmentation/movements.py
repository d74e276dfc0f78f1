"""The movements that a Warp can make. N scans, H rows, W columns; amounts are one a scan."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from retseg.data.augmentation.draws import both_ways, check_factors, check_shares, factors
from retseg.data.augmentation.warp import Displacement
from retseg.errors import InputError


@dataclass(frozen=True)
class Flip:
    """Left to right, with a probability."""

    probability: float = 0.5

    def __post_init__(self) -> None:
        """InputError for no probability."""
        check_shares(probability=self.probability)

    def __call__(self, displacement: Displacement) -> Displacement:
        """See Movement."""
        columns = displacement.columns
        is_flipped = (torch.rand(len(columns), 1) < self.probability).to(columns.device)
        return replace(displacement, columns=torch.where(is_flipped, columns.shape[1] - 1 - columns, columns))


@dataclass(frozen=True)
class Shift:
    """Up or down within +- rows x H, sideways within +- columns x W, uniform."""

    rows: float = 0.1
    columns: float = 0.0

    def __post_init__(self) -> None:
        """InputError for a share outside 0..1."""
        check_shares(rows=self.rows, columns=self.columns)

    def __call__(self, displacement: Displacement) -> Displacement:
        """See Movement."""
        columns = displacement.columns
        down = both_ways(columns, self.rows * displacement.num_rows)[:, 0]
        aside = both_ways(columns, self.columns * columns.shape[1])[:, 0]
        return replace(displacement, rise=displacement.rise + down, columns=columns + aside)


@dataclass(frozen=True)
class Shear:
    """Tilted about the middle column; from side to side the retina rises within +- rows x H, uniform."""

    rows: float = 0.1

    def __post_init__(self) -> None:
        """InputError for a share outside 0..1."""
        check_shares(rows=self.rows)

    def __call__(self, displacement: Displacement) -> Displacement:
        """See Movement."""
        from_left_to_right = both_ways(displacement.rise, self.rows * displacement.num_rows)[:, 0]
        width = displacement.rise.shape[1]
        place = (torch.arange(width, device=displacement.rise.device) + 0.5) / width - 0.5
        return replace(displacement, rise=displacement.rise + from_left_to_right * place)


@dataclass(frozen=True)
class Scale:
    """Larger or smaller in depth and laterally, by factors from 1 / most to most, independent of each other."""

    depth: float = 1.2
    lateral: float = 1.2

    def __post_init__(self) -> None:
        """InputError for a factor below 1."""
        check_factors(depth=self.depth, lateral=self.lateral)

    def __call__(self, displacement: Displacement) -> Displacement:
        """See Movement."""
        columns = displacement.columns
        deeper, wider = factors(columns, self.depth)[:, 0], factors(columns, self.lateral)[:, 0]
        middle = (columns.shape[1] - 1) / 2
        return replace(
            displacement,
            columns=middle + (columns - middle) / wider,
            stretch=displacement.stretch * deeper,
            magnification=displacement.magnification * torch.cat([deeper, wider], dim=1),
        )


@dataclass(frozen=True)
class Elastic:
    """Bent smoothly: each column moves up or down, and aside, and is stretched in depth about the middle row.

    Curves through `knots` normal draws, evenly spaced over the width; rows x H, columns x W and stretch (a share) are
    their standard deviations. Neighbouring columns move almost alike, so that layers stay whole.
    """

    rows: float = 0.02
    columns: float = 0.01
    stretch: float = 0.05
    knots: int = 6

    def __post_init__(self) -> None:
        """InputError for a share outside 0..1 or too few knots."""
        check_shares(rows=self.rows, columns=self.columns, stretch=self.stretch)
        if self.knots < 2:
            raise InputError(f"augmentation.knots: {self.knots}, expected 2 (a straight line) or more")

    def __call__(self, displacement: Displacement) -> Displacement:
        """See Movement."""
        down, aside, longer = smooth_curves(displacement.columns, self.knots)
        width = displacement.columns.shape[1]
        return replace(
            displacement,
            rise=displacement.rise + self.rows * displacement.num_rows * down,
            columns=displacement.columns + self.columns * width * aside,
            stretch=displacement.stretch * torch.exp(self.stretch * longer),
        )


def smooth_curves(like: Tensor, num_knots: int) -> Tensor:
    """Three smooth random curves a scan, (3, N, W) as `like` (N, W), through normal draws at evenly spaced knots."""
    draws = torch.randn(3, len(like), 1, num_knots).to(like.device)
    curves = F.interpolate(draws, size=(1, like.shape[1]), mode="bicubic", align_corners=True)
    return curves[:, :, 0]
