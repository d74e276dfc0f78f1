"""Gray values: brighter, flatter, bent. Images (N, 1, H, W) stay within 0..1; labels do not change."""

import torch
from torch import Tensor

from retseg.data.augmentation.draws import amounts, both_ways, check_factors, check_shares, factors
from retseg.data.dataset import Batch
from retseg.errors import InputError


class Gain:
    """Times a factor within 1 +- most, uniform."""

    def __init__(self, most: float = 0.2) -> None:
        check_shares(most=most)
        self.most = most

    def __call__(self, batch: Batch) -> Batch:
        """See Augmentation."""
        gain = 1 + both_ways(batch["image"], self.most)
        return {**batch, "image": (batch["image"] * gain[:, None]).clamp(0, 1)}


class Contrast:
    """Deviations from the scan's mean times a factor from 1 / most to most."""

    def __init__(self, most: float = 1.25) -> None:
        check_factors(most=most)
        self.most = most

    def __call__(self, batch: Batch) -> Batch:
        """See Augmentation."""
        image = batch["image"]
        mean = image.mean(dim=(1, 2, 3), keepdim=True)
        return {**batch, "image": torch.lerp(mean, image, factors(image, self.most)[:, None]).clamp(0, 1)}


class Gamma:
    """To the power of 1 / most to most: dark tissue brighter or darker, black and white as they were."""

    def __init__(self, most: float = 1.4) -> None:
        check_factors(most=most)
        self.most = most

    def __call__(self, batch: Batch) -> Batch:
        """See Augmentation."""
        return {**batch, "image": batch["image"] ** factors(batch["image"], self.most)[:, None]}


class ToneCurve:
    """Gray values along a random curve that never falls, from 0 to 1 through `knots` steps of random height.

    A scan is mixed with what the curve makes of it, 0 to `most` of it; with a probability, else it is left alone. A
    stand-in for the many ways in which devices turn intensities into gray values.
    """

    def __init__(self, most: float = 0.5, knots: int = 6, probability: float = 1.0) -> None:
        check_shares(most=most, probability=probability)
        if knots < 2:
            raise InputError(f"augmentation.knots: {knots}, expected 2 or more steps")
        self.most, self.knots, self.probability = most, knots, probability

    def __call__(self, batch: Batch) -> Batch:
        """See Augmentation."""
        image = batch["image"]
        share = amounts(image, self.most, self.probability)[:, None]
        curve = rising_curves(len(image), self.knots).to(image.device)
        return {**batch, "image": torch.lerp(image, looked_up(image, curve), share)}


def rising_curves(num: int, num_steps: int) -> Tensor:
    """Curves (N, K + 1) from 0 to 1 that never fall; the K heights are exponential draws over their sum."""
    heights = -torch.log1p(-torch.rand(num, num_steps, dtype=torch.float64))
    tops = heights.cumsum(dim=1) / heights.sum(dim=1, keepdim=True)
    return torch.cat([torch.zeros(num, 1, dtype=torch.float64), tops], dim=1).float()


def looked_up(image: Tensor, curve: Tensor) -> Tensor:
    """The image (N, 1, H, W) in 0..1 through curves (N, K + 1), linear between their K + 1 points."""
    num, num_points = curve.shape
    place = image * (num_points - 1)
    below = place.long().clamp(max=num_points - 2)
    index = below + torch.arange(0, num * num_points, num_points, device=image.device).view(-1, 1, 1, 1)
    return torch.lerp(curve.take(index), curve.take(index + 1), place - below)
