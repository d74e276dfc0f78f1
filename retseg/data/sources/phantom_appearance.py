"""What a made-up retina looks like in OCT: brightness of the layers, speckle, shadows, and the dark vitreous.

Brightness is in gray levels 0..255 of the Duke DME scans, whose 110 annotated B-scans gave every figure here.
"""

from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d, gaussian_filter, gaussian_filter1d

from retseg.data.sources.phantom_anatomy import DUKE_AXIAL_UM, Grid, smooth_noise
from retseg.data.sources.phantom_lesions import Blob, Lesions

Array = npt.NDArray[Any]

LAYER_PROFILES = np.array(
    [
        [112, 128, 139, 143, 141, 134, 116],
        [108, 99, 97, 97, 97, 95, 88],
        [79, 74, 72, 72, 72, 74, 77],
        [78, 84, 88, 88, 84, 77, 68],
        [62, 53, 49, 47, 47, 50, 60],
        [88, 136, 152, 122, 94, 106, 140],
        [135, 154, 166, 168, 160, 145, 118],
    ],
    dtype=np.float32,
)
"""Mean brightness (7, 7) of each layer, evenly spaced from its upper to its lower surface."""

LAYER_ALONG_SD = np.array([0.08, 0.07, 0.09, 0.13, 0.10, 0.12, 0.07, 0.07])[:, None, None]
"""Relative sd of the slow change of each layer's brightness along the scan; last, of the choroid's."""

ELM_ABOVE_ISE_UM, ELM_STRENGTH = 27.0, 15.0  # the thin line of the external limiting membrane
VITREOUS_LEVEL = 28.4  # of the pixels that are not zero; with the zeros the mean is 24
FLUID_LEVEL = 47.0
CHOROID_DEPTH_UM = np.array([0, 5, 10, 20, 30, 45, 60, 80, 110]) * DUKE_AXIAL_UM
CHOROID_LEVELS = np.array([100, 89, 81, 69, 58, 48, 39, 31, 25], dtype=np.float32)

GAIN_SD = 0.135
LAYER_GAIN_SD = 0.04
SPECKLE_SD = (0.115, 0.15)
VITREOUS_SD = 0.34
ZERO_SHARE = 0.14
SHOULDER_LEVEL, SHOULDER_RANGE = 190.0, 70.0

# Autocorrelation at lags 1, 2, 3: axial .80 .45 .26, lateral .63 .22 .03.
SPECKLE_AXIAL = np.array([0.003, 0.054, 0.072, 0.113, 0.455, 0.738, 0.455, 0.113, 0.072, 0.054, 0.003])
SPECKLE_LATERAL = np.array([-0.007, 0.064, 0.336, 0.875, 0.336, 0.064, -0.007])
# The shorter grain of the vitreous, where noise of the detector prevails: axial .6 .2, lateral .4 .1.
GRAIN_AXIAL = np.array([0.36, 0.83, 0.36])
GRAIN_LATERAL = np.array([0.22, 0.95, 0.22])


def render(
    rng: np.random.Generator, grid: Grid, surface_rows: Array, fluid_rows: tuple[Array, Array], lesions: Lesions
) -> Array:
    """The B-scan (H, W) uint8 of surfaces (8, W) and cysts with upper and lower edges (C, W), all in rows."""
    brightness = layer_brightness(rng, grid, surface_rows)
    clean = paint_brightness(grid, surface_rows, brightness)
    onl_level = np.median(brightness[5])  # fluid is darker than the darkest layer
    fluid_level = min(FLUID_LEVEL * np.exp(0.1 * rng.standard_normal()), 0.85 * onl_level)
    wall = 1.5 * DUKE_AXIAL_UM / grid.axial_um
    for upper, lower in zip(*fluid_rows, strict=True):
        is_fluid = lower - upper > 0.5
        clean *= 1 + 0.12 * coverage(
            grid, np.where(is_fluid, upper - wall, upper), np.where(is_fluid, lower + wall, upper)
        )
        clean += coverage(grid, upper, lower) * (fluid_level - clean)
    for focus in lesions.foci:
        clean += focus.strength * _blob(grid, surface_rows, focus)
    for vessel in lesions.vessels:
        clean *= 1 + 0.25 * _blob(grid, surface_rows, vessel)
        clean *= _shadow(grid, surface_rows, vessel)
    if rng.random() < 0.35:
        clean += _hyaloid(rng, grid, surface_rows[0])
    clean = gaussian_filter1d(clean, 0.7, axis=0, mode="nearest")
    return with_noise(rng, clean)


def layer_brightness(rng: np.random.Generator, grid: Grid, surface_rows: Array) -> Array:
    """Brightness (9, H, W): vitreous, the 7 layers, and what lies below, each over the whole image."""
    depth = np.arange(grid.height, dtype=np.float32)[:, None] + 0.5
    rows = surface_rows.astype(np.float32)
    brightness = np.empty((9, grid.height, grid.width), np.float32)
    brightness[0] = VITREOUS_LEVEL
    places = np.linspace(0, 1, LAYER_PROFILES.shape[1])
    for layer, profile in enumerate(LAYER_PROFILES):
        share = (depth - rows[layer]) / (rows[layer + 1] - rows[layer])
        brightness[layer + 1] = np.interp(share, places, profile)
    elm = (depth - rows[5]) * grid.axial_um + ELM_ABOVE_ISE_UM
    brightness[5] += ELM_STRENGTH * np.exp(-((elm / (1.2 * DUKE_AXIAL_UM)) ** 2) / 2)
    brightness[8] = np.interp((depth - rows[7]) * grid.axial_um, CHOROID_DEPTH_UM, CHOROID_LEVELS)
    brightness[8] *= _choroid_texture(rng, grid)

    layer_gain = np.exp(LAYER_GAIN_SD * rng.standard_normal((8, 1, 1)))
    along = 1 + LAYER_ALONG_SD * smooth_noise(rng, (8, 1, grid.width), 250 / grid.lateral_um)
    brightness[1:] *= (layer_gain * np.clip(along, 0.6, 1.4)).astype(np.float32)
    mottle = gaussian_filter(rng.standard_normal((grid.height, grid.width), np.float32), (1.5, 4))
    brightness[1:] *= 1 + 0.05 * mottle / mottle.std()
    return brightness


def paint_brightness(grid: Grid, surface_rows: Array, brightness: Array) -> Array:
    """Image (H, W) from brightness (9, H, W): each pixel mixes what it holds, so the surfaces are exact below a pixel.

    Row r spans r <= row < r + 1: a surface at 10.25 leaves a quarter of row 10 to what is above it, and a surface
    belongs to the mask's class where it fills more than half a pixel (`geometry.surfaces.paint_mask`).
    """
    depth = np.arange(grid.height, dtype=np.float32)[:, None]
    clean = np.array(brightness[0], dtype=np.float32)
    for surface, rows in enumerate(surface_rows.astype(np.float32)):
        below = np.clip(depth + 1 - rows, 0, 1)
        clean += below * (brightness[surface + 1] - brightness[surface])
    return clean


def coverage(grid: Grid, upper_rows: Array, lower_rows: Array) -> Array:
    """Share (H, W) of each pixel between two edges (W,)."""
    depth = np.arange(grid.height, dtype=np.float32)[:, None]
    upper, lower = upper_rows.astype(np.float32), lower_rows.astype(np.float32)
    return np.asarray(np.clip(depth + 1 - upper, 0, 1) - np.clip(depth + 1 - lower, 0, 1))


def _choroid_texture(rng: np.random.Generator, grid: Grid) -> Array:
    """Vessels of the choroid (H, W): dark ovals between brighter walls, and faint streaks of shadow, around 1."""
    noise = gaussian_filter(rng.standard_normal((grid.height, grid.width), np.float32), (6, 7))
    streaks = 1 + 0.06 * smooth_noise(rng, (grid.width,), 35 / grid.lateral_um)
    return np.asarray((1 + 0.19 * np.tanh(1.5 * noise / noise.std())) * streaks)


def _blob_rows(grid: Grid, surface_rows: Array, blob: Blob) -> tuple[float, float]:
    """Column and row of the middle of a blob."""
    column = float(np.interp(blob.x_um, grid.x_um, np.arange(grid.width)))
    upper, lower = surface_rows[blob.layer : blob.layer + 2, round(column)]
    return column, float(upper + blob.depth_share * (lower - upper))


def _blob(grid: Grid, surface_rows: Array, blob: Blob) -> Array:
    """A Gaussian spot (H, W) with peak 1."""
    column, row = _blob_rows(grid, surface_rows, blob)
    axial = (np.arange(grid.height) + 0.5 - row) * grid.axial_um / blob.axial_sd_um
    lateral = (np.arange(grid.width) - column) * grid.lateral_um / blob.lateral_sd_um
    return np.outer(np.exp(-(axial**2) / 2), np.exp(-(lateral**2) / 2)).astype(np.float32)


def _shadow(grid: Grid, surface_rows: Array, vessel: Blob) -> Array:
    """Factor (H, W): 1 above the vessel, down to its strength below it."""
    column, row = _blob_rows(grid, surface_rows, vessel)
    lateral = (np.arange(grid.width) - column) * grid.lateral_um / vessel.lateral_sd_um
    across = np.exp(-(np.abs(lateral) ** 2.4) / 2)
    below = 1 / (1 + np.exp(-(np.arange(grid.height) + 0.5 - row) * grid.axial_um / vessel.axial_sd_um))
    return (1 - (1 - vessel.strength) * np.outer(below, across)).astype(np.float32)


def _hyaloid(rng: np.random.Generator, grid: Grid, ilm_rows: Array) -> Array:
    """The faint membrane of a vitreous that has begun to detach (H, W), over the columns where it is off the ILM."""
    x = grid.x_um / (grid.x_um[-1] * 2)
    trend_rows = np.polyval(np.polyfit(x, ilm_rows, 1), x)
    rise_um = (
        rng.uniform(20, 90) + rng.uniform(-150, 150) * x - rng.uniform(-60, 200) * (x - rng.uniform(-0.4, 0.4)) ** 2
    )
    rows = trend_rows - rise_um / grid.axial_um
    strength = 20 * np.clip((ilm_rows - rows) * grid.axial_um / 20 - 1, 0, 1)
    strength *= np.clip(0.6 + 0.5 * smooth_noise(rng, (grid.width,), 400 / grid.lateral_um), 0, 1.2)
    depth = np.arange(grid.height)[:, None] + 0.5
    return np.asarray(strength * np.exp(-((depth - rows) ** 2) / (2 * 1.1**2)), np.float32)


def speckle(rng: np.random.Generator, shape: tuple[int, int], axial: Array, lateral: Array) -> Array:
    """Gaussian noise (H, W) of unit sd whose autocorrelation is that of the kernels."""
    noise = rng.standard_normal(shape, np.float32)
    noise = correlate1d(noise, axial / np.sqrt((axial**2).sum()), axis=0, mode="wrap")
    return np.asarray(correlate1d(noise, lateral / np.sqrt((lateral**2).sum()), axis=1, mode="wrap"))


def with_noise(rng: np.random.Generator, clean: Array) -> Array:
    """The image (H, W) uint8 of brightness without noise (H, W): speckle, the noise floor with its zeros, and gain."""
    shape = (clean.shape[0], clean.shape[1])
    tissue_sd = rng.uniform(*SPECKLE_SD)
    # How much of the noise is the detector's: all of it in the vitreous, little from the brightness of the ONL on.
    darkness = np.exp(-np.clip(clean - VITREOUS_LEVEL, 0, None) / 10)
    tissue = speckle(rng, shape, SPECKLE_AXIAL, SPECKLE_LATERAL)
    grain = speckle(rng, shape, GRAIN_AXIAL, GRAIN_LATERAL)
    relative_sd = tissue_sd + (VITREOUS_SD - tissue_sd) * darkness
    noise = np.sqrt(1 - darkness) * tissue + np.sqrt(darkness) * grain
    image = clean * np.clip(1 + relative_sd * noise, 0.05, None)

    holes = speckle(rng, shape, np.array([0.5, 1.0, 0.5]), np.array([0.3, 1.0, 0.3]))
    is_zero = holes < NormalDist().inv_cdf(ZERO_SHARE) - 0.2 * np.clip(clean - VITREOUS_LEVEL, 0, None)
    gain = np.exp(GAIN_SD * rng.standard_normal())
    return np.where(is_zero, 0, np.clip(np.rint(with_shoulder(image * gain)), 1, 255)).astype(np.uint8)


def with_shoulder(image: Array) -> Array:
    """Gray levels (H, W) whose brightest are pressed together, as log compression does: few pixels clip at 255."""
    above = np.clip(image - SHOULDER_LEVEL, 0, None)
    return np.asarray(np.minimum(image, SHOULDER_LEVEL) + SHOULDER_RANGE * np.tanh(above / SHOULDER_RANGE))
