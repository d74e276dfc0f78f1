"""What a made-up retina looks like in OCT: brightness of the layers, speckle, shadows, and the dark vitreous.

Brightness is in gray levels 0..255 of the Duke DME scans, whose 110 annotated B-scans gave every figure here.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d, gaussian_filter, gaussian_filter1d
from scipy.special import ndtri

from retseg.data.sources.phantom_anatomy import DUKE_AXIAL_UM, Grid, smooth_noise
from retseg.data.sources.phantom_lesions import Blob, Lesions

Array = npt.NDArray[Any]

LAYER_PROFILES = np.array(
    [
        [112, 133, 140, 140, 118],
        [108, 98, 97, 97, 89],
        [79, 73, 72, 72, 76],
        [80, 84, 86, 81, 71],
        [60, 52, 49, 51, 66],
        [101, 131, 118, 118, 136],
        [138, 159, 166, 157, 125],
    ],
    dtype=np.float32,
)
"""Mean brightness (7, 5) of each layer from its upper to its lower surface."""

VITREOUS_LEVEL = 28.4  # of the pixels that are not zero; with the zeros the mean is 24
FLUID_LEVEL = 47.0
CHOROID_DEPTH_UM = np.array([0, 5, 10, 20, 30, 45, 60, 80, 110]) * DUKE_AXIAL_UM
CHOROID_LEVELS = np.array([98, 87, 80, 68, 58, 49, 40, 33, 28], dtype=np.float32)

GAIN_SD = 0.13
LAYER_GAIN_SD = 0.07
SPECKLE_SD = (0.115, 0.15)
VITREOUS_SD = 0.34
ZERO_SHARE = 0.14

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
    clean = paint_brightness(grid, surface_rows, layer_brightness(rng, grid, surface_rows))
    fluid_level = FLUID_LEVEL * np.exp(0.1 * rng.standard_normal())
    for upper, lower in zip(*fluid_rows, strict=True):
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
    brightness[8] = np.interp((depth - rows[7]) * grid.axial_um, CHOROID_DEPTH_UM, CHOROID_LEVELS)
    brightness[8] *= _choroid_texture(rng, grid)

    layer_gain = np.exp(LAYER_GAIN_SD * rng.standard_normal((8, 1, 1)))
    along = 1 + 0.07 * smooth_noise(rng, (8, 1, grid.width), 280 / grid.lateral_um)
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
    """Vessels of the choroid (H, W): dark ovals between brighter walls, around 1."""
    noise = gaussian_filter(rng.standard_normal((grid.height, grid.width), np.float32), (5, 6))
    return np.asarray(1 + 0.17 * np.tanh(1.2 * noise / noise.std()))


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
    across = np.exp(-(np.abs(lateral) ** 3) / 2)
    below = 1 / (1 + np.exp(-(np.arange(grid.height) + 0.5 - row) * grid.axial_um / vessel.axial_sd_um))
    return (1 - (1 - vessel.strength) * np.outer(below, across)).astype(np.float32)


def _hyaloid(rng: np.random.Generator, grid: Grid, ilm_rows: Array) -> Array:
    """The faint membrane of a vitreous that has begun to detach (H, W), over a part of the columns."""
    end_um, side = rng.uniform(-1500, 1500), rng.choice([-1, 1])
    away_um = side * (grid.x_um - end_um)
    rise_um = 40 + 0.09 * np.clip(away_um, 0, None)
    strength = 22 * np.clip(away_um / 400, 0, 1)
    smooth_ilm = gaussian_filter1d(ilm_rows, 300 / grid.lateral_um, mode="nearest")
    rows = np.minimum(smooth_ilm, ilm_rows) - rise_um / grid.axial_um
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
    is_zero = holes < ndtri(ZERO_SHARE) - 0.2 * np.clip(clean - VITREOUS_LEVEL, 0, None)
    gain = np.exp(GAIN_SD * rng.standard_normal())
    return np.where(is_zero, 0, np.clip(np.rint(image * gain), 1, 255)).astype(np.uint8)
