"""What the page is told of a scan, in plain JSON. S surfaces, W columns, L layers; null is what is not known."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from retseg.anatomy import CLASSES, LAYERS, SURFACE_NAMES
from retseg.bscan import Array
from retseg.data.readers.volume import ScanVolume
from retseg.geometry.thickness import SLABS
from retseg.inference.fluid_tables import FLUID_MM2, FLUID_PX, fluid_cells
from retseg.inference.predicted import PredictedScan
from retseg.inference.preview import FLUID_COLOUR
from retseg.view.heat import why_not
from retseg.view.networks import Choice

NUM_SHOWN = len(LAYERS) + 1
"""Slabs of the page: the seven layers, and the total retina, which follows them in SLABS."""

UNKNOWN_SCALE = "The pixel size is unknown: thickness is in pixels. If you know the size, type it in."
UNKNOWN_LATERAL = "The lateral pixel size is unknown: places along the scan are in columns."


def words_of_the_field() -> dict[str, Any]:
    """Names and colours of classes, names of surfaces and slabs."""
    return {
        "classes": [
            {"name": layer.name, "full_name": layer.full_name, "colour": list(layer.colour)} for layer in CLASSES
        ],
        "surfaces": list(SURFACE_NAMES),
        "slabs": [{"name": slab.name, "first": slab.first, "last": slab.last} for slab in SLABS[:NUM_SHOWN]],
        "fluid_colour": list(FLUID_COLOUR),
    }


def choice_json(choice: Choice) -> dict[str, Any]:
    """Who a choice is; no_heat: why it cannot be explained, or ""."""
    return {
        "name": choice.name,
        "networks": [
            {
                "name": network.card.name,
                "engine": network.engine,
                "data": network.card.data_name,
                "labels": network.card.label_origin,
                "sha256": network.card.sha256,
            }
            for network in choice.networks
        ],
        "intervals": choice.about_intervals,
        "cautions": list(choice.cautions),
        "no_heat": why_not(choice),
    }


def volume_json(volume: ScanVolume) -> dict[str, Any]:
    """What is known of a volume before any of its pixels is read."""
    return {
        "name": volume.name,
        "format": volume.format,
        "numbers": list(volume.numbers),
        "num_bscans": volume.num_bscans,
        "spacing": spacing_json(volume),
        "eye": volume.eye,
        "subject": volume.subject,
        "notices": list(volume.notices),
    }


def spacing_json(volume: ScanVolume) -> dict[str, Any]:
    """Pixel size in um, null where nobody gave it, and who gave it."""
    spacing = volume.spacing
    return {"axial_um": spacing.axial_um, "lateral_um": spacing.lateral_um, "source": spacing.source}


def scan_json(scan: PredictedScan, volume: ScanVolume, choice: Choice, seconds: dict[str, float]) -> dict[str, Any]:
    """A scan with its surfaces; half_widths (slabs, W) in the unit of thickness, null where there are none.

    fluid: its area in px, and in mm2 where the scale is known; null where none was sought.
    """
    half_widths = None if choice.intervals is None else choice.intervals.half_widths(scan.row_sd, scan.spacing)
    shape, fluid = (scan.image.shape[0], scan.image.shape[1]), fluid_cells(scan)
    return {
        "name": scan.name,
        "number": scan.number,
        "rows": shape[0],
        "columns": shape[1],
        "spacing": spacing_json(volume),
        "verdict": scan.verdict,
        "findings": [{"level": found.level, "reason": found.reason} for found in scan.findings],
        "cautions": list(_cautions(scan)),
        "notices": [*volume.notices, *choice.gated.predictor.notices(shape, scan.spacing)],
        "surfaces": numbers(scan.surface_rows),  # unrounded: the page paints them to the pixel as the mask does
        "confidence": numbers(np.round(scan.confidence[None], 3))[0],
        "half_widths": None if half_widths is None else numbers(np.round(half_widths[:NUM_SHOWN], 3)),
        "fluid": None if scan.fluid is None else {"px": fluid[FLUID_PX], "mm2": fluid[FLUID_MM2]},
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
    }


def numbers(table: Array) -> Sequence[Sequence[float | None]]:
    """A table (R, K) as lists, null where a number is not finite."""
    return [[value if math.isfinite(value) else None for value in row] for row in table.tolist()]


def _cautions(scan: PredictedScan) -> list[str]:
    if scan.spacing.axial_um is None:
        return [UNKNOWN_SCALE]
    return [UNKNOWN_LATERAL] if scan.spacing.lateral_um is None else []
