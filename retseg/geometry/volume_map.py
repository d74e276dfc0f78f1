"""Thickness over the B-scans of a volume: a map seen from the front, each B-scan at its place, gaps left as gaps.

L slabs, B B-scans, W columns (A-scans). Places are microns in the plane of the retina: x along the B-scans, growing
with the column, 0 in the middle of the scan; y across them, growing with the number of the B-scan.

Sides. A fundus seen as usual (and as eyepy and devices show it) has the nasal side of a right eye (OD) at larger
columns, of a left eye (OS) at smaller ones. Which end of a volume is superior differs between devices (the first
B-scan of a Heidelberg volume is the inferior one), so it is said, or stays unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from retseg.bscan import Array, Eye, Spacing
from retseg.errors import InputError
from retseg.geometry.thickness import Slab, ThicknessProfile, Unit

Vertical = Literal["superior", "inferior"]
GAP_IN_SPACINGS = 1.5
_LINES_AT_ONCE = 32
"""Of what is interpolated: so few that they stay in the processor's cache, a sixth of the time."""


@dataclass(frozen=True, slots=True, eq=False)
class ScanGrid:
    """Where the A-scans of a volume lie: x_um (W,), evenly spaced, and y_um (B,), strictly increasing.

    numbers: 0-based numbers (B,) of the B-scans in their volume.
    bscan_distance_um: of neighbouring B-scans of the volume, those that are missing included.
    max_gap_um: B-scans farther apart than this have a gap between them; nothing is interpolated across it.
    lateral_source, bscan_source: who gave the size of a column and the distance of B-scans.
    first_bscan: which end of the eye B-scan 0 is at; None is unknown, as it is for the eye.
    """

    x_um: Array
    y_um: Array
    numbers: tuple[int, ...]
    bscan_distance_um: float
    max_gap_um: float
    lateral_source: str
    bscan_source: str
    eye: Eye | None = None
    first_bscan: Vertical | None = None

    def __post_init__(self) -> None:
        """Places in order (a slip of ours otherwise: `place_bscans` checks what users say)."""
        assert len(self.x_um) >= 2, self.x_um
        assert len(self.y_um) >= 2, self.y_um
        assert (np.diff(self.y_um) > 0).all(), self.y_um
        assert len(self.numbers) == len(self.y_um), self.numbers

    @property
    def lateral_um(self) -> float:
        """Distance of columns."""
        return float(self.x_um[1] - self.x_um[0])

    @property
    def bscan_reach_um(self) -> float:
        """How far a B-scan without a neighbour stands for what lies beside it: half their distance."""
        return min(self.bscan_distance_um, self.max_gap_um) / 2

    @property
    def extent_um(self) -> tuple[float, float, float, float]:
        """Left, right, first and last edge of the field: half a column and half a B-scan beyond their middles."""
        half = self.lateral_um / 2
        reach = self.bscan_reach_um
        return (
            float(self.x_um[0]) - half,
            float(self.x_um[-1]) + half,
            float(self.y_um[0]) - reach,
            float(self.y_um[-1]) + reach,
        )

    @property
    def nasal_sign(self) -> int:
        """What x is multiplied with to point towards the nose; an unknown eye is taken as it lies (+1)."""
        return -1 if self.eye == "OS" else 1

    @property
    def superior_sign(self) -> int:
        """What y is multiplied with to point upwards; of an unknown order the first B-scan is drawn on top (-1)."""
        return 1 if self.first_bscan == "inferior" else -1

    def place_um(self, column: float, bscan: float) -> tuple[float, float]:
        """(x, y) of a 0-based column and number of a B-scan."""
        from_first = bscan - self.numbers[0]
        return (
            float(self.x_um[0] + column * self.lateral_um),
            float(self.y_um[0] + from_first * self.bscan_distance_um),
        )

    def scan_place(self, x_um: float, y_um: float) -> tuple[float, float]:
        """0-based column and number of the B-scan, both with fractions, of a place: the inverse of `place_um`."""
        return (
            float((x_um - self.x_um[0]) / self.lateral_um),
            float(self.numbers[0] + (y_um - self.y_um[0]) / self.bscan_distance_um),
        )

    @property
    def provenance(self) -> str:
        """Who gave the places, in words."""
        return f"columns: {self.lateral_source}; distance of B-scans: {self.bscan_source}"


@dataclass(frozen=True, slots=True)
class BScanDistance:
    """Distance of neighbouring B-scans, who gave it, and from where on two B-scans have a gap between them.

    max_gap_um None is 1.5 times the distance: a missing B-scan leaves a gap.
    """

    um: float
    source: str
    max_gap_um: float | None = None


def place_bscans(
    numbers: Sequence[int],
    num_columns: int,
    spacing: Spacing,
    distance: BScanDistance,
    eye: Eye | None = None,
    first_bscan: Vertical | None = None,
    num_bscans: int | None = None,
) -> ScanGrid:
    """Grid of parallel B-scans of these numbers (0-based, increasing); a number left out is a missing B-scan.

    y is 0 in the middle of num_bscans (unless given: of the numbers at hand). InputError for fewer than two B-scans or
    columns, numbers that do not increase, an unknown or impossible size.
    """
    if spacing.lateral_um is None:
        raise InputError("the lateral size of a pixel is not known: no map in um; give the spacing")
    max_gap_um = GAP_IN_SPACINGS * distance.um if distance.max_gap_um is None else distance.max_gap_um
    sizes_um = {"size of a column": spacing.lateral_um, "distance of B-scans": distance.um, "largest gap": max_gap_um}
    for name, size_um in sizes_um.items():
        if not (np.isfinite(size_um) and size_um > 0):
            raise InputError(f"the {name} is {size_um} um, expected a positive number; correct the spacing")
    if len(numbers) < 2 or num_columns < 2:
        raise InputError(f"{len(numbers)} B-scans of {num_columns} columns are no map; at least 2 by 2 are needed")
    falls = np.flatnonzero(np.diff(numbers) <= 0)
    if len(falls):
        pair = [int(number) for number in numbers[falls[0] : falls[0] + 2]]
        raise InputError(f"B-scan {pair[1]} follows {pair[0]}; give each B-scan once, in the order of the volume")
    middle = (numbers[0] + numbers[-1]) / 2 if num_bscans is None else (num_bscans - 1) / 2
    return ScanGrid(
        x_um=(np.arange(num_columns) - (num_columns - 1) / 2) * spacing.lateral_um,
        y_um=(np.asarray(numbers) - middle) * distance.um,
        numbers=tuple(int(number) for number in numbers),
        bscan_distance_um=distance.um,
        max_gap_um=max_gap_um,
        lateral_source=spacing.source,
        bscan_source=distance.source,
        eye=eye,
        first_bscan=first_bscan,
    )


@dataclass(frozen=True, slots=True, eq=False)
class ThicknessMap:
    """Thickness (L, B, W) of slabs over a volume, in `unit`, nan where unknown, with its scale's origin; and where.

    grid: None where no one knows how large columns are or how far B-scans lie apart.
    """

    slabs: tuple[Slab, ...]
    values: Array
    unit: Unit
    scale_source: str
    grid: ScanGrid | None

    def __post_init__(self) -> None:
        """Shapes agree by construction (a slip of ours otherwise)."""
        assert self.values.ndim == 3, self.values.shape
        assert len(self.slabs) == len(self.values), (len(self.slabs), self.values.shape)
        if self.grid is not None:
            assert self.values.shape[1:] == (len(self.grid.y_um), len(self.grid.x_um)), self.values.shape

    def of(self, name: str) -> Array:
        """Thickness (B, W) of the slab of that name."""
        return np.asarray(self.values[[slab.name for slab in self.slabs].index(name)])

    def placed(self) -> ScanGrid:
        """The grid. InputError where it is not known: millimetres cannot be drawn on an unknown scale."""
        if self.grid is None:
            raise InputError(
                "where the A-scans lie is not known: no circles, areas and volumes in mm; "
                "give the lateral size of a pixel and the distance of B-scans"
            )
        return self.grid


def thickness_map(profiles: Sequence[ThicknessProfile], grid: ScanGrid | None) -> ThicknessMap:
    """Map of a volume from the profiles of its B-scans, in the grid's order.

    InputError where profiles differ in width or scale: they are not one volume.
    """
    first = profiles[0]
    for number, profile in enumerate(profiles):
        assert profile.slabs == first.slabs, (profile.slabs, first.slabs)
        if profile.values.shape != first.values.shape or profile.unit != first.unit:
            raise InputError(
                f"B-scan {number} of the volume has {profile.values.shape[1]} columns in {profile.unit}, the first "
                f"{first.values.shape[1]} in {first.unit}: not one volume; measure them apart"
            )
    sources = dict.fromkeys(profile.scale_source for profile in profiles)
    values = np.stack([profile.values for profile in profiles], axis=1)
    return ThicknessMap(first.slabs, values, first.unit, ", ".join(sources), grid)


def sample_map(volume: ThicknessMap, x_um: Array, y_um: Array) -> Array:
    """Thickness (L, Y, X) on a regular grid of places x_um (X,), y_um (Y,): linear along and between B-scans.

    Between two B-scans no farther apart than the grid's max_gap_um, both known there, values are linear. A place with
    one known B-scan takes its value within half the distance of B-scans; any other is nan. Along a B-scan the
    same with single columns, so a column that is nan stays a gap as wide as it is.
    """
    grid = volume.placed()
    along = interpolate(volume.values, grid.x_um, x_um, 1.5 * grid.lateral_um, grid.lateral_um / 2)
    across = interpolate(along.swapaxes(1, 2), grid.y_um, y_um, grid.max_gap_um, grid.bscan_reach_um)
    return across.swapaxes(1, 2)


def interpolate(values: Array, places: Array, wanted: Array, max_gap: float, reach: float) -> Array:
    """Values (..., M) at wanted (M,) from values (..., K) at increasing places (K,): linear, or the near one, or nan.

    Linear between two known neighbours up to max_gap apart, else the nearer neighbour's within reach, else nan.
    """
    right = np.clip(np.searchsorted(places, wanted), 1, len(places) - 1)
    left = right - 1
    weight = (wanted - places[left]) / (places[right] - places[left])
    rounding = 1e-9 * (places[-1] - places[0])
    is_between = (weight >= 0) & (weight <= 1) & (places[right] - places[left] <= max_gap + rounding)
    nearest = np.where(weight <= 0.5, left, right)
    is_near = np.abs(wanted - places[nearest]) <= reach + rounding
    lines = np.moveaxis(values, -1, 0)
    found = np.full((len(wanted), *lines.shape[1:]), np.nan)
    reached = np.flatnonzero(is_between | is_near)
    for start in range(0, len(reached), _LINES_AT_ONCE):
        some = reached[start : start + _LINES_AT_ONCE]
        share = weight[some].reshape(-1, *[1] * (lines.ndim - 1))
        block = (1 - share) * lines[left[some]] + share * lines[right[some]]
        block[~is_between[some]] = np.nan
        is_alone = np.isnan(block)
        is_alone[~is_near[some]] = False
        np.copyto(block, lines[nearest[some]], where=is_alone)
        found[some] = block
    return np.moveaxis(found, 0, -1)
