"""Grids of circles and sectors around the fovea: mean thickness, how much of it was seen, area and volume.

L slabs, K sectors, R rings. Angles are anatomical degrees, counter-clockwise as a right eye's fundus is seen: 0 nasal,
90 superior, 180 temporal, 270 inferior; so a sector means the same tissue in both eyes, and a left eye's lies mirrored
in the picture. What nobody said is never guessed: of an unknown eye the sectors are "side A" (smaller columns) and
"side B" (larger columns), of an unknown order of B-scans "end A" (the first B-scans) and "end B" (the last ones).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retseg.bscan import Array
from retseg.errors import InputError
from retseg.geometry.thickness import Slab, Unit
from retseg.geometry.volume_map import ScanGrid, ThicknessMap, sample_map

PITCH_UM = 10.0
"""Distance of the places at which maps are sampled: 7,900 in the central circle of the ETDRS grid, so that a gap whose
edge cuts it is known to about 1 %."""

SQUEEZE = 0.99
"""Pitch across B-scans over that along them: so no place lies on a diagonal, where one of two sectors would win."""


@dataclass(frozen=True, slots=True)
class Ring:
    """What lies between two radii (um), cut into num_sectors equal sectors, the first from first_deg on."""

    name: str
    inner_um: float
    outer_um: float
    num_sectors: int = 1
    first_deg: float = 0.0

    @property
    def sector_area_mm2(self) -> float:
        """Area of one of its sectors."""
        return float(np.pi * (self.outer_um**2 - self.inner_um**2) / self.num_sectors / 1e6)

    def middles_deg(self) -> list[float]:
        """Direction of the middle of each sector."""
        step = 360 / self.num_sectors
        return [(self.first_deg + (number + 0.5) * step) % 360 for number in range(self.num_sectors)]


ETDRS = (Ring("centre", 0, 500), Ring("inner", 500, 1500, 4, -45), Ring("outer", 1500, 3000, 4, -45))
"""Circles of 1, 3 and 6 mm diameter and nine fields, the grid of OCT reports (DICOM PS3.17, annex UU.5)."""

QUADRANTS = (Ring("", 0, 3000, 4, -45),)
"""Superior, nasal, inferior and temporal quarter of the circle of 6 mm, parted by diagonals as the ETDRS grid is."""

HEMIFIELDS = (Ring("", 0, 3000, 2, 0),)
"""Upper and lower half of the circle of 6 mm, parted by the horizontal through the fovea."""


def custom_grid(radii_um: Sequence[float], num_sectors: Sequence[int], first_deg: Sequence[float]) -> tuple[Ring, ...]:
    """Rings out to each radius (R,), increasing, each with its number of sectors and the start of its first one.

    InputError for lists of different length, radii that do not increase, fewer than one sector.
    """
    if not len(radii_um) == len(num_sectors) == len(first_deg) > 0:
        raise InputError(
            f"grid: {len(radii_um)} radii, {len(num_sectors)} numbers of sectors, {len(first_deg)} first angles; "
            "give one of each for every ring"
        )
    if not (np.isfinite(radii_um).all() and (np.diff([0.0, *radii_um]) > 0).all()):
        raise InputError(f"grid: radii {list(radii_um)} um, expected positive and increasing numbers; correct them")
    if min(num_sectors) < 1 or not np.isfinite(first_deg).all():
        raise InputError(
            f"grid: {list(num_sectors)} sectors from {list(first_deg)} degrees, expected 1 or more from finite angles"
        )
    inner_um = [0.0, *radii_um[:-1]]
    return tuple(
        Ring(f"{inner:g}-{outer:g} um", float(inner), float(outer), count, float(first))
        for inner, outer, count, first in zip(inner_um, radii_um, num_sectors, first_deg, strict=True)
    )


def sector_names(rings: Sequence[Ring], grid: ScanGrid) -> tuple[str, ...]:
    """Names (K,) ring by ring, sector by sector: "centre", "inner nasal", "outer superior", ..."""
    return tuple(
        f"{ring.name} {_direction(middle, 360 / ring.num_sectors, grid)}".strip() if ring.num_sectors > 1 else ring.name
        for ring in rings
        for middle in ring.middles_deg()
    )


def _direction(middle_deg: float, width_deg: float, grid: ScanGrid) -> str:
    """Words for a sector: of the eight directions if its middle lies on one, else its angles."""
    eighth, rest = divmod(middle_deg + 1e-6, 45)
    if rest > 1e-5:
        start = (middle_deg - width_deg / 2) % 360
        known = grid.eye is not None and grid.first_bscan is not None
        return f"{start:g}-{start + width_deg:g} deg" + ("" if known else ", eye or order of B-scans unknown")
    nasal, temporal = ("side B", "side A") if grid.eye is None else ("nasal", "temporal")
    superior, inferior = ("end A", "end B") if grid.first_bscan is None else ("superior", "inferior")
    vertical = ("", superior, superior, superior, "", inferior, inferior, inferior)[int(eighth) % 8]
    lateral = (nasal, nasal, "", temporal, temporal, temporal, "", nasal)[int(eighth) % 8]
    return f"{vertical} {lateral}".strip()


def sector_numbers(rings: Sequence[Ring], nasal_um: Array, superior_um: Array) -> Array:
    """Which sector (0..K-1) each place lies in, -1 in none, from its distance to the centre in both directions (um).

    A ring holds its inner edge, a sector the ray on which it starts.
    """
    radius_um = np.hypot(nasal_um, superior_um)
    angle_deg = np.rad2deg(np.arctan2(superior_um, nasal_um))
    numbers = np.full(radius_um.shape, -1, np.int64)
    first = 0
    for ring in rings:
        within = np.floor(((angle_deg - ring.first_deg) % 360) / (360 / ring.num_sectors)).astype(np.int64)
        is_in_ring = (radius_um >= ring.inner_um) & (radius_um < ring.outer_um)
        numbers = np.where(is_in_ring, first + np.minimum(within, ring.num_sectors - 1), numbers)
        first += ring.num_sectors
    return numbers


@dataclass(frozen=True, slots=True, eq=False)
class SectorThickness:
    """Thickness of L slabs in K sectors.

    mean (L, K): in `unit`, over the part that is known; nan where none is.
    covered (L, K): share of the sector (0..1) that is known; below 1 the mean and the volume are of that part alone.
    area_mm2 (K,): of whole sectors. volume_mm3 (L, K): of the known part; nan where the axial scale is unknown.
    """

    slabs: tuple[Slab, ...]
    sectors: tuple[str, ...]
    mean: Array
    covered: Array
    area_mm2: Array
    volume_mm3: Array
    unit: Unit
    scale_source: str

    def value(self, slab: str, sector: str) -> float:
        """Mean thickness of one slab in one sector."""
        return float(self.mean[[s.name for s in self.slabs].index(slab), self.sectors.index(sector)])

    def rows(self) -> list[dict[str, str | float]]:
        """One flat record a slab and sector, for tables; means in `mean_<unit>`."""
        return [
            {
                "slab": slab.name,
                "sector": sector,
                f"mean_{self.unit}": float(self.mean[row, place]),
                "covered_share": float(self.covered[row, place]),
                "area_mm2": float(self.area_mm2[place]),
                "volume_mm3": float(self.volume_mm3[row, place]),
                "scale_source": self.scale_source,
            }
            for row, slab in enumerate(self.slabs)
            for place, sector in enumerate(self.sectors)
        ]


def sector_thickness(
    volume: ThicknessMap, centre_um: tuple[float, float], rings: Sequence[Ring] = ETDRS, pitch_um: float = PITCH_UM
) -> SectorThickness:
    """Mean thickness, coverage, area and volume in each sector of rings around a centre (x, y) in um of the map.

    The map is sampled (`sample_map`) on a lattice about the centre. InputError where the map has no places.
    """
    grid = volume.placed()
    num_steps = int(np.ceil(max(ring.outer_um for ring in rings) / pitch_um)) + 1
    x_um = (np.arange(-num_steps, num_steps) + 0.5) * pitch_um
    y_um = SQUEEZE * x_um
    numbers = sector_numbers(rings, grid.nasal_sign * x_um[None, :], grid.superior_sign * y_um[:, None])
    values = sample_map(volume, centre_um[0] + x_um, centre_um[1] + y_um)
    area_mm2 = np.array([ring.sector_area_mm2 for ring in rings for _ in range(ring.num_sectors)])
    return _gathered(volume, values, numbers, sector_names(rings, grid), area_mm2)


def whole_map(volume: ThicknessMap, pitch_um: float = PITCH_UM) -> SectorThickness:
    """The same for the whole field as one sector, "whole map": to half a column and half a B-scan beyond the last."""
    left_um, right_um, first_um, last_um = volume.placed().extent_um
    values = sample_map(volume, _middles(left_um, right_um, pitch_um), _middles(first_um, last_um, pitch_um))
    area_mm2 = np.array([(right_um - left_um) * (last_um - first_um) / 1e6])
    return _gathered(volume, values, np.zeros(values.shape[1:], np.int64), ("whole map",), area_mm2)


def _middles(low: float, high: float, pitch: float) -> Array:
    """Middles of equal steps from low to high, no longer than the pitch."""
    count = int(np.ceil((high - low) / pitch))
    return low + (np.arange(count) + 0.5) * (high - low) / count


def _gathered(
    volume: ThicknessMap, values: Array, numbers: Array, names: tuple[str, ...], area_mm2: Array
) -> SectorThickness:
    """Table of sampled values (L, Y, X) by the sector of each place (Y, X)."""
    sectors = numbers.ravel()
    num_places = np.bincount(sectors[sectors >= 0], minlength=len(names))
    if not num_places.all():
        raise InputError(
            f"grid: sector {names[int(num_places.argmin())]!r} is too small to be sampled; take larger sectors"
        )
    # Places sector by sector, so that each is a run to be summed: a sixth of the time of numpy.bincount.
    places = np.argsort(sectors.astype(np.min_scalar_type(-len(names))), kind="stable")[np.count_nonzero(sectors < 0) :]
    starts = np.concatenate([[0], num_places.cumsum()[:-1]])
    count, total = np.zeros((2, len(values), len(names)))
    for slab, sampled in enumerate(values):
        inside = sampled.ravel()[places]
        is_known = np.isfinite(inside)
        count[slab] = np.add.reduceat(is_known, starts, dtype=np.float64)
        total[slab] = np.add.reduceat(np.where(is_known, inside, 0.0), starts)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    covered = count / num_places
    # mm3 = um * 1e-3 * mm2; nothing seen is no volume of nothing, but unknown.
    volume_mm3 = mean * 1e-3 * covered * area_mm2 if volume.unit == "um" else np.full(mean.shape, np.nan)
    source = f"depth: {volume.scale_source}; {volume.placed().provenance}"
    return SectorThickness(volume.slabs, names, mean, covered, area_mm2, volume_mm3, volume.unit, source)
