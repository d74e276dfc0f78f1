"""Shapes of a retina drawn far beyond those of one data set: pits, swelling, thin layers, drusen, steep or bowed eyes.

W columns. Lengths are microns; x runs along the B-scan, 0 in its middle. What a scan holds is drawn for it alone: the
subject of a scan says nothing about it. Rates and widths are chosen, not measured, around the mean retina and the
lesions of `phantom_anatomy` and `phantom_lesions`, which are measured on Duke scans.
"""

from dataclasses import dataclass

import numpy as np

from retseg.bscan import Array
from retseg.data.sources.phantom_anatomy import (
    BOWL_MEAN_PX,
    DUKE_AXIAL_UM,
    DUKE_WIDTH_UM,
    NUM_INNER_LAYERS,
    Grid,
    SyntheticEye,
    fitted_curve_um,
    largest_thickness_um,
    mean_thickness_um,
    moved_within_bounds,
)
from retseg.data.sources.phantom_lesions import Blob, Lesions, draw_lesions, fluid_extents_um, swollen_thickness_um

THINNEST_UM = np.array([2.0, 6.0, 8.0, 8.0, 12.0, 14.0, 14.0])[:, None]
"""What is left of each layer at the least: a nerve fibre layer far from the disc is hardly there, others are."""

FLUID_SHARE, SWELLING_SHARE, FOVEA_SHARE, DRUSEN_SHARE, DETACHMENT_SHARE = 0.5, 0.45, 0.75, 0.12, 0.06
ATROPHY_SHARE, MYOPIA_SHARE, WRINKLES_SHARE = 0.2, 0.1, 0.2
CYST_LAYER_SHARES = (0.0, 0.05, 0.33, 0.04, 0.58, 0.0, 0.0)
"""More cysts in the INL than Duke scans have by area: the largest ones, in the middle of swollen foveas, are its."""
ROUGHNESS_PX = np.array([0.15, 0.35, 0.35, 0.5, 0.5, 0.15, 0.12, 0.12])[:, None]
"""Sd of each surface about its smooth course, in Duke pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class RandomRetina:
    """surfaces_um (8, W) below the top of the image; edges (C, W) of C cysts, in um; what else is to be painted.

    detachment_um: (W,) height of the fluid below the ISE, at the top of OS-RPE; 0 without. drusen_um (W,) likewise, at
    its bottom.
    """

    surfaces_um: Array
    fluid_um: tuple[Array, Array]
    lesions: Lesions
    detachment_um: Array
    drusen_um: Array


def curves(rng: np.random.Generator, num: int, grid: Grid, length_um: float) -> Array:
    """Smooth random curves (num, W) of unit sd that change over about length_um."""
    knots = max(4, round(grid.width * grid.lateral_um / length_um) + 3)
    places = np.linspace(0, knots - 3.001, grid.width)
    first = places.astype(int)
    share = places - first
    # Cubic B-splines (four weights a place) over independent normal knots.
    weights = np.stack(
        [(1 - share) ** 3, 3 * share**3 - 6 * share**2 + 4, -3 * share**3 + 3 * share**2 + 3 * share + 1, share**3]
    )
    weights /= np.sqrt((weights**2).sum(axis=0))
    values = rng.standard_normal((num, knots + 1))
    return np.asarray(sum(weights[k] * values[:, first + k] for k in range(4)))


def bump(grid: Grid, x_um: float, sd_um: float) -> Array:
    """A Gaussian hill (W,) of height 1."""
    return np.exp(-(((grid.x_um - x_um) / sd_um) ** 2) / 2)


def draw_retina(rng: np.random.Generator, grid: Grid) -> RandomRetina:
    """A retina of any kind that fits the image."""
    half_um = grid.x_um[-1]
    fovea_um = float(rng.normal(0, 0.35 * half_um))
    thickness_um = _thickness_um(rng, grid, fovea_um)
    if rng.random() < SWELLING_SHARE:
        thickness_um += _swelling_um(rng, grid)
    if rng.random() < ATROPHY_SHARE:
        thickness_um *= _atrophy(rng, grid)
    thickness_um = np.maximum(thickness_um, THINNEST_UM)
    room_um = 0.93 * largest_thickness_um(grid)
    thickness_um *= np.minimum(1, room_um / thickness_um.sum(axis=0))
    has_fluid = rng.random() < FLUID_SHARE
    lesions = draw_lesions(rng, grid, thickness_um, fovea_um, has_fluid, CYST_LAYER_SHARES)
    lesions = Lesions(lesions.cysts, (*lesions.foci, *_exudates(rng, grid)), lesions.vessels)
    thickness_um = swollen_thickness_um(rng, grid, thickness_um, lesions.cysts)
    detachment_um, drusen_um = _under_the_retina_um(rng, grid)
    thickness_um[6] += detachment_um + drusen_um
    surfaces_um = _surfaces_um(rng, grid, thickness_um)
    return RandomRetina(
        surfaces_um, fluid_extents_um(rng, grid, surfaces_um, lesions.cysts), lesions, detachment_um, drusen_um
    )


def _thickness_um(rng: np.random.Generator, grid: Grid, fovea_um: float) -> Array:
    """Thickness (7, W) of layers without disease: any place of the macula, any proportions."""
    has_fovea = rng.random() < FOVEA_SHARE
    y_um = float(rng.normal(0, 700) if has_fovea else rng.choice([-1, 1]) * rng.uniform(1500, 4500))
    waves = np.zeros((8, 1, 2))
    eye = SyntheticEye("OD" if rng.random() < 0.5 else "OS", fovea_um, 0.0, np.ones(7), waves, waves[..., 0])
    with_pit = mean_thickness_um(eye, grid.x_um, y_um)
    depth = rng.uniform(0.2, 1.15)  # of the pit
    if depth < 1 and has_fovea:
        beside = mean_thickness_um(eye, grid.x_um, 1200.0)
        with_pit = depth * with_pit + (1 - depth) * beside
    own_scale = np.exp(np.array([0.3, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1]) * rng.standard_normal(7))[:, None]
    wave_sd = rng.uniform(0.04, 0.22) * np.array([1.4, 1, 1, 1, 1, 0.6, 0.4])[:, None]
    waves_of_layers = np.exp(wave_sd * curves(rng, 7, grid, rng.uniform(500, 2500)))
    return np.asarray(with_pit * own_scale * waves_of_layers * np.exp(0.1 * rng.standard_normal()))


def _swelling_um(rng: np.random.Generator, grid: Grid) -> Array:
    """Thickness (7, W) that oedema without sharp borders adds, most of all to the ONL."""
    added = np.zeros((7, grid.width))
    for _ in range(rng.integers(1, 4)):
        hill = bump(grid, rng.uniform(grid.x_um[0], grid.x_um[-1]), rng.uniform(350, 1800))
        shares = np.array([0.0, 0.1, 0.15, 0.05, 0.7, 0, 0]) * rng.uniform(0, 2, 7)
        added += rng.uniform(20, 220) * shares[:, None] * hill
    return added


def _atrophy(rng: np.random.Generator, grid: Grid) -> Array:
    """Factors (7, W) that thin or thicken some layers, everywhere or over a stretch."""
    factors = np.ones((7, grid.width))
    for layer in rng.choice(7, size=rng.integers(1, 4), replace=False):
        where = (
            np.ones(grid.width)
            if rng.random() < 0.5
            else bump(grid, rng.uniform(grid.x_um[0], grid.x_um[-1]), rng.uniform(300, 1500))
        )
        factors[layer] = 1 + (rng.uniform(0.3, 1.7) - 1) * where
    return factors


def _under_the_retina_um(rng: np.random.Generator, grid: Grid) -> tuple[Array, Array]:
    """Heights (W,) of fluid below the ISE and of drusen."""
    detachment, drusen = np.zeros(grid.width), np.zeros(grid.width)
    if rng.random() < DETACHMENT_SHARE:
        place = (grid.x_um - rng.uniform(grid.x_um[0], grid.x_um[-1])) / rng.uniform(300, 1500)
        detachment = rng.uniform(20, 120) * np.clip(1 - place**2, 0, None)
    if rng.random() < DRUSEN_SHARE:
        for _ in range(rng.integers(1, 10)):
            place = rng.uniform(grid.x_um[0], grid.x_um[-1])
            drusen += rng.uniform(5, 60) * bump(grid, place, rng.uniform(30, 250))
    return detachment, np.minimum(drusen, 120)


def _exudates(rng: np.random.Generator, grid: Grid) -> list[Blob]:
    """Clusters of bright foci, in few scans many."""
    foci: list[Blob] = []
    for _ in range(rng.poisson(0.8)):
        middle_um, spread_um = rng.uniform(grid.x_um[0], grid.x_um[-1]), rng.uniform(50, 400)
        layer = int(rng.choice([1, 2, 3, 4], p=[0.1, 0.3, 0.3, 0.3]))
        for _ in range(rng.integers(2, 12)):
            foci.append(
                Blob(
                    layer=layer,
                    x_um=float(np.clip(rng.normal(middle_um, spread_um), grid.x_um[0], grid.x_um[-1])),
                    depth_share=float(rng.uniform(0, 1)),
                    axial_sd_um=float(rng.uniform(3, 14)),
                    lateral_sd_um=float(rng.uniform(6, 30)),
                    strength=float(rng.uniform(50, 190)),
                )
            )
    return foci


def _surfaces_um(rng: np.random.Generator, grid: Grid, thickness_um: Array) -> Array:
    """Depth (8, W) of the surfaces: rough, wrinkled here and there, tilted, bowed, anywhere in the image."""
    surfaces_um = np.concatenate([np.zeros((1, grid.width)), thickness_um.cumsum(axis=0)])
    moves_px = rng.uniform(0.5, 2.5) * ROUGHNESS_PX * curves(rng, 8, grid, rng.uniform(30, 90))
    if rng.random() < WRINKLES_SHARE:
        wrinkled = bump(grid, rng.uniform(grid.x_um[0], grid.x_um[-1]), rng.uniform(300, 2500))
        moves_px[:NUM_INNER_LAYERS] += (
            rng.uniform(0.5, 4)
            * wrinkled
            * curves(rng, 1, grid, rng.uniform(80, 300))
            * np.array([[1, 0.8, 0.5, 0.3, 0.2]]).T
        )
    surfaces_um = moved_within_bounds(surfaces_um, DUKE_AXIAL_UM * moves_px)
    place = grid.x_um / DUKE_WIDTH_UM
    tilt_px = rng.normal(0, 40)
    bowl_px = rng.uniform(50, 140) if rng.random() < MYOPIA_SHARE else rng.normal(BOWL_MEAN_PX, 16)
    curve_um = (tilt_px * place - bowl_px * (2 * place) ** 2) * DUKE_AXIAL_UM
    curve_um += rng.uniform(0, 8) * DUKE_AXIAL_UM * curves(rng, 1, grid, 2500)[0]
    lower_um = fitted_curve_um(grid, curve_um, surfaces_um, rng.uniform(0.02, 0.98))
    return np.asarray(surfaces_um - surfaces_um[-1] + lower_um)
