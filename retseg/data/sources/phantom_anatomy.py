"""The made-up eye: layer thickness of a subject as smooth functions of the place, and the surfaces of one B-scan.

Lengths are microns until the last step; x runs along the B-scan, y from B-scan to B-scan, both from the middle.
Figures "px" are pixels of the Duke DME scans (3.87 um axial, 11.33 um lateral), measured on its 110 annotated scans.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from retseg.bscan import Eye

Array = npt.NDArray[Any]

DUKE_AXIAL_UM = 3.87
DUKE_LATERAL_UM = 11.33
DUKE_WIDTH_UM = 500 * DUKE_LATERAL_UM

FOVEA_THICKNESS_UM = (193.0, 392.0)
"""Range of the retina's thickness at the foveal centre, by subject."""

TILT_SD_PX, BOWL_MEAN_PX, BOWL_SD_PX = 25.0, 23.0, 14.0
SURFACE_STEP_SD_PX = (0.09, 0.20, 0.20, 0.34, 0.34, 0.09, 0.08, 0.08)
"""What roughness adds to the column-to-column step of each surface; the slope of the retina adds the rest."""
ROUGHNESS_LENGTH_UM = 28.0

# Relative sd of the slow irregularities of each layer, and between subjects.
IRREGULARITY_SD = np.array([0.22, 0.14, 0.14, 0.14, 0.12, 0.10, 0.05])
SUBJECT_SD = np.array([0.14, 0.10, 0.10, 0.10, 0.10, 0.05, 0.03])
WHOLE_IRREGULARITY_SD = 0.07
NUM_INNER_LAYERS = 5
NUM_WAVES = 10
TOP_MARGIN, BOTTOM_MARGIN = 0.03, 0.12


@dataclass(frozen=True, slots=True)
class Grid:
    """The pixels of a B-scan: H rows, W columns, and their size in microns."""

    height: int
    width: int
    axial_um: float
    lateral_um: float

    @property
    def x_um(self) -> Array:
        """Places of the columns (W,), 0 in the middle."""
        return (np.arange(self.width) - (self.width - 1) / 2) * self.lateral_um

    @property
    def depth_um(self) -> float:
        """Depth of the field of view."""
        return self.height * self.axial_um


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticEye:
    """What the B-scans of one subject share.

    layer_scale: (7,) thickness of this subject's layers relative to the mean.
    wave_vectors: (8, K, 2) per um, and wave_phases (8, K): irregularities over x and y of each layer, and last, slower
    ones, of the inner retina as a whole.
    """

    eye: Eye
    fovea_x_um: float
    fovea_thickness_um: float
    layer_scale: Array
    wave_vectors: Array
    wave_phases: Array


def draw_eye(seed: int, subject: int) -> SyntheticEye:
    """The eye of a subject (0-based). Foveal thicknesses of subjects in a row spread evenly over their range."""
    shared = np.random.default_rng([seed])
    start, first_eye = shared.random(), int(shared.integers(2))
    share = (start + subject * (np.sqrt(5) - 1) / 2) % 1.0
    low, high = FOVEA_THICKNESS_UM
    rng = np.random.default_rng([seed, subject])
    length_um = rng.uniform(600, 2500, (8, NUM_WAVES))
    length_um[7] *= 2.5
    angle = rng.uniform(0, 2 * np.pi, (8, NUM_WAVES))
    directions = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return SyntheticEye(
        eye="OD" if (subject + first_eye) % 2 == 0 else "OS",
        fovea_x_um=float(rng.normal(0, 200)),
        fovea_thickness_um=float(low + (high - low) * share**1.3),
        layer_scale=np.exp(SUBJECT_SD * rng.standard_normal(7)),
        wave_vectors=directions * (2 * np.pi / length_um)[..., None],
        wave_phases=rng.uniform(0, 2 * np.pi, (8, NUM_WAVES)),
    )


def mean_thickness_um(eye: SyntheticEye, x_um: Array, y_um: float) -> Array:
    """Thickness (7, W) of the mean retina: a foveal pit, and a nerve fibre layer that grows towards the disc."""
    x = x_um - eye.fovea_x_um
    nasal_um = x if eye.eye == "OD" else -x

    def around_fovea(radius_um: float) -> Array:
        return np.exp(-(x**2 + y_um**2) / (2 * radius_um**2))

    layers_px = [
        (9.6 + 1.0 * np.abs(y_um) / 2000 + 4.5 * np.tanh(nasal_um / 1500)) * (1 - 0.6 * around_fovea(450)),
        (14.8 + 12.0 * around_fovea(1300)) * (1 - 0.85 * around_fovea(380)),
        8.0 * (1 - 0.55 * around_fovea(350)),
        7.9 * (1 - 0.4 * around_fovea(300)),
        18.0 + 7.0 * around_fovea(700),
        8.2 + 0.6 * around_fovea(500),
        6.6 + 0.7 * around_fovea(500),
    ]
    return np.stack(layers_px) * DUKE_AXIAL_UM


def healthy_thickness_um(eye: SyntheticEye, x_um: Array, y_um: float) -> Array:
    """Thickness (7, W) of this subject's layers without fluid; the sum is `fovea_thickness_um` at the foveal centre."""

    def subject_thickness_um(places_um: Array, slice_um: float) -> Array:
        phases = eye.wave_vectors @ np.stack([places_um, np.full_like(places_um, slice_um)])
        waves = np.sin(phases + eye.wave_phases[..., None]).sum(axis=1) * np.sqrt(2 / NUM_WAVES)
        regular_um = eye.layer_scale[:, None] * mean_thickness_um(eye, places_um, slice_um)
        irregular_um = np.exp(IRREGULARITY_SD[:, None] * waves[:7]) * regular_um
        # Inner layers vary at each other's cost, so that the ILM stays smooth.
        inner = slice(NUM_INNER_LAYERS)
        total_um = regular_um[inner].sum(axis=0) * np.exp(WHOLE_IRREGULARITY_SD * waves[7])
        irregular_um[inner] *= total_um / irregular_um[inner].sum(axis=0)
        return np.asarray(irregular_um)

    at_fovea_um = subject_thickness_um(np.array([eye.fovea_x_um]), 0.0)[:, 0]
    outer_um = at_fovea_um[NUM_INNER_LAYERS:].sum()
    ratio = (eye.fovea_thickness_um - outer_um) / at_fovea_um[:NUM_INNER_LAYERS].sum()
    r2 = (x_um - eye.fovea_x_um) ** 2 + y_um**2
    thickness_um = subject_thickness_um(x_um, y_um)
    thickness_um[:NUM_INNER_LAYERS] *= ratio ** np.exp(-r2 / (2 * 750.0**2))
    return np.asarray(thickness_um)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], length_columns: float) -> Array:
    """Gaussian noise of unit sd, smoothed along the last axis (columns)."""
    noise = rng.standard_normal(shape)
    if length_columns < 0.3:  # coarser than the structure: each column on its own
        return noise
    # Draw beyond both ends, so that the sd is the same at the edges.
    margin = int(np.ceil(4 * length_columns))
    wide = np.concatenate([noise, rng.standard_normal((*shape[:-1], 2 * margin))], axis=-1)
    smooth = gaussian_filter1d(wide, length_columns, axis=-1, mode="wrap")[..., margin : margin + shape[-1]]
    impulse = np.zeros(2 * margin + 1)
    impulse[margin] = 1
    kernel = gaussian_filter1d(impulse, length_columns, mode="constant")
    return np.asarray(smooth / np.sqrt((kernel**2).sum()))


def moved_within_bounds(surfaces_um: Array, moves_um: Array, share: float = 0.4) -> Array:
    """Surfaces (S, W) moved by at most `share` < 0.5 of the thinner neighbouring layer, so order is kept."""
    thickness_um = np.diff(surfaces_um, axis=0)
    bound_um = share * np.minimum(
        np.concatenate([thickness_um[:1], thickness_um]), np.concatenate([thickness_um, thickness_um[-1:]])
    )
    return np.asarray(surfaces_um + bound_um * np.tanh(moves_um / bound_um))


def surfaces_from_thickness(rng: np.random.Generator, grid: Grid, thickness_um: Array) -> Array:
    """Depth of the 8 surfaces (8, W) in um within the field of view, from positive thicknesses (7, W).

    The lowest surface is a tilted bowl, flattened where the retina would leave the image; roughness is bounded.
    """
    surfaces_um = np.concatenate([np.zeros((1, grid.width)), thickness_um.cumsum(axis=0)])
    columns_per_length = ROUGHNESS_LENGTH_UM / grid.lateral_um
    step_per_sd = np.sqrt(2 * (1 - np.exp(-1 / (4 * max(columns_per_length, 0.3) ** 2))))
    sd_um = np.array(SURFACE_STEP_SD_PX)[:, None] * DUKE_AXIAL_UM / step_per_sd * min(1.0, columns_per_length / 2.47)
    moves_um = sd_um * smooth_noise(rng, (8, grid.width), columns_per_length)
    surfaces_um = moved_within_bounds(surfaces_um, moves_um)

    place = grid.x_um / DUKE_WIDTH_UM
    tilt_px, bowl_px = rng.normal(0, TILT_SD_PX), rng.normal(BOWL_MEAN_PX, BOWL_SD_PX)
    curve_um = (tilt_px * place - bowl_px * (2 * place) ** 2) * DUKE_AXIAL_UM
    slack_share = rng.uniform(0.35, 0.65)
    return np.asarray(surfaces_um - surfaces_um[-1] + fitted_curve_um(grid, curve_um, surfaces_um, slack_share))


def fitted_curve_um(grid: Grid, curve_um: Array, surfaces_um: Array, slack_share: float) -> Array:
    """Depth of the lowest surface (W,): the curve, as steep as the image has room for, and placed in it."""
    height_um = surfaces_um[-1] - surfaces_um[0]
    room_um = grid.depth_um * (1 - TOP_MARGIN - BOTTOM_MARGIN)
    for steepness in np.linspace(1, 0, 21):
        lower_um = steepness * curve_um
        top_um = (lower_um - height_um).min()
        slack_um = room_um - (lower_um.max() - top_um)
        if slack_um >= 0:
            break
    return np.asarray(lower_um - top_um + grid.depth_um * TOP_MARGIN + slack_share * max(slack_um, 0.0))


def largest_thickness_um(grid: Grid) -> float:
    """The thickest retina that an image has room for."""
    return grid.depth_um * (1 - TOP_MARGIN - BOTTOM_MARGIN) * 0.97
