"""What optics and sampling do: blur, loss of resolution, shadows. Images stay within 0..1; labels do not change."""

import torch
import torch.nn.functional as F

from retseg.data.augmentation.draws import amounts, check_factors, check_lengths, check_shares
from retseg.data.augmentation.smoothing import smoothed
from retseg.data.dataset import Batch
from retseg.errors import InputError


class Blur:
    """Smoothed along and across A-scans by 0 to axial_px and 0 to lateral_px (standard deviation), uniform a scan."""

    def __init__(self, axial_px: float = 1.0, lateral_px: float = 1.0, probability: float = 0.3) -> None:
        check_lengths(axial_px=axial_px, lateral_px=lateral_px)
        check_shares(probability=probability)
        self.most_px, self.probability = (axial_px, lateral_px), probability

    def __call__(self, batch: Batch) -> Batch:
        """See Augmentation."""
        plane = batch["image"][:, 0]
        for dim, most in zip((1, 2), self.most_px, strict=True):
            plane = smoothed(plane, amounts(plane, most, self.probability), most, dim)
        return {**batch, "image": plane[:, None]}


class LowerResolution:
    """Pixels averaged over a coarser grid and interpolated back: as a device that samples less would show the scan.

    The grid is coarser by factors from 1 to `axial` and from 1 to `lateral`, drawn for the batch; each scan is changed
    with a probability.
    """

    def __init__(self, axial: float = 2.0, lateral: float = 2.0, probability: float = 0.2) -> None:
        check_factors(axial=axial, lateral=lateral)
        check_shares(probability=probability)
        self.most, self.probability = (axial, lateral), probability

    def __call__(self, batch: Batch) -> Batch:
        """See Augmentation."""
        image = batch["image"]
        draws = torch.rand(2).tolist()
        size = [
            max(1, round(length / (1 + draw * (most - 1))))
            for length, draw, most in zip(image.shape[2:], draws, self.most, strict=True)
        ]
        coarse = F.interpolate(F.interpolate(image, size, mode="area"), image.shape[2:], mode="bilinear")
        is_changed = (torch.rand(len(image), 1, 1, 1) < self.probability).to(image.device)
        return {**batch, "image": torch.where(is_changed, coarse, image)}


class Shadow:
    """Dark bands as below vessels: up to `bands` a scan, each from a row in the upper half of the scan downwards.

    A band is as wide as a Gaussian of 1 to width_px px (standard deviation), and takes away up to `most` of the light
    in its middle; it sets in over 8 rows.
    """

    FADE_ROWS = 8

    def __init__(self, bands: int = 3, width_px: float = 6.0, most: float = 0.6, probability: float = 0.5) -> None:
        if bands < 1:
            raise InputError(f"augmentation.bands: {bands}, expected 1 or more; leave the step out for none")
        check_factors(width_px=width_px)
        check_shares(most=most, probability=probability)
        self.bands, self.width_px, self.most, self.probability = bands, width_px, most, probability

    def __call__(self, batch: Batch) -> Batch:
        """See Augmentation."""
        plane = batch["image"][:, 0]
        _, height, width = plane.shape
        rows = torch.arange(height, device=plane.device).view(1, -1, 1)
        columns = torch.arange(width, device=plane.device).view(1, 1, -1)
        for _ in range(self.bands):
            depth = amounts(plane, self.most, self.probability)
            centre, top = amounts(plane, width), amounts(plane, height / 2)
            spread = 1 + amounts(plane, self.width_px - 1)
            band = depth * torch.exp(-(((columns - centre) / spread) ** 2) / 2)
            plane = plane - plane * band * ((rows - top) / self.FADE_ROWS).clamp(0, 1)
        return {**batch, "image": plane[:, None]}
