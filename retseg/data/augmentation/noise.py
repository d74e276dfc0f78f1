"""Speckle and noise. Images (N, 1, H, W) stay within 0..1; labels do not change."""

import torch
from torch import Tensor

from retseg.data.augmentation.draws import amounts, check_lengths, check_shares, normal
from retseg.data.augmentation.smoothing import smoothed
from retseg.data.dataset import Batch


class Speckle:
    """Times 1 + s z, z being normal noise of unit variance whose grains have a size; s is 0 to `most` a scan.

    Grains: white noise smoothed by 0 to axial_px and 0 to lateral_px (standard deviations of the kernel), a scan each.
    The measured scans have a relative sd of 0.11 to 0.16 and correlations at one pixel of .8 (axial) and .6 (lateral),
    as smoothing by 1.1 and 0.7 px gives.
    """

    def __init__(
        self, most: float = 0.15, axial_px: float = 1.2, lateral_px: float = 1.0, probability: float = 1.0
    ) -> None:
        check_shares(most=most, probability=probability)
        check_lengths(axial_px=axial_px, lateral_px=lateral_px)
        self.most, self.axial_px, self.lateral_px, self.probability = most, axial_px, lateral_px, probability

    def __call__(self, batch: Batch) -> Batch:
        """See Augmentation."""
        plane = batch["image"][:, 0]
        strength = amounts(plane, self.most, self.probability)
        grains = grainy(plane, (self.axial_px, self.lateral_px))
        return {**batch, "image": (plane + plane * grains * strength).clamp(0, 1)[:, None]}


class Noise:
    """Plus normal noise, white, of a standard deviation of 0 to `most` a scan."""

    def __init__(self, most: float = 0.05, probability: float = 1.0) -> None:
        check_shares(most=most, probability=probability)
        self.most, self.probability = most, probability

    def __call__(self, batch: Batch) -> Batch:
        """See Augmentation."""
        plane = batch["image"][:, 0]
        strength = amounts(plane, self.most, self.probability)
        return {**batch, "image": torch.addcmul(plane, normal(plane), strength).clamp(0, 1)[:, None]}


def grainy(like: Tensor, most_px: tuple[float, float]) -> Tensor:
    """Normal noise (N, H, W) of variance 1, smoothed along H and W by 0 to so many px a scan."""
    noise = normal(like)
    for dim, most in zip((1, 2), most_px, strict=True):
        noise = smoothed(noise, amounts(like, most), most, dim)
    return noise / noise.std(dim=(1, 2), keepdim=True)
