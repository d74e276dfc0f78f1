"""Geometry: scans are moved and bent by one interpolation, surfaces by the same numbers exactly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from retseg.anatomy import IGNORE
from retseg.data.dataset import Batch


@dataclass(frozen=True)
class Displacement:
    """Where the pixels of N scans of H rows and W columns come from.

    A pixel of column c in row y (row r is the upper edge of pixel r, its middle r + 1/2) shows what was in column
    columns[c] (N, W), between 0 and W - 1, and in row H / 2 + (y - H / 2 - rise[c]) / stretch[c]: tissue is moved down
    by rise (N, W) px and stretched in depth by a factor (N, W) about the middle row. magnification (N, 2), axial and
    lateral, is what a scan's pixel spacing is divided by.
    """

    columns: Tensor
    rise: Tensor
    stretch: Tensor
    magnification: Tensor
    num_rows: int

    @staticmethod
    def none(mask: Tensor) -> "Displacement":
        """Every pixel where it was, for masks (N, H, W)."""
        num, num_rows, num_columns = mask.shape
        columns = torch.arange(num_columns, dtype=torch.float32, device=mask.device).expand(num, -1)
        ones = torch.ones_like(columns)
        return Displacement(columns, torch.zeros_like(columns), ones, ones.new_ones(num, 2), num_rows)

    def source_rows(self) -> Tensor:
        """Row (N, H, W) in which the middle of each pixel was."""
        middle = self.num_rows / 2
        rows = torch.arange(self.num_rows, device=self.rise.device) + 0.5 - middle
        return middle + (rows.view(1, -1, 1) - self.rise.unsqueeze(1)) / self.stretch.unsqueeze(1)


class Movement(Protocol):
    """Adds a random movement to a displacement."""

    def __call__(self, displacement: Displacement) -> Displacement:
        """The displacement with one more movement."""
        ...


class Warp:
    """All movements together, each drawn for every scan; the image is interpolated once (bilinear), labels are not.

    What enters at an edge mirrors what is inside. In rows that enter a label is IGNORE unless it is 0 (background, no
    fluid): vitreous and choroid go on, a mirrored layer is none. Surfaces are interpolated between columns and then
    moved exactly; they may leave the grid, below 0 or above H. The spacing follows a change of scale.
    """

    def __init__(self, movements: Sequence[Movement]) -> None:
        self.movements = tuple(movements)

    def __call__(self, batch: Batch) -> Batch:
        """See Augmentation."""
        displacement = Displacement.none(batch["mask"])
        for movement in self.movements:
            displacement = movement(displacement)
        source_rows, columns = displacement.source_rows(), mirrored(displacement.columns)
        rows = mirrored_rows(source_rows)
        source, is_beyond = source_pixels(rows, columns), (source_rows < 0) | (source_rows > displacement.num_rows)
        moved: Batch = {
            **batch,
            "image": moved_image(batch["image"], rows, columns),
            "mask": moved_labels(batch["mask"], source, is_beyond),
            "spacing_um": batch["spacing_um"] / displacement.magnification,
        }
        if "surface_rows" in batch:
            moved["surface_rows"] = moved_surfaces(batch["surface_rows"], displacement, columns)
        if "fluid" in batch:
            moved["fluid"] = moved_labels(batch["fluid"], source, is_beyond)
        return moved


def mirrored(columns: Tensor) -> Tensor:
    """Columns (N, W) between 0 and W - 1: those beyond are mirrored at the outermost ones."""
    last = columns.shape[1] - 1
    if last == 0:
        return torch.zeros_like(columns)
    return last - (columns.remainder(2 * last) - last).abs()


def mirrored_rows(rows: Tensor) -> Tensor:
    """Rows (N, H, W) between 0 and H: those beyond are mirrored at the edges, once."""
    height = rows.shape[1]
    return (height - (height - rows.abs()).abs_()).clamp_(0, height)


def moved_image(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Image (N, 1, H, W) from source rows (N, H, W) (upper edge of the first row 0) and columns (N, W) (its middle)."""
    height, width = rows.shape[1:]
    across = ((2 * columns + 1) / width - 1).unsqueeze(1).expand_as(rows)
    grid = torch.stack([across, 2 * rows / height - 1], dim=-1)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)


def source_pixels(rows: Tensor, columns: Tensor) -> Tensor:
    """Pixels that hold source rows (N, H, W) and columns (N, W), as places in all N scans (N, H, W) int64."""
    num, height, width = rows.shape
    row = rows.floor().clamp_(max=height - 1).long()
    scans = torch.arange(num, device=rows.device).view(-1, 1, 1) * height * width
    return row.mul_(width).add_(scans + columns.round().long().unsqueeze(1))


def moved_labels(labels: Tensor, source: Tensor, is_beyond: Tensor) -> Tensor:
    """Labels (N, H, W) of the source pixels; beyond the scan 0 goes on, alone."""
    found = labels.take(source)
    return found.masked_fill_(is_beyond & (found != 0), IGNORE)


def moved_surfaces(surface_rows: Tensor, displacement: Displacement, columns: Tensor) -> Tensor:
    """Surface rows (N, S, W), linear between columns, nan where one of the two is; then moved exactly."""
    left = columns.floor()
    share = (columns - left).unsqueeze(1)
    first = left.long().unsqueeze(1).expand_as(surface_rows)
    second = (first + 1).clamp(max=surface_rows.shape[2] - 1)
    here, next_one = surface_rows.gather(2, first), surface_rows.gather(2, second)
    rows = torch.where(share == 0, here, torch.lerp(here, next_one, share))
    middle = displacement.num_rows / 2
    return middle + displacement.rise.unsqueeze(1) + (rows - middle) * displacement.stretch.unsqueeze(1)
