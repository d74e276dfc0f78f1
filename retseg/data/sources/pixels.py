"""Gray levels and pixel sizes as files hold them, checked; gray levels brought to 0..255."""

import math
from collections.abc import Iterable

import numpy as np

from retseg.bscan import Array, Spacing
from retseg.errors import InputError


def stated_spacing(sizes_um: Iterable[float | None], source: str, place: object) -> Spacing:
    """Pixel size as a file states it, (axial, lateral); None and nan are unknown.

    InputError, which begins with `place`, where a size is infinite, zero or less.
    """
    known = [None if um is None or math.isnan(um) else float(um) for um in sizes_um]
    if wrong := [um for um in known if um is not None and not 0 < um < math.inf]:
        raise InputError(f"{place}: a pixel size of {wrong[0]:g} um, expected one above 0, or none; make it again")
    axial_um, lateral_um = known
    return Spacing(axial_um, lateral_um, source)


def gray_levels(image: Array, place: str) -> Array:
    """A copy of an image (H, W) of any real type as uint8, or as float32 where it has fractions; gray levels 0..255.

    InputError, which begins with `place`, where a value is not finite or outside 0..255, where all are the same, and
    where they look like 0..1.
    """
    finite = np.isfinite(image)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise InputError(f"{place}: {image[row, column]} at row {row}, column {column}, expected gray levels 0..255")
    lowest, highest = image.min(), image.max()
    if lowest == highest:
        raise InputError(f"{place}: every pixel is {lowest}, expected an image; get the file again or leave it out")
    if lowest < 0 or highest > 255:
        raise InputError(f"{place}: values {lowest}..{highest}, expected gray levels 0..255; rescale the image")
    if highest <= 1:
        raise InputError(f"{place}: values {lowest}..{highest}, expected gray levels 0..255; multiply by 255")
    is_whole = image.dtype.kind in "iu" or np.array_equal(image, np.rint(image))
    return np.array(image, np.uint8 if is_whole else np.float32, order="C")
