"""From a B-scan to what a network sees: crop, resize, normalise. Pixels, labels and pixel size move together."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy.ndimage import uniform_filter1d

from retseg.bscan import BScan
from retseg.errors import InputError
from retseg.geometry.decoding import rows_on_grid

Array = npt.NDArray[Any]

WEDGE = 255
"""Gray level with which Duke's registration fills what lies outside the original scan."""


def normalise(image: Array) -> Array:
    """Image (H, W) float32 in 0..1 from gray levels 0..255; values outside are clipped (paper 3.1 and its code)."""
    return np.clip(image, 0, 255).astype(np.float32) / np.float32(255)


def crop(scan: BScan, top: int, left: int, height: int, width: int) -> BScan:
    """Rows top..top+height, columns left..left+width of a scan with all its labels; the pixel size stays."""
    rows, columns = slice(top, top + height), slice(left, left + width)
    return replace(
        scan,
        image=scan.image[rows, columns],
        surface_rows=None if scan.surface_rows is None else scan.surface_rows[:, columns] - np.float32(top),
        mask=None if scan.mask is None else scan.mask[rows, columns],
        fluid=None if scan.fluid is None else scan.fluid[rows, columns],
    )


def resize(scan: BScan, height: int, width: int) -> BScan:
    """Scan of height rows and width columns: image bilinear, mask and fluid nearest, all about pixel centres.

    The field of view stays, so the spacing changes with the shape. A surface lies on the upper edge of its first
    pixel, so its rows scale as edges do; between columns it is linear, and nan where a neighbour is nan.
    The paper's own masks (3.6) are OpenCV's INTER_NEAREST, which reads at floor(i * scale): half a pixel up and left
    of the image beside it. A network trained on those draws every surface half a pixel too deep.
    """
    old = scan.shape
    if old == (height, width):
        return scan
    return replace(
        scan,
        image=_interpolate(scan.image.astype(np.float32), (height, width), "bilinear"),
        surface_rows=None if scan.surface_rows is None else rows_on_grid(scan.surface_rows, old, (height, width)),
        mask=None if scan.mask is None else resize_mask(scan.mask, height, width),
        fluid=None if scan.fluid is None else resize_mask(scan.fluid, height, width),
        spacing=scan.spacing.resized(old, (height, width)),
    )


def resize_mask(mask: Array, height: int, width: int) -> Array:
    """Class ids (height, width) from (H, W): those of the pixel whose centre is nearest, dtype kept."""
    return _interpolate(mask, (height, width), "nearest-exact")


def _interpolate(plane: Array, shape: tuple[int, int], mode: str) -> Array:
    tensor = torch.from_numpy(plane.astype(np.float32))[None, None]
    corners = False if mode == "bilinear" else None
    resized: Array = F.interpolate(tensor, size=shape, mode=mode, align_corners=corners)[0, 0].numpy()
    return resized.astype(plane.dtype)


class Crop(Protocol):
    """Picks the window of a scan that is used."""

    def __call__(self, scan: BScan) -> BScan:
        """The window, as a scan."""
        ...


@dataclass(frozen=True)
class AnnotationCrop:
    """Window of rows x columns centred on what is annotated, like the 216 x 500 of the paper's arrays.

    Centre: columns, the middle of the annotated columns; rows, halfway between the highest and the lowest annotated
    surface pixel within them. It needs labels, so it can't serve where there are none: see `RetinaCrop`.
    An axis shorter than the window is kept whole. A scan with a mask and no surfaces is kept whole.
    """

    rows: int = 216
    columns: int = 500

    def __call__(self, scan: BScan) -> BScan:
        """The window, as a scan."""
        if scan.surface_rows is None:
            return scan
        annotated = np.flatnonzero(np.isfinite(scan.surface_rows).any(axis=0))
        middle_column = (annotated[0] + annotated[-1] + 1) / 2
        left, width = _window(middle_column, self.columns, scan.shape[1])
        inside = scan.surface_rows[:, left : left + width]
        middle_row = (np.nanmin(inside) + np.nanmax(inside) + 1) / 2
        top, height = _window(middle_row, self.rows, scan.shape[0])
        return crop(scan, top, left, height, width)


@dataclass(frozen=True)
class RetinaCrop:
    """Window of rows x columns around the retina, found by brightness alone: the same for labelled and new scans.

    Rows: the window whose brightest band (`band` rows, averaged over columns, wedges of 255 left out) lies at
    `band_at` of its height: the band is the outer retina and the choroid below it. Columns: the middle.
    The defaults keep every silver surface of the 110 annotated Duke scans inside 216 rows.
    """

    rows: int = 216
    columns: int = 500
    band: int = 121
    band_at: float = 0.65

    def __call__(self, scan: BScan) -> BScan:
        """The window, as a scan."""
        left, width = _window(scan.shape[1] / 2, self.columns, scan.shape[1])
        inside = scan.image[:, left : left + width].astype(np.float32)
        profile = np.where(inside == WEDGE, 0, inside).mean(axis=1)
        brightest = int(np.argmax(uniform_filter1d(profile, self.band, mode="constant")))
        top, height = _window(brightest + (0.5 - self.band_at) * self.rows, self.rows, scan.shape[0])
        return crop(scan, top, left, height, width)


def _window(middle: float, length: int, available: int) -> tuple[int, int]:
    """Start and length of a window about `middle` that stays within 0..available."""
    if length < 1:
        raise InputError(f"data.crop: a window of {length} pixels; expected at least 1")
    length = min(length, available)
    start = round(float(middle) - length / 2)
    return min(max(start, 0), available - length), length
