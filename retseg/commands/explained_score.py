"""The class score that `retseg explain` follows back, from the words on the command line to a scan's pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from retseg.anatomy import SURFACE_NAMES
from retseg.bscan import Array
from retseg.commands.explained_scans import SeenScan
from retseg.data.sources.mapped import mapped_npy
from retseg.data.sources.plain_images import PICTURE_FORMATS
from retseg.data.transforms import resize_mask
from retseg.errors import InputError
from retseg.explain.regions import Band, Pixel, TrueLayer
from retseg.explain.score import Score

Of = Literal["probability", "log_probability", "logit"]
Reduction = Literal["sum", "mean"]
OVER = "image, predicted, true, pixel:ROW,COLUMN, surface:NAME[,HALF_WIDTH_PX] or mask:FILE"
HALF_WIDTH_PX = 3.0


@dataclass(frozen=True, slots=True)
class WantedScore:
    """of, reduction: as `Score` has them. over: one of OVER; rows, columns and masks are those of the scan's own grid.

    A band's half width is in rows of the network's grid; its surface is the annotated one, or the predicted one where
    there are no labels. InputError, when made, for words that are none of these.
    """

    of: Of = "probability"
    reduction: Reduction = "sum"
    over: str = "image"

    def __post_init__(self) -> None:
        """Refuse wrong words before the first scan."""
        Score(self.of, self.reduction)
        kind, _, rest = self.over.partition(":")
        if kind in ("image", "predicted", "true") and not rest:
            return
        if kind == "pixel":
            self._pixel(rest)
        elif kind == "surface":
            self._surface(rest)
        elif kind == "mask":
            if not Path(rest).is_file():
                raise InputError(f"--over {self.over}: no such file; name an image or .npy of the scan's size")
        else:
            raise InputError(f"--over {self.over}: expected {OVER}")

    @property
    def anywhere(self) -> Score:
        """The score without its pixels: what can be checked before any scan is read."""
        return Score(self.of, self.reduction)

    def on(self, scan: SeenScan, predicted: Callable[[], Tensor]) -> Score:
        """The score on a scan; predicted gives its predicted class ids (H, W), asked for only where they are needed."""
        kind, _, rest = self.over.partition(":")
        if kind in ("image", "predicted"):
            return Score(self.of, self.reduction, "image" if kind == "image" else "predicted")
        if kind == "true":
            return Score(self.of, self.reduction, TrueLayer(_labels(scan)[None]))
        if kind == "pixel":
            return Score(self.of, self.reduction, _on_network_grid(scan, *self._pixel(rest)))
        if kind == "surface":
            surface, half_width_px = self._surface(rest)
            labels, whose = (predicted(), "predicted") if scan.mask is None else (scan.mask, "annotated")
            name = f"the {whose} {SURFACE_NAMES[surface]}"
            return Score(self.of, self.reduction, Band.around(labels[None], surface, half_width_px, name))
        return Score(self.of, self.reduction, _mask_of(Path(rest), scan))

    def _pixel(self, words: str) -> tuple[int, int]:
        try:
            row, column = (int(word) for word in words.split(","))
        except ValueError:
            raise InputError(
                f"--over {self.over}: expected pixel:ROW,COLUMN, two whole numbers counted from 0"
            ) from None
        return row, column

    def _surface(self, words: str) -> tuple[int, float]:
        name, _, width = words.partition(",")
        if name not in SURFACE_NAMES:
            raise InputError(f"--over {self.over}: no surface {name!r}; the surfaces are {', '.join(SURFACE_NAMES)}")
        try:
            half_width_px = float(width) if width else HALF_WIDTH_PX
        except ValueError:
            raise InputError(f"--over {self.over}: {width!r} is no number of pixels; e.g. surface:{name},3") from None
        return SURFACE_NAMES.index(name), half_width_px


def _labels(scan: SeenScan) -> Tensor:
    if scan.mask is None:
        raise InputError(f"{scan.name}: --over true needs labels, and this scan has none; use --over predicted")
    return scan.mask


def _on_network_grid(scan: SeenScan, row: int, column: int) -> Pixel:
    """The network's pixel in which the centre of a scan's own pixel lies."""
    place, (height, width) = scan.place, scan.image.shape[2:]
    inside = 0 <= row - place.top < place.height and 0 <= column - place.left < place.width
    if not inside:
        raise InputError(
            f"{scan.name}: pixel {row},{column} lies outside the window that the network sees, rows {place.top} to "
            f"{place.top + place.height - 1}, columns {place.left} to {place.left + place.width - 1}"
        )
    seen_row = int((row - place.top + 0.5) * height / place.height)
    seen_column = int((column - place.left + 0.5) * width / place.width)
    return Pixel(seen_row, seen_column)


def _gray_levels(path: Path) -> Array:
    with Image.open(path, formats=PICTURE_FORMATS) as image:
        return np.asarray(image.convert("L"))


def _mask_of(path: Path, scan: SeenScan) -> Tensor:
    """Where a file is not 0, on the network's grid (H, W) bool. The file has the size of the scan, or of its window."""
    try:
        array = mapped_npy(path) if path.suffix == ".npy" else _gray_levels(path)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: cannot be read as a mask ({error}); give an image or a .npy file") from error
    place = scan.place
    if array.shape == scan.native_shape:
        array = array[place.top : place.top + place.height, place.left : place.left + place.width]
    if array.shape != (place.height, place.width):
        raise InputError(f"{path}: a mask of {array.shape} pixels for {scan.name}, which has {scan.native_shape}")
    height, width = scan.image.shape[2:]
    return torch.from_numpy(resize_mask((array != 0).astype(np.int8), height, width)).bool()
