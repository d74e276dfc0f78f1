"""Faults planted in good scans, to measure what the quality gate finds. H rows (depth), W columns, B B-scans.

Each kind imitates how a scan goes wrong: at the device (eye too near or too far, blink, motion, weak signal), in an
export (rotated, clipped, coloured), or by the wrong file (en-face picture, photograph). What is planted is known, so
hits and misses can be counted; it says nothing of how often such faults occur.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d, uniform_filter

from retseg.bscan import Array
from retseg.data.readers.volume import RawBScan
from retseg.data.transforms import WEDGE

Severity = Literal["slight", "gross"]
SEVERITIES: tuple[Severity, ...] = ("slight", "gross")

_Planter = Callable[[Array, np.random.Generator, float], Array]


def plant(image: Array, kind: str, rng: np.random.Generator, severity: Severity = "gross") -> RawBScan:
    """A good scan (H, W), gray levels 0..255, with the fault of a kind of `KINDS`."""
    planter, amounts = _PLANTERS[kind]
    is_padding = _padding(image)
    filled = image.astype(np.float32)
    filled[is_padding] = rng.choice(_dark_pixels(image[:, ~is_padding.all(axis=0)]), int(is_padding.sum()))
    planted = planter(filled, rng, amounts[SEVERITIES.index(severity)])
    pixels = np.clip(np.rint(planted), 0, 255).astype(np.uint8)
    if kind in _KEEP_PLACES:
        pixels[is_padding] = WEDGE
    return RawBScan(np.ascontiguousarray(pixels), 0.7 if kind == "colour picture" else 0.0)


def plant_en_face(volume: Array, rng: np.random.Generator, is_projection: bool) -> RawBScan:
    """What is seen from the front of a volume (B, H, W): its mean over depth, or one depth of it; (B, W) pixels.

    The depth is drawn from the middle half of the rows, where a retina is.
    """
    rows = volume.shape[1]
    depth = int(rng.integers(rows // 4, rows - rows // 4))
    plane = volume.mean(axis=1) if is_projection else volume[:, depth]
    return RawBScan(np.clip(np.rint(plane), 0, 255).astype(np.uint8))


def _padding(image: Array) -> Array:
    """Where (H, W) a registration has filled the image with white, from its upper or lower border on."""
    is_white = image == WEDGE
    downwards = np.logical_and.accumulate(is_white, axis=0)
    return np.asarray(downwards | np.logical_and.accumulate(is_white[::-1], axis=0)[::-1])


def _upper_and_lower_rows(image: Array) -> tuple[Array, Array]:
    """First and last row (W,) of what is bright in each column: about the ILM and the pigment epithelium."""
    smooth = uniform_filter(image, (5, 15))
    is_bright = smooth > 0.45 * np.percentile(smooth, 98)
    height = image.shape[0]
    upper, lower = is_bright.argmax(axis=0), height - 1 - is_bright[::-1].argmax(axis=0)
    return np.where(is_bright.any(axis=0), upper, height // 2), np.where(is_bright.any(axis=0), lower, height // 2)


def _moved(image: Array, rows: int, rng: np.random.Generator) -> Array:
    """The image some rows deeper (negative: higher), filled with its own darkest rows in another order."""
    height = image.shape[0]
    darkest = np.argsort(image.mean(axis=1))[: max(height // 8, 1)]
    filling = image[rng.choice(darkest, abs(rows))]
    return np.concatenate([filling, image[: height - rows]] if rows > 0 else [image[-rows:], filling])


def _cut_at_top(image: Array, rng: np.random.Generator, share: float) -> Array:
    """A share of the columns lose their upper retina: the eye was too near."""
    upper, lower = _upper_and_lower_rows(image)
    middle = upper + 0.3 * (lower - upper)
    return _moved(image, -int(max(np.quantile(middle, share), 1)), rng)


def _folded_at_top(image: Array, rng: np.random.Generator, share: float) -> Array:
    """The same, and what is cut off comes back upside down: spectra do not tell depths z and -z apart."""
    upper, lower = _upper_and_lower_rows(image)
    rows = int(max(np.quantile(upper + 0.3 * (lower - upper), share), 1))
    moved = _moved(image, -rows, rng)
    folded = image[:rows][::-1]
    moved[: len(folded)] = np.maximum(moved[: len(folded)], folded)
    return moved


def _cut_at_bottom(image: Array, rng: np.random.Generator, share: float) -> Array:
    """A share of the columns lose their outer retina: the eye was too far."""
    upper, lower = _upper_and_lower_rows(image)
    middle = upper + 0.6 * (lower - upper)
    return _moved(image, int(max(len(image) - np.quantile(middle, 1 - share), 1)), rng)


def _weak_signal(image: Array, rng: np.random.Generator, share: float) -> Array:
    """Only a share of the signal above the noise is left; the noise stays (dense cataract, misaligned eye)."""
    floor = np.percentile(image, 25)
    smooth = gaussian_filter(image, 2)
    signal = np.clip(smooth - floor, 0, None)
    dark = image[smooth < np.percentile(smooth, 40)]
    return np.asarray(rng.choice(dark, image.shape) + share * signal)


def _blink(image: Array, rng: np.random.Generator, share: float) -> Array:
    """A share of the columns, side by side, hold noise alone."""
    columns = max(round(share * image.shape[1]), 1)
    first = int(rng.integers(0, image.shape[1] - columns + 1))
    planted = image.copy()
    planted[:, first : first + columns] = rng.choice(_dark_pixels(image), (image.shape[0], columns))
    return planted


def _dark_pixels(image: Array) -> Array:
    """Pixels where the smoothed image is darkest: noise."""
    smooth = gaussian_filter(image, 3)
    return np.asarray(image[smooth <= np.percentile(smooth, 30)])


def _motion(image: Array, rng: np.random.Generator, share: float) -> Array:
    """A fifth of the columns, side by side, lie a share of the height too high or too deep."""
    columns = image.shape[1] // 5
    first = int(rng.integers(columns // 2, image.shape[1] - columns - columns // 2))
    rows = max(round(share * image.shape[0]), 1) * (1 if rng.random() < 0.5 else -1)
    planted = image.copy()
    planted[:, first : first + columns] = _moved(image[:, first : first + columns], rows, rng)
    return planted


def _defocus(image: Array, rng: np.random.Generator, sd_columns: float) -> Array:
    """A wide spot: blurred along the scan, half the light, and speckle as wide as the spot."""
    floor = np.percentile(image, 25)
    blurred = gaussian_filter1d(gaussian_filter(image, 1), sd_columns, axis=1)
    grain = gaussian_filter(rng.standard_normal(image.shape), (1, sd_columns / 2))
    signal = 0.5 * np.clip(blurred - floor, 0, None) * (1 + 0.13 * grain / grain.std())
    return np.asarray(np.where(signal > 0.5 * floor, floor + signal, image))


def _fundus(image: Array, rng: np.random.Generator, strength: float) -> Array:
    """A round gray picture of the back of the eye: vessels as dark lines, a bright disc, black corners."""
    height, width = image.shape
    y, x = np.mgrid[0:height, 0:width] + 0.5
    reach = np.hypot((y - height / 2) / height, (x - width / 2) / width)
    waves = gaussian_filter(rng.standard_normal(image.shape), min(height, width) / 12)
    vessels = np.exp(-((waves / waves.std() / 0.12) ** 2))
    disc = np.exp(-(((y - height / 2) / height * 8) ** 2) - ((x - 0.75 * width) / width * 8) ** 2)
    field = (120 + 90 * disc - 60 * strength * vessels) * np.clip(1.4 - reach, 0, 1)
    return np.asarray(np.where(reach < 0.48, field, 0) + rng.normal(0, 4, image.shape))


def _text(image: Array, rng: np.random.Generator, rows: float) -> Array:
    """A line of white letters (blocks of 3 x 5 cells) in the middle of the scan."""
    cell = max(round(rows * image.shape[0] / 5), 1)
    letters = rng.random((5, 4 * max(image.shape[1] // (8 * cell), 2))) < 0.6
    letters[:, 3::4] = False
    stamp = np.kron(letters, np.ones((cell, cell)))[: image.shape[0], : image.shape[1]]
    planted = image.copy()
    top = int(rng.integers(0, image.shape[0] - len(stamp) + 1))
    planted[top : top + len(stamp), : stamp.shape[1]][stamp > 0] = 255
    return planted


_PLANTERS: dict[str, tuple[_Planter, tuple[float, float]]] = {
    "upside down": (lambda image, rng, amount: image[::-1], (1, 1)),
    "folded at the top": (_folded_at_top, (0.15, 0.5)),
    "cut at the top": (_cut_at_top, (0.15, 0.5)),
    "cut at the bottom": (_cut_at_bottom, (0.15, 0.5)),
    "low contrast": (lambda image, rng, amount: 90 + amount * (image - 90), (0.3, 0.1)),
    "weak signal": (_weak_signal, (0.3, 0.1)),
    "noise": (lambda image, rng, amount: image + rng.normal(0, amount, image.shape), (30, 80)),
    "saturated": (lambda image, rng, amount: image * amount, (2, 5)),
    "clipped dark": (lambda image, rng, amount: image - amount, (50, 100)),
    "on its side": (lambda image, rng, amount: image.T, (1, 1)),
    "fundus picture": (_fundus, (0.5, 1)),
    "colour picture": (lambda image, rng, amount: image, (1, 1)),
    "blink": (_blink, (0.08, 0.4)),
    "blank": (lambda image, rng, amount: rng.choice(_dark_pixels(image), image.shape) * (1 - amount), (0, 1)),
    "motion": (_motion, (0.05, 0.15)),
    "blurred": (lambda image, rng, amount: gaussian_filter(image, amount), (2, 5)),
    "defocused": (_defocus, (4, 12)),
    "text": (_text, (0.04, 0.08)),
}
"""By kind: how it is planted, and how much of it is slight and gross."""

KINDS = tuple(_PLANTERS)

_KEEP_PLACES = (
    "low contrast",
    "weak signal",
    "noise",
    "saturated",
    "clipped dark",
    "colour picture",
    "blurred",
    "defocused",
    "text",
)  # the padding of the clean scan stays where it is
EN_FACE = ("en-face projection", "en-face slice")
"""Made by `plant_en_face`, from volumes."""
