"""What one person or one network says about a B-scan: a class for every pixel, and the surfaces between the layers."""

from dataclasses import dataclass

import numpy as np

from retseg.anatomy import IGNORE, NUM_SURFACES
from retseg.bscan import Array, BScan
from retseg.errors import InputError
from retseg.geometry.surfaces import paint_mask, trace_surfaces


@dataclass(frozen=True, slots=True, eq=False)
class Labelling:
    """mask (H, W) int8 class ids, IGNORE where nobody said; surface_rows (S, W) float32, 0-based, nan where unknown."""

    mask: Array
    surface_rows: Array

    def __post_init__(self) -> None:
        """Shapes agree by construction (a slip of ours otherwise)."""
        assert self.mask.ndim == 2, self.mask.shape
        assert self.surface_rows.shape == (NUM_SURFACES, self.mask.shape[1]), self.surface_rows.shape

    @classmethod
    def from_surfaces(cls, surface_rows: Array, num_rows: int) -> "Labelling":
        """Surfaces (S, W) as they are, and the mask (num_rows, W) painted from them."""
        return cls(paint_mask(surface_rows, num_rows), surface_rows.astype(np.float32))

    @classmethod
    def from_mask(cls, mask: Array) -> "Labelling":
        """Class ids (H, W) as they are, and the surfaces traced in them."""
        mask = mask.astype(np.int8)
        return cls(mask, trace_surfaces(mask))

    @classmethod
    def of_scan(cls, scan: BScan) -> "Labelling":
        """The labels of a B-scan; what its source does not give is painted or traced. InputError where it has none."""
        if scan.mask is None and scan.surface_rows is None:
            raise InputError(f"{scan.key.name}: no surfaces and no mask; leave the scan out or annotate it")
        if scan.mask is None:
            assert scan.surface_rows is not None
            return cls.from_surfaces(scan.surface_rows, scan.shape[0])
        if scan.surface_rows is None:
            return cls.from_mask(scan.mask)
        return cls(scan.mask.astype(np.int8), scan.surface_rows.astype(np.float32))

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.mask.shape[0], self.mask.shape[1]

    @property
    def annotated_columns(self) -> Array:
        """Columns (W,) bool in which at least one pixel has a class."""
        columns: Array = (self.mask != IGNORE).any(axis=0)
        return columns

    def within(self, columns: Array) -> "Labelling":
        """The same in columns (W,) bool; elsewhere nobody said anything."""
        return Labelling(
            np.where(columns, self.mask, np.int8(IGNORE)),
            np.where(columns, self.surface_rows, np.float32(np.nan)),
        )
