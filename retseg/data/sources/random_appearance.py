"""How a random retina looks: reflectivities, shadows, noise and faults drawn around and far beyond the measured ones.

H rows, W columns. Gray levels 0..255. A pixel's tissue is a place on one axis, the depth coordinate: 0 to 1 the
vitreous, k to k + 1 layer k, 8 to 9 the choroid, so that one table of brightness paints everything at once. `spread`
scales how far things are drawn: 0 is the look of Duke scans, 1 the default.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from retseg.bscan import Array
from retseg.data.sources.phantom_anatomy import DUKE_AXIAL_UM, Grid
from retseg.data.sources.phantom_appearance import CHOROID_DEPTH_UM, CHOROID_LEVELS, LAYER_PROFILES, VITREOUS_LEVEL
from retseg.data.sources.phantom_lesions import Blob
from retseg.data.sources.random_anatomy import RandomRetina, bump, curves
from retseg.data.sources.random_noise import WIDTHS_PX, NoiseBank

SAMPLES = 16
"""Entries of the brightness table a layer."""

BLOOM_UM = {0: 9.0, 5: 2.5, 6: 4.0, 7: -2.5}
"""How far above a surface, at the most, its edge is seen (below, if negative), by surface: log compression lifts the
foot of a bright edge. On Duke scans, against silver labels, the half level lies some 4 um above the ILM, 1 um above the
ISE, 2 um above OS-RPE and 1 um below it."""

CHOROID_REACH_UM = 426.0
"""Depth below the retina at which the depth coordinate reaches 9."""


@dataclass(frozen=True, slots=True, eq=False)
class Tissue:
    """What is where: the depth coordinate (H, W) float32, rows of the surfaces (8, W), and each pixel's (H, 1).

    kind: (H, W) intp, 0 vitreous, 1..7 layers, 8 choroid; an index type, since it is used as one again and again.
    """

    grid: Grid
    coordinate: Array
    rows: Array
    depth: Array
    kind: Array


def tissue(grid: Grid, rows: Array) -> Tissue:
    """The tissue of surfaces (8, W) given in rows."""
    depth = np.arange(grid.height, dtype=np.float32)[:, None] + 0.5
    edges = np.concatenate([np.zeros((1, grid.width)), rows, rows[-1:] + CHOROID_REACH_UM / grid.axial_um])
    edges = edges.astype(np.float32)
    steps = 1 / np.maximum(np.diff(edges, axis=0), 1e-3)
    coordinate = np.zeros((grid.height, grid.width), np.float32)
    step = np.empty_like(coordinate)
    for k in range(9):
        np.subtract(depth, edges[k], out=step)
        step *= steps[k]
        coordinate += np.clip(step, 0, 1, out=step)
    np.minimum(coordinate, 8.999, out=coordinate)
    return Tissue(grid, coordinate, rows.astype(np.float32), depth, coordinate.astype(np.intp))


def render(rng: np.random.Generator, grid: Grid, retina: RandomRetina, noise: NoiseBank, spread: float = 1.0) -> Array:
    """The B-scan (H, W) uint8."""
    rows = retina.surfaces_um / grid.axial_um
    for surface, most_um in BLOOM_UM.items():
        rows[surface] -= rng.uniform(min(most_um, 0), max(most_um, 0)) / grid.axial_um
    seen = tissue(grid, rows)
    table = _table(rng, spread)
    image = table.take((seen.coordinate * SAMPLES).astype(np.intp))
    image *= _along(rng, grid, spread)[seen.kind, np.arange(grid.width)]
    image *= _texture(rng, seen, noise, spread)
    _paint_fluid(rng, image, seen, retina, table)
    _paint_blobs(rng, image, seen, retina)
    _paint_membranes(rng, image, seen)
    image *= _light(rng, grid, spread)
    return _with_faults(rng, _with_noise(rng, image, seen, noise, spread), grid)


def _table(rng: np.random.Generator, spread: float) -> Array:
    """Brightness (9 * SAMPLES,) along the depth coordinate."""
    places = (np.arange(SAMPLES) + 0.5) / SAMPLES
    knots = np.linspace(0, 1, LAYER_PROFILES.shape[1])
    layers = np.stack([np.interp(places, knots, profile) for profile in LAYER_PROFILES])
    is_wild = rng.random() < 0.35 * spread
    level_sd = (0.35 if is_wild else 0.14) * spread
    flatness = rng.uniform(0, 0.9) * spread if rng.random() < 0.5 else 0  # profiles within layers may be gone
    middle = layers.mean(axis=1, keepdims=True)
    layers = middle + (1 - flatness) * (layers - middle)
    layers *= np.exp(
        level_sd * rng.standard_normal((7, 1)) + 0.08 * spread * rng.standard_normal((7, 1)) * (places - 0.5)
    )
    elm_um, onl_um = rng.uniform(18, 40), 90.0
    elm = rng.uniform(0, 30) * np.exp(-(((1 - places) * onl_um - elm_um) ** 2) / (2 * rng.uniform(3, 7) ** 2))
    layers[4] += elm
    vitreous = VITREOUS_LEVEL * np.exp(0.3 * spread * rng.standard_normal())
    falloff = np.exp(0.35 * spread * rng.standard_normal())
    choroid = np.interp(places * CHOROID_REACH_UM * falloff, CHOROID_DEPTH_UM, CHOROID_LEVELS)
    choroid *= np.exp(0.25 * spread * rng.standard_normal())
    choroid = np.maximum(choroid, 0.8 * vitreous)
    low = vitreous + rng.uniform(6, 20)
    return np.concatenate([np.full(SAMPLES, vitreous), np.clip(layers, low, 250).ravel(), choroid]).astype(np.float32)


def _along(rng: np.random.Generator, grid: Grid, spread: float) -> Array:
    """Factors (9, W) of each tissue's brightness along the scan: slow, and in some layers streaks."""
    slow = 1 + rng.uniform(0.04, 0.15) * curves(rng, 9, grid, rng.uniform(200, 900))
    slow[0] = 1
    if rng.random() < 0.4 * spread:
        streaks = rng.uniform(0.05, 0.25) * bump(grid, rng.uniform(grid.x_um[0], grid.x_um[-1]), rng.uniform(300, 2000))
        layers = rng.choice([2, 3, 4, 5], size=2, replace=False)
        slow[layers] += streaks * rng.standard_normal((2, grid.width))
    return np.clip(slow, 0.4, 1.7).astype(np.float32)


def _texture(rng: np.random.Generator, seen: Tissue, noise: NoiseBank, spread: float) -> Array:
    """Factors (H, W): tissue mottled and streaked, each layer by its own measure, and vessels in the choroid."""
    mottled = (rng.uniform(0, 0.1) * np.exp(0.5 * spread * rng.standard_normal(9))).astype(np.float32)
    streaked = (rng.uniform(0, 0.1) * spread * np.exp(0.5 * rng.standard_normal(9))).astype(np.float32)
    mottled[0] = streaked[0] = 0
    factors = 1 + mottled.take(seen.kind) * noise.mottle(rng, 0) + streaked.take(seen.kind) * noise.mottle(rng, 3)
    clouds = (rng.uniform(0, 0.1) * spread) * noise.mottle(rng, 2)
    clouds[seen.kind == 0] = 0
    factors *= 1 + clouds
    vessels = np.tanh(rng.uniform(1, 3) * noise.mottle(rng, 1))
    return np.asarray(np.where(seen.kind == 8, factors * (1 + rng.uniform(0.05, 0.35) * vessels), factors))


def _between(depth: Array, upper: Array, lower: Array) -> Array:
    """Share (H, W) of each pixel between two edges (W,) in rows."""
    upper, lower = upper.astype(np.float32), lower.astype(np.float32)
    return np.asarray(np.clip(depth + 0.5 - upper, 0, 1) - np.clip(depth + 0.5 - lower, 0, 1))


def _paint_fluid(rng: np.random.Generator, image: Array, seen: Tissue, retina: RandomRetina, table: Array) -> None:
    """Cysts, fluid below the ISE, and drusen, in place."""
    axial_um = seen.grid.axial_um
    onl = float(np.median(table[5 * SAMPLES : 6 * SAMPLES]))
    level = min(float(table[0]) * rng.uniform(0.7, 2.2), 0.9 * onl)
    wall = rng.uniform(0, 0.2)
    for upper_um, lower_um in zip(*retina.fluid_um, strict=True):
        is_fluid = lower_um - upper_um > 0.5 * axial_um
        columns = np.flatnonzero(is_fluid)
        if not columns.size:
            continue
        across = slice(columns[0], columns[-1] + 1)
        upper, lower = upper_um[across] / axial_um, lower_um[across] / axial_um
        first, last = max(int(upper.min()) - 3, 0), int(lower.max()) + 4
        part, depth = image[first:last, across], seen.depth[first:last]
        rim = DUKE_AXIAL_UM * 1.5 / axial_um
        part *= 1 + wall * _between(depth, upper - rim, lower + rim)
        part += _between(depth, upper, lower) * (level - part)
    top, bottom = seen.rows[6], seen.rows[7]
    if retina.detachment_um.any():
        image += _between(seen.depth, top, top + retina.detachment_um / axial_um) * (level - image)
    if retina.drusen_um.any():
        drusen = rng.uniform(60, 150)
        image += 0.8 * _between(seen.depth, bottom - retina.drusen_um / axial_um, bottom) * (drusen - image)


def _paint_blobs(rng: np.random.Generator, image: Array, seen: Tissue, retina: RandomRetina) -> None:
    """Bright foci and vessels with the shadows that they throw, and broad shadows, in place."""
    grid, lesions = seen.grid, retina.lesions
    shade = np.ones(image.shape, np.float32)
    for blob, is_vessel in [(b, False) for b in lesions.foci] + [(b, True) for b in lesions.vessels]:
        column = float(np.interp(blob.x_um, grid.x_um, np.arange(grid.width)))
        upper, lower = seen.rows[blob.layer : blob.layer + 2, round(column)]
        row = float(upper + blob.depth_share * (lower - upper))
        axial, lateral = blob.axial_sd_um / grid.axial_um, max(blob.lateral_sd_um / grid.lateral_um, 0.5)
        rows = slice(max(int(row - 3 * axial), 0), int(row + 3 * axial) + 2)
        columns = slice(max(int(column - 3 * lateral), 0), int(column + 3 * lateral) + 2)
        along = np.exp(-(((np.arange(grid.height)[rows] + 0.5 - row) / axial) ** 2) / 2)
        across = np.exp(-(((np.arange(grid.width)[columns] - column) / lateral) ** 2) / 2)
        spot = np.outer(along, across).astype(np.float32)
        if is_vessel:
            image[rows, columns] *= 1 + rng.uniform(0, 0.5) * spot
        else:
            image[rows, columns] += blob.strength * spot
        depth = _shadow_depth(rng, blob, is_vessel)
        if depth > 0:
            below = np.clip((np.arange(grid.height)[rows.start :] - row) / max(axial, 1), 0, 1)
            shade[rows.start :, columns] *= 1 - depth * np.outer(below, across).astype(np.float32)
    if rng.random() < 0.15:
        column, width = rng.uniform(0, grid.width), rng.uniform(3, 0.15 * grid.width)
        shade *= 1 - rng.uniform(0.1, 0.6) * np.exp(-(np.abs((np.arange(grid.width) - column) / width) ** 3)).astype(
            np.float32
        )
    dark = np.minimum(image, rng.uniform(15, 30))
    np.subtract(1, shade, out=shade)
    np.subtract(image, dark, out=dark)
    dark *= shade
    image -= dark


def _shadow_depth(rng: np.random.Generator, blob: Blob, is_vessel: bool) -> float:
    """Share of the light that is lost below a blob."""
    if is_vessel:
        return float(1 - blob.strength * rng.uniform(0.6, 1.3)) if blob.strength < 0.75 else 0.25
    return float(rng.uniform(0, 0.5)) if rng.random() < 0.5 else 0.0


def _paint_membranes(rng: np.random.Generator, image: Array, seen: Tissue) -> None:
    """A detached vitreous' membrane, and a membrane on the retina, in place."""
    grid, top = seen.grid, seen.rows[0]
    if rng.random() < 0.35:
        x = grid.x_um / (2 * grid.x_um[-1])
        rise_um = rng.uniform(0, 120) + rng.uniform(-200, 200) * x + rng.uniform(-80, 250) * x**2
        rows = top - rise_um / grid.axial_um
        strength = rng.uniform(5, 45) * np.clip((rise_um - 10) / 20, 0, 1)
        image += strength.astype(np.float32) * np.exp(-((seen.depth - rows.astype(np.float32)) ** 2) / 3)
    if rng.random() < 0.25:
        strength = rng.uniform(10, 110) * np.clip(0.5 + 0.8 * curves(rng, 1, grid, 700)[0], 0, 1)
        rows = top + rng.uniform(-0.5, 1.5)
        width = rng.uniform(0.6, 2.0)
        image += strength.astype(np.float32) * np.exp(-(((seen.depth - rows.astype(np.float32)) / width) ** 2) / 2)


def _light(rng: np.random.Generator, grid: Grid, spread: float) -> Array:
    """Factors (H, W): uneven light across the scan, and the loss of signal with depth."""
    across = np.exp(spread * rng.uniform(0, 0.18) * curves(rng, 1, grid, 2500)[0])
    loss = rng.normal(0, 0.25) * spread
    down = np.exp(loss * (np.linspace(0, 1, grid.height) - 0.5))
    return np.outer(down, across).astype(np.float32)


def _with_noise(rng: np.random.Generator, image: Array, seen: Tissue, noise: NoiseBank, spread: float) -> Array:
    """Blur, speckle, the noise floor, gain, gamma and saturation: (H, W) float32, 0..255."""
    if (axial := rng.uniform(0.3, 1.5)) > 0.4:
        image = gaussian_filter1d(image, axial, axis=0, mode="nearest", truncate=2.5)
    if (lateral := rng.uniform(0, 1.0)) > 0.4:
        image = gaussian_filter1d(image, lateral, axis=1, mode="nearest", truncate=2.5)
    kind = int(rng.choice(len(WIDTHS_PX), p=[0.1, 0.15, 0.2, 0.3, 0.15, 0.1]))
    floor_kind = min(kind, int(rng.integers(4)))
    speckle_sd = rng.uniform(0.06, 0.13 + 0.17 * spread)
    floor_sd = rng.uniform(3, 8 + 8 * spread)
    darkness = np.clip(1 - (image - image.min()) / 60, 0, 1)
    of_kinds = (speckle_sd * np.exp(0.3 * spread * rng.standard_normal(9))).astype(np.float32)
    speckle = of_kinds.take(seen.kind) * _skewed(noise.grain(rng, kind), rng.uniform(-0.2, 0.5) * spread)
    image = image * np.clip(1 + speckle, 0.05, None)
    image += floor_sd * (0.25 + 0.75 * darkness) * noise.grain(rng, floor_kind)
    if rng.random() < 0.6:
        holes = noise.grain(rng, 1) < rng.uniform(-2.5, -0.7) - 3 * (1 - darkness)
        image[holes] = 0
    gamma = math.exp(0.22 * spread * rng.standard_normal())
    gain, offset = math.exp(0.2 * rng.standard_normal()), rng.uniform(-18, 22) * spread
    image = 255 * (np.clip(image, 0, 330) / 255) ** gamma * gain + offset
    shoulder = rng.uniform(170, 230)
    above = np.clip(image - shoulder, 0, None)
    return np.asarray(np.minimum(image, shoulder) + 70 * np.tanh(above / 70))


def _skewed(noise: Array, skew: float) -> Array:
    """Noise (H, W) of mean 0 whose bright (skew > 0) or dark tail is the longer one, sd about 1."""
    return np.asarray((noise + skew * (noise**2 - 1)) / math.sqrt(1 + 2 * skew**2))


def _with_faults(rng: np.random.Generator, image: Array, grid: Grid) -> Array:
    """What machines and software leave: bands, mirror images, wedges, borders; (H, W) uint8."""
    if rng.random() < 0.06:
        for _ in range(rng.integers(1, 4)):
            row = int(rng.integers(grid.height))
            image[row : row + int(rng.integers(1, 4))] += rng.uniform(-25, 45)
    if rng.random() < 0.05:
        reach = int(rng.uniform(0.1, 0.4) * grid.height)
        image[:reach] += rng.uniform(0.1, 0.5) * image[grid.height - reach :][::-1]
    if rng.random() < 0.15:
        level = 255 if rng.random() < 0.7 else 0
        slope_px, first_px = (
            rng.choice([-1, 1]) * rng.uniform(0.02, 0.12) * grid.height,
            rng.uniform(0, 0.1) * grid.height,
        )
        line = first_px + slope_px * (np.arange(grid.width) / grid.width - rng.uniform(0, 1))
        image[np.arange(grid.height)[:, None] < line] = level
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
