"""Tables of one volume: thickness a B-scan, and around the fovea. L slabs, B B-scans, K sectors."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from retseg import __version__
from retseg.bscan import Array
from retseg.geometry.etdrs import ETDRS, HEMIFIELDS, QUADRANTS, Ring, SectorThickness, sector_thickness, whole_map
from retseg.geometry.fovea import Fovea
from retseg.geometry.thickness import SLABS, Slab, ThicknessProfile, mean_thickness, thickness_profile
from retseg.geometry.volume_map import ScanGrid, ThicknessMap
from retseg.inference.fluid_tables import fluid_account
from retseg.inference.intervals import Intervals
from retseg.inference.predicted import LEVELS, PredictedVolume

GRIDS: Mapping[str, tuple[Ring, ...]] = {"ETDRS": ETDRS, "quadrants": QUADRANTS, "hemifields": HEMIFIELDS}
"""Grids around the fovea that every volume is measured by."""

INTERVALS_ASSUME = "errors are taken as shared along a scan and over a sector, the most that a mean can be off"
"""What the ends of a mean's interval rest on (`intervals`)."""

Row = dict[str, Any]


def profiles_of(volume: PredictedVolume, slabs: Sequence[Slab] = SLABS) -> list[ThicknessProfile]:
    """Thickness along every B-scan, in their order."""
    return [thickness_profile(scan.surface_rows, scan.spacing, slabs) for scan in volume.scans]


def bscan_rows(
    volume: PredictedVolume, profiles: Sequence[ThicknessProfile], intervals: Intervals | None = None
) -> list[Row]:
    """A line a B-scan and slab: mean and sd along the scan over its known columns, the share of these, the scale.

    With intervals (of SLABS alone), the low and high end of the mean's.
    """
    rows: list[Row] = []
    for scan, profile in zip(volume.scans, profiles, strict=True):
        means, shares = mean_thickness(profile)
        half_widths = None
        if intervals is not None and profile.slabs == SLABS:
            half_widths = intervals.scan_half_widths(scan.surface_rows, scan.row_sd, scan.spacing)
        for number, slab in enumerate(profile.slabs):
            known = profile.values[number][np.isfinite(profile.values[number])]
            row: Row = {
                "scan": scan.name,
                "bscan": scan.number,
                "slab": slab.name,
                "mean": _rounded(means[number]),
                "sd_along_scan": _rounded(known.std()) if known.size else None,
                "unit": profile.unit,
                "known_share": round(float(shares[number]), 4),
                "verdict": scan.verdict,
                "scale_source": profile.scale_source,
            }
            rows.append(row if half_widths is None else row | _interval(float(means[number]), half_widths[number]))
    return rows


def _interval(mean: float, half_width: float) -> Row:
    """Ends of the interval of a mean; no layer is thinner than nothing."""
    return {"mean_low": _rounded(max(mean - half_width, 0.0)), "mean_high": _rounded(mean + half_width)}


def sector_rows(
    volume: PredictedVolume,
    measured: ThicknessMap,
    fovea: Fovea | None,
    grids: Mapping[str, tuple[Ring, ...]] = GRIDS,
    intervals: Intervals | None = None,
) -> list[Row]:
    """A line a grid, slab and sector: mean, known share, area, volume in mm3 of each; with intervals, the mean's ends.

    The last lines are of the whole field, grid "field"; without a fovea there are no others.
    """
    field = _sector_rows("field", whole_map(measured), None)
    if fovea is None:
        return field
    rows: list[Row] = []
    for name, rings in grids.items():
        found = sector_thickness(measured, fovea.place_um, rings)
        half_widths = None
        if intervals is not None and measured.slabs == SLABS:
            row_sds = [scan.row_sd for scan in volume.scans]
            half_widths = intervals.sector_half_widths(
                row_sds, volume.spacing, measured.placed(), fovea.place_um, rings
            )
        rows += _sector_rows(name, found, half_widths)
    return rows + field


def _sector_rows(grid: str, found: SectorThickness, half_widths: Array | None) -> list[Row]:
    """Lines of one grid; half_widths (L, K)."""
    rows: list[Row] = [{"grid": grid, **{name: _plain(value) for name, value in row.items()}} for row in found.rows()]
    if half_widths is not None:
        for row, mean, half_width in zip(rows, found.mean.ravel(), half_widths.ravel(), strict=True):
            row |= _interval(float(mean), float(half_width))
    return rows


def account(
    volume: PredictedVolume,
    grid: ScanGrid | None,
    fovea: Fovea | None,
    intervals: Intervals | None,
    notices: Sequence[str],
) -> dict[str, Any]:
    """What <volume>_volume.json holds: what the numbers rest on, and who said it."""
    spacing, distance = volume.spacing, volume.distance
    return {
        "volume": volume.name,
        "file": str(volume.path),
        "subject": volume.subject,
        "eye": volume.eye,
        "first_bscan": volume.first_bscan,
        "is_raster": volume.is_raster,
        "scans": [scan.name for scan in volume.scans],
        "bscans": [scan.number for scan in volume.scans],
        "bscans_of_volume": volume.num_bscans,
        "axial_um": spacing.axial_um,
        "lateral_um": spacing.lateral_um,
        "scale_source": spacing.source,
        "bscan_distance_um": None if distance is None else distance.um,
        "bscan_distance_source": None if distance is None else distance.source,
        "gap_beyond_um": None if grid is None else grid.max_gap_um,
        "verdicts": {level: sum(scan.verdict == level for scan in volume.scans) for level in LEVELS},
        "fovea": None if grid is None or fovea is None else _fovea_account(grid, fovea),
        **({} if (fluid := fluid_account(volume)) is None else {"fluid": fluid}),
        "intervals": None if intervals is None else f"{intervals.words}; {INTERVALS_ASSUME}",
        "notices": list(notices),
        "retseg": __version__,
    }


def _fovea_account(grid: ScanGrid, fovea: Fovea) -> dict[str, Any]:
    """Where the foveal centre is, in um from the middle of the field and in the scans, and how far to believe it."""
    column, bscan = grid.scan_place(*fovea.place_um)
    return {
        "x_um": round(fovea.x_um, 1),
        "y_um": round(fovea.y_um, 1),
        "column": round(column, 1),
        "bscan": round(bscan, 2),
        "confidence": round(fovea.confidence, 3),
        "doubt": fovea.doubt,
        "source": fovea.source,
    }


def account_text(told: Mapping[str, Any]) -> str:
    """JSON with one line an entry, so that long lists of numbers stay readable."""
    lines = (
        f" {json.dumps(name)}: {json.dumps(value, allow_nan=False, ensure_ascii=False)}" for name, value in told.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _rounded(value: float) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None


def _plain(value: str | float) -> str | float | None:
    if isinstance(value, str):
        return value
    return round(value, 5) if np.isfinite(value) else None
