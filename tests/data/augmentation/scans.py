"""Batches for the tests of augmentation."""

import torch

from retseg.data.dataset import Batch


def batch_of(image: torch.Tensor, mask: torch.Tensor, **more: torch.Tensor) -> Batch:
    """A batch of an image (N, 1, H, W) and a mask (N, H, W), with what else a test needs."""
    num = len(mask)
    names = [f"scan {index}" for index in range(num)]
    return {
        "image": image,
        "mask": mask,
        "spacing_um": torch.tensor([[4.0, 12.0]]).expand(num, 2),
        "subject": names,
        "name": names,
        **more,
    }
