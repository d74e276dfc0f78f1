"""Which pixels of a scan a class score counts. N scans, C classes, H rows, W columns; rows and columns are 0-based."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from retseg.anatomy import NUM_SURFACES
from retseg.errors import InputError
from retseg.geometry.surfaces import trace_surfaces


@dataclass(frozen=True, slots=True, eq=False)
class TrueLayer:
    """The pixels annotated as class c, from class ids (N, H, W); IGNORE is no class."""

    mask: Tensor

    def __post_init__(self) -> None:
        """Refuse anything but class ids (N, H, W)."""
        if self.mask.ndim != 3 or self.mask.is_floating_point() or self.mask.dtype == torch.bool:
            raise InputError(
                f"score.over: a true mask of shape {tuple(self.mask.shape)} and {self.mask.dtype}; "
                "expected class ids (N, H, W) as integers"
            )

    def counted(self, logits: Tensor) -> Tensor:
        """Boolean (N, C, H, W)."""
        ids = torch.arange(logits.shape[1], device=logits.device)[None, :, None, None]
        return as_classes(self.mask.to(logits.device), logits) == ids

    def part(self, scans: slice) -> "TrueLayer":
        """The masks of some of the scans."""
        return TrueLayer(scans_of(self.mask, scans))

    def describe(self) -> str:
        """Words for captions."""
        return "the pixels annotated as c"


@dataclass(frozen=True, slots=True)
class Pixel:
    """One pixel of every scan."""

    row: int
    column: int

    def counted(self, logits: Tensor) -> Tensor:
        """Boolean (1, 1, H, W)."""
        height, width = logits.shape[2:]
        if not (0 <= self.row < height and 0 <= self.column < width):
            raise InputError(
                f"score.over: pixel ({self.row}, {self.column}) lies outside {height} x {width}; "
                f"rows run from 0 to {height - 1}, columns from 0 to {width - 1}"
            )
        counted = torch.zeros(1, 1, height, width, dtype=torch.bool, device=logits.device)
        counted[..., self.row, self.column] = True
        return counted

    def part(self, scans: slice) -> "Pixel":
        """The same pixel."""
        return self

    def describe(self) -> str:
        """Words for captions."""
        return f"the pixel in row {self.row}, column {self.column}"


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """The pixels whose centres lie within half_width_px rows of a surface.

    rows: (W,) or (N, W), as `trace_surfaces` has them: a surface at row s is the upper edge of pixel s. Half a width
    of 2 counts rows s - 2 to s + 1. nan: no surface in that column, no pixel counts.
    name: for captions, e.g. one of `retseg.anatomy.SURFACE_NAMES`.
    """

    rows: Tensor
    half_width_px: float
    name: str = "a given surface"

    def __post_init__(self) -> None:
        """Refuse a band without pixels and rows of another shape."""
        if self.rows.ndim not in (1, 2):
            raise InputError(
                f"score.over: surface rows of shape {tuple(self.rows.shape)}, expected (W,) or (N, W), one per column"
            )
        if not self.half_width_px >= 0.5:
            raise InputError(f"score.over: a band of half-width {self.half_width_px} px, expected at least 0.5")

    @classmethod
    def around(cls, mask: Tensor, surface: int, half_width_px: float, name: str = "a given surface") -> "Band":
        """Band around surface 0 (ILM) to 7 (BM) of class ids (N, H, W)."""
        if not 0 <= surface < NUM_SURFACES:
            raise InputError(f"score.over: surface {surface}, expected 0 (ILM) to {NUM_SURFACES - 1} (BM)")
        traced: list[Any] = [trace_surfaces(one)[surface] for one in mask.cpu().numpy()]
        return cls(torch.from_numpy(np.stack(traced)), half_width_px, name)

    def counted(self, logits: Tensor) -> Tensor:
        """Boolean (1 or N, 1, H, W)."""
        num, _, height, width = logits.shape
        rows = self.rows.to(logits).expand(1, -1) if self.rows.ndim == 1 else self.rows.to(logits)
        if rows.shape[1] != width or len(rows) not in (1, num):
            raise InputError(
                f"score.over: surface rows of shape {tuple(self.rows.shape)} for logits {tuple(logits.shape)}; "
                "expected (W,) or (N, W) of the same size"
            )
        centres = torch.arange(height, device=logits.device)[:, None] + 0.5
        return ((centres - rows[:, None, None, :]).abs() <= self.half_width_px).expand(-1, 1, -1, -1)

    def part(self, scans: slice) -> "Band":
        """The surface of some of the scans."""
        rows = self.rows if self.rows.ndim == 1 else scans_of(self.rows, scans)
        return Band(rows, self.half_width_px, self.name)

    def describe(self) -> str:
        """Words for captions."""
        return f"a band of {self.half_width_px:g} px to either side of {self.name}"


def scans_of(batch: Tensor, scans: slice) -> Tensor:
    """Some scans of (N, ...); what has one for all stays."""
    return batch if len(batch) == 1 else batch[scans]


def as_classes(mask: Tensor, logits: Tensor) -> Tensor:
    """A mask (H, W), (N, H, W) or (N, C, H, W) with the axes of logits (N, C, H, W); axes of size 1 broadcast."""
    spread = mask if mask.ndim == 4 else mask.unsqueeze(-3).unsqueeze(0) if mask.ndim == 2 else mask.unsqueeze(1)
    if mask.ndim in (2, 3, 4) and all(size in (1, full) for size, full in zip(spread.shape, logits.shape, strict=True)):
        return spread.expand_as(logits)
    raise InputError(
        f"score.over: a mask of shape {tuple(mask.shape)} for logits {tuple(logits.shape)}; "
        "expected (H, W), (N, H, W) or (N, C, H, W) of the same size"
    )
