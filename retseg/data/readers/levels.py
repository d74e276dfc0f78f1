"""Gray levels of any type of pixel brought to 0..255, by one rule for all B-scans of a volume. H rows, W columns."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from retseg.anatomy import NUM_CLASSES
from retseg.bscan import Array
from retseg.errors import InputError

DEPTHS = (8, 10, 12, 14, 16)
"""Bits of gray that cameras and OCT devices give. Files keep 9 to 16 bits in 16."""

SMALLEST = 32
"""Rows and columns that a scan has at least: fewer hold no retina, and networks halve an image five times."""

LARGEST_PIXELS = 2**26
"""Pixels that a B-scan has at most (8192 x 8192): a small file can declare a memory full."""

_LOWEST_HIGHEST = 32
"""Floating-point levels above 1 whose highest is below this are neither 0..1 nor 0..255."""

DEEP_NOTICE = (
    "more than 8 bits a pixel: divided so that the depth in use (the smallest of 8, 10, 12, 14, 16 bits that holds "
    "the volume's highest gray level) becomes 0..255"
)
FLOAT_NOTICE = "floating-point gray levels: multiplied by 255 if the volume's highest is at most 1, else as 0..255"


def level_notices(dtype: np.dtype[Any]) -> tuple[str, ...]:
    """What is done to pixels of a type, in words; nothing for 8 bits."""
    if dtype.kind == "f":
        return (FLOAT_NOTICE,)
    return () if dtype.itemsize == 1 else (DEEP_NOTICE,)


def check_size(shape: tuple[int, int], place: str | Path) -> None:
    """InputError, which begins with `place`, for an image (H, W) too small to show a retina or too large to read."""
    if min(shape) < SMALLEST:
        raise InputError(
            f"{place}: {shape[0]} rows x {shape[1]} columns, expected at least {SMALLEST} of both; is it a B-scan?"
        )
    if shape[0] * shape[1] > LARGEST_PIXELS:
        raise InputError(f"{place}: {shape[0]} x {shape[1]} pixels, at most {LARGEST_PIXELS:,} are read; cut it down")


def level_factor(highest: float, is_float: bool, place: str | Path) -> float:
    """What gray levels are multiplied by, from the highest (finite) one of a volume.

    Whole numbers: 1 up to 255, else 255 / (2**bits - 1) with the first of DEPTHS that holds the highest. Floating
    point: 255 up to 1, else the same. InputError, which begins with `place`, where neither fits.
    """
    if is_float and highest <= 1:
        return 255.0
    if is_float and highest < _LOWEST_HIGHEST:
        raise InputError(f"{place}: values up to {highest:g}, expected 0..1 or 0..255; rescale the image")
    for bits in DEPTHS:
        if highest <= 2**bits - 1:
            return float(255 / (2**bits - 1))
    raise InputError(f"{place}: values up to {highest:g}, expected at most {2**16 - 1}; rescale the image")


class VolumeLevels:
    """Brings the B-scans of one volume to 0..255 by a factor that is found once, at the first read.

    raw: B-scan (H, W) of one of `numbers` as its file has it; all are read once for the highest gray level, one at a
    time (not where pixels have 8 bits, nor in a volume of one). Those that cannot be read do not count.
    """

    def __init__(self, dtype: np.dtype[Any], numbers: Sequence[int], raw: Callable[[int], Array], path: Path) -> None:
        self._dtype, self._numbers, self._raw, self._path = dtype, numbers, raw, path
        self._lock = threading.Lock()
        self._highest = 255.0 if dtype.kind in "iu" and dtype.itemsize == 1 else None

    def __call__(self, image: Array, place: str) -> Array:
        """A copy (H, W), uint8 or, where it has fractions, float32.

        InputError, which begins with `place`, where a pixel is not finite or below 0, where all are the same, and where
        whole numbers look like class ids.
        """
        finite = np.isfinite(image)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise InputError(f"{place}: {image[row, column]} at row {row}, column {column}, expected gray levels")
        lowest, highest = image.min(), image.max()
        if lowest == highest:
            raise InputError(f"{place}: every pixel is {lowest}, expected an image; get the file again or leave it out")
        if lowest < 0:
            raise InputError(f"{place}: values {lowest}..{highest}, expected none below 0; rescale the image")
        if image.dtype.kind in "iu" and highest < NUM_CLASSES:
            raise InputError(f"{place}: gray levels {lowest}..{highest} alone, a mask of class ids? expected a scan")
        factor = level_factor(self._volume_highest(image), self._dtype.kind == "f", self._path)
        if factor == 1 and (image.dtype.kind in "iu" or np.array_equal(image, np.rint(image))):
            return np.array(image, np.uint8, order="C")
        return np.array(image * np.float64(factor), np.float32, order="C")

    def _volume_highest(self, image: Array) -> float:
        """The highest finite gray level of the volume that an image is of."""
        with self._lock:
            if self._highest is None:
                images = [image] if len(self._numbers) == 1 else self._readable()
                self._highest = max(float(known.max()) for other in images if (known := other[np.isfinite(other)]).size)
            return self._highest

    def _readable(self) -> Iterator[Array]:
        for number in self._numbers:
            with suppress(InputError):  # said when this B-scan is read
                yield self._raw(number)
