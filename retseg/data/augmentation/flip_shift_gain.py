"""Flip, shift in whole rows, and gain: the least that helps, and no pixel is interpolated."""

import torch
from torch import Tensor

from retseg.data.augmentation.draws import check_shares
from retseg.data.dataset import Batch


class FlipShiftGain:
    """Each scan is mirrored left to right with probability `flip`, moved up or down, and made brighter or darker.

    The shift is uniform within +- shift_rows x H, in whole rows; what enters is the outermost row again, so that
    vitreous and choroid go on (labels too). The gain is uniform within 1 +- gain; values stay within 0..1.
    """

    def __init__(self, flip: float = 0.5, shift_rows: float = 0.1, gain: float = 0.2) -> None:
        check_shares(flip=flip, shift_rows=shift_rows, gain=gain)
        self.flip, self.shift_rows, self.gain = flip, shift_rows, gain

    def __call__(self, batch: Batch) -> Batch:
        """See Augmentation."""
        image, mask = batch["image"], batch["mask"]
        num, height = mask.shape[:2]
        draws = torch.rand(3, num).to(image.device)  # drawn on the CPU: the same on every device
        is_flipped = (draws[0] < self.flip).view(-1, 1, 1)
        shift = torch.round((2 * draws[1] - 1) * self.shift_rows * height).long()
        rows = (torch.arange(height, device=image.device) - shift[:, None]).clamp(0, height - 1)
        rows = rows[:, :, None].expand_as(mask)

        def moved(plane: Tensor) -> Tensor:
            return torch.where(is_flipped, plane.flip(2), plane).gather(1, rows)

        gain = 1 + (2 * draws[2] - 1) * self.gain
        changed: Batch = {
            **batch,
            "image": (moved(image[:, 0]) * gain.view(-1, 1, 1)).clamp(0, 1)[:, None],
            "mask": moved(mask),
        }
        if "surface_rows" in batch:
            rows_then = batch["surface_rows"]
            changed["surface_rows"] = torch.where(is_flipped, rows_then.flip(2), rows_then) + shift.view(-1, 1, 1)
        if "fluid" in batch:
            changed["fluid"] = moved(batch["fluid"])
        return changed
