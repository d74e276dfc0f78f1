"""Batches for the tests of augmentation."""

import numpy as np
import torch

from retseg.data.dataset import Batch
from retseg.geometry.surfaces import paint_mask


def batch_of(image: torch.Tensor, mask: torch.Tensor, **more: torch.Tensor) -> Batch:
    """A batch of an image (N, 1, H, W) and a mask (N, H, W), with what else a test needs."""
    num = len(mask)
    names = [f"scan {index}" for index in range(num)]
    return {
        "image": image,
        "mask": mask,
        "spacing_um": torch.tensor([[4.0, 12.0]]).repeat(num, 1),
        "subject": names,
        "name": names,
        **more,
    }


def layered(num: int = 6, height: int = 96, width: int = 80) -> Batch:
    """Scans of eight waving surfaces 6 px and more apart, gray levels by class, fluid in one layer."""
    generator = torch.Generator().manual_seed(11)
    waves = torch.sin(torch.arange(width) / 17 + torch.rand(num, 1, 1, generator=generator) * 6)
    tops = 20 + 7 * torch.arange(8).view(1, 8, 1) + torch.rand(num, 8, 1, generator=generator)
    rows = (tops + 3 * waves).float()
    mask = torch.stack([painted(scan, height) for scan in rows])
    return batch_of(gray(mask), mask, surface_rows=rows, fluid=(mask == 5).long())


def painted(surface_rows: torch.Tensor, height: int) -> torch.Tensor:
    """Class ids (H, W) from surface rows (S, W)."""
    return torch.from_numpy(paint_mask(surface_rows.numpy().astype(np.float64), height)).long()


def gray(mask: torch.Tensor) -> torch.Tensor:
    """Images (N, 1, H, W) whose gray levels say the class."""
    return (mask[:, None] + 2) / 20.0
