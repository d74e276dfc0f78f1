"""Fluid of scans and volumes in numbers: areas a B-scan, and the volume of all of them. B B-scans."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from retseg.inference.predicted import PredictedScan, PredictedVolume
from retseg.metrics.fluid_volume import area_mm2, volume_mm3

FLUID_PX, FLUID_MM2 = "fluid_px", "fluid_mm2"
"""Columns of scans.csv, of networks that seek fluid alone."""


def pixel_um2(scan: PredictedScan) -> float:
    """Area of a pixel of a scan; nan where its scale is unknown."""
    spacing = scan.spacing
    return (spacing.axial_um or np.nan) * (spacing.lateral_um or np.nan)


def fluid_cells(scan: PredictedScan) -> dict[str, Any]:
    """What scans.csv says of a scan's fluid; nothing where none was sought."""
    if scan.fluid is None:
        return {}
    area_px = int(scan.fluid.sum())
    return {FLUID_PX: area_px, FLUID_MM2: _known(area_mm2(area_px, pixel_um2(scan)))}


def fluid_rows(volume: PredictedVolume) -> list[dict[str, Any]]:
    """A line a B-scan in which fluid was sought: its area, and the volume of the slab that it stands for."""
    rows = []
    for scan in volume.scans:
        if scan.fluid is None:
            continue
        slab_mm3 = volume_mm3(np.array([scan.fluid.sum()]), np.array([pixel_um2(scan)]), _distance_um(volume))
        cells = {"scan": scan.name, "bscan": scan.number, **fluid_cells(scan), "slab_mm3": _known(slab_mm3)}
        rows.append(cells | {"verdict": scan.verdict, "scale_source": scan.spacing.source})
    return rows


def fluid_account(volume: PredictedVolume) -> Mapping[str, Any] | None:
    """What <volume>_volume.json says of fluid; None where none was sought.

    volume_mm3: sum of the areas of its B-scans times their distance, None where a size is unknown or the B-scans are
    not parallel. is_partial: whether some of the volume's B-scans are not in it.
    """
    scans = [scan for scan in volume.scans if scan.fluid is not None]
    if not scans:
        return None
    areas = np.array([int(scan.fluid.sum()) for scan in scans if scan.fluid is not None])
    sizes = np.array([pixel_um2(scan) for scan in scans])
    return {
        "volume_mm3": _known(volume_mm3(areas, sizes, _distance_um(volume))),
        "area_px": int(areas.sum()),
        "bscans_with_fluid": int((areas > 0).sum()),
        "bscans": len(scans),
        "is_partial": len(scans) < volume.num_bscans,
    }


def _distance_um(volume: PredictedVolume) -> float:
    """Thickness of the slab that a B-scan stands for; nan where it is unknown."""
    return volume.distance.um if volume.distance is not None and volume.is_raster else np.nan


def _known(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
