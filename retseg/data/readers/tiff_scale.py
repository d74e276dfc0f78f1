"""The physical pixel size that a TIFF states, where somebody measured it: OME-XML and ImageJ, in um, mm or nm.

TIFF's own XResolution per inch or centimetre is a size of print (72 and 96 dpi are defaults) and is no scale, neither
is the dpi of PNG and JPEG. OME: https://docs.openmicroscopy.org/ome-model/6.3.1/ome-tiff/specification.html; ImageJ
writes `ImageJ=`, `unit=` and `spacing=` into ImageDescription and pixels per unit into XResolution and YResolution.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retseg.bscan import Spacing

_UM_PER_UNIT = {
    "um": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0, "micrometre": 1.0,
    "mm": 1e3, "millimeter": 1e3, "millimetre": 1e3, "nm": 1e-3, "nanometer": 1e-3, "nanometre": 1e-3,
}  # fmt: skip
_DESCRIPTION, _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 270, 282, 283, 296
_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b[^<>]*>")


@dataclass(frozen=True, slots=True)
class TiffScale:
    """What the tags of a TIFF say: pixel size, distance of pages in um and its source, number of channels and images.

    num_images: that ImageJ says are in the file, however few pages it lists (it writes one page for more than 4 GB).
    """

    spacing: Spacing = field(default_factory=Spacing)
    distance_um: float | None = None
    num_channels: int = 1
    num_images: int | None = None
    notices: tuple[str, ...] = ()


def tiff_scale(tags: Mapping[int, Any]) -> TiffScale:
    """From the tags of the first page."""
    description = str(tags.get(_DESCRIPTION, ""))
    if (pixels := _PIXELS.search(description)) and "<OME" in description[: pixels.start()].replace("<ome:", "<"):
        return _of_ome(pixels[0])
    if description.startswith("ImageJ="):
        return _of_imagej(dict(line.split("=", 1) for line in description.splitlines() if "=" in line), tags)
    if tags.get(_RESOLUTION_UNIT, 2) in (2, 3) and (per_unit := _number(tags.get(_X_RESOLUTION))) is not None:
        unit = "cm" if tags.get(_RESOLUTION_UNIT) == 3 else "inch"
        line = f"TIFF resolution of {per_unit:g} pixels per {unit} is a size of print, not taken as a scale"
        return TiffScale(notices=(line,))
    return TiffScale()


def _of_ome(pixels: str) -> TiffScale:
    attributes = dict(re.findall(r'\b(\w+)\s*=\s*"([^"]*)"', pixels))
    x_um, y_um, z_um = (
        _in_um(attributes.get(f"PhysicalSize{axis}"), attributes.get(f"PhysicalSize{axis}Unit", "um")) for axis in "XYZ"
    )
    channels = attributes.get("SizeC", "1")
    return TiffScale(_spacing(y_um, x_um, "file header (OME-XML)"), z_um, int(channels) if channels.isdecimal() else 1)


def _of_imagej(lines: Mapping[str, str], tags: Mapping[int, Any]) -> TiffScale:
    unit = lines.get("unit", "")
    sizes = [_inverse(_number(tags.get(tag))) for tag in (_Y_RESOLUTION, _X_RESOLUTION)]
    y_um, x_um = (_in_um(size, lines.get(name, unit)) for size, name in zip(sizes, ("yunit", "unit"), strict=True))
    channels, images = (lines.get(name, "") for name in ("channels", "images"))
    return TiffScale(
        _spacing(y_um, x_um, "file header (ImageJ)"),
        _in_um(lines.get("spacing"), lines.get("zunit", unit)),
        int(channels) if channels.isdecimal() else 1,
        int(images) if images.isdecimal() else None,
    )


def _spacing(axial_um: float | None, lateral_um: float | None, source: str) -> Spacing:
    return Spacing() if axial_um is None and lateral_um is None else Spacing(axial_um, lateral_um, source)


def _in_um(size: object, unit: str) -> float | None:
    """A size in um; None for a unit that is no small length (pixel, inch), and for what is no size."""
    unit = unit.strip().replace("\\u00B5", "u").replace("\\u00b5", "u")
    unit = re.sub("(\u00c2)?\u00b5|\u03bc|\u00ce\u00bc", "u", unit)  # micro sign and mu, also read as Latin-1
    per_unit, number = _UM_PER_UNIT.get(unit.lower()), _number(size)
    return None if per_unit is None or number is None else number * per_unit


def _number(value: object) -> float | None:
    """A positive finite number, or None."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _inverse(number: float | None) -> float | None:
    return None if number is None else 1 / number
