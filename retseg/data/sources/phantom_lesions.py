"""What disease adds to the made-up eye: cysts that push layers apart, bright foci, and vessels that throw shadows.

Figures are those of the 110 annotated Duke DME scans; px are their pixels (3.87 um axial, 11.33 um lateral).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from retseg.data.sources.phantom_anatomy import (
    DUKE_AXIAL_UM,
    DUKE_LATERAL_UM,
    NUM_INNER_LAYERS,
    Grid,
    largest_thickness_um,
    smooth_noise,
)

Array = npt.NDArray[Any]

SHARE_OF_SCANS_WITH_FLUID = 78 / 110
MEAN_NUM_CYSTS, MEAN_NUM_FOCI, MEAN_NUM_VESSELS = 6.0, 6.0, 2.6
CYST_AREA_MEDIAN_PX, CYST_AREA_LOG_SD = 360.0, 1.22
CYST_ASPECT, CYST_ASPECT_LOG_SD = 1.12, 0.35
CYST_LAYER_SHARES = (0.0, 0.03, 0.18, 0.04, 0.75, 0.0, 0.0)
LARGEST_CYST_PX = 85.0
DOME_LENGTH_UM, DOME_CREST_UM = 600.0, 150.0
DOME_SLOPE = 0.07
"""How steeply the ILM rises beside a cyst, um per um: 0.2 px a column."""
LARGEST_TISSUE_LOSS = 0.5
LOSS_WEIGHTS = np.array([0.8, 0.8, 1.0, 1.0, 1.4])[:, None]
"""Which inner layers give way to a cyst: most of all the ONL, where the large ones lie. The ratio of any two, times
`LARGEST_TISSUE_LOSS`, is below 1, so that no layer vanishes."""
OEDEMA_SHARE = 0.12
SWELLING_SHARES = (0.0, 0.15, 0.15, 0.0, 0.7, 0.0, 0.0)
PUSH_REACH = 1.6
"""A cyst lifts the layers over this many times its width: more than it fills, so tissue stays on both sides of it."""


@dataclass(frozen=True, slots=True)
class Cyst:
    """Fluid within layer `layer` (0..6): an ellipse at x, at a share of the way down the tissue of its layer."""

    layer: int
    x_um: float
    width_um: float
    height_um: float
    depth_share: float

    def thickness_um(self, x_um: Array) -> Array:
        """Fluid thickness (W,)."""
        place = (x_um - self.x_um) / (self.width_um / 2)
        return self.height_um * np.sqrt(np.clip(1 - place**2, 0, None))

    def push_um(self, x_um: Array) -> Array:
        """What the cyst adds to the thickness of its layer (W,): nowhere less than the fluid."""
        place = (x_um - self.x_um) / (self.width_um / 2 * PUSH_REACH)
        return 1.07 * self.height_um * np.clip(1 - place**2, 0, None) ** 2


@dataclass(frozen=True, slots=True)
class Blob:
    """A bright focus or a vessel at a share of the way down layer `layer` (0..6); sizes are sd in microns."""

    layer: int
    x_um: float
    depth_share: float
    axial_sd_um: float
    lateral_sd_um: float
    strength: float


@dataclass(frozen=True, slots=True)
class Lesions:
    """All that disease and vessels add to one B-scan."""

    cysts: tuple[Cyst, ...]
    foci: tuple[Blob, ...]
    vessels: tuple[Blob, ...]


def has_fluid(seed: int, subject: int, bscan: int) -> bool:
    """Whether a scan has fluid: a fixed share of each subject's scans, spread over them."""
    start = np.random.default_rng([seed, subject, 1]).random()
    return bool((start + bscan * (np.sqrt(5) - 1) / 2) % 1.0 < SHARE_OF_SCANS_WITH_FLUID)


def draw_lesions(
    rng: np.random.Generator,
    grid: Grid,
    thickness_um: Array,
    fovea_x_um: float,
    fluid: bool,
    layer_shares: tuple[float, ...] = CYST_LAYER_SHARES,
) -> Lesions:
    """Lesions of one B-scan over layers of thickness (7, W). Cysts that the image has no room for are left out.

    layer_shares: how often a cyst lies in each layer.
    """
    centre_um = np.clip(rng.normal(fovea_x_um, 700), grid.x_um[0], grid.x_um[-1])
    cysts: list[Cyst] = []
    total_um = thickness_um.sum(axis=0)
    for _ in range(1 + rng.poisson(MEAN_NUM_CYSTS - 1) if fluid else 0):
        cyst = _draw_cyst(rng, grid, centre_um, cysts, layer_shares)
        lifted_um = total_um + cyst.push_um(grid.x_um)
        if lifted_um.max() < largest_thickness_um(grid):
            cysts.append(cyst)
            total_um = lifted_um
    exudate_um = rng.normal(centre_um, 600)
    foci = [_draw_focus(rng, grid, exudate_um) for _ in range(rng.poisson(MEAN_NUM_FOCI))]
    vessels = [_draw_vessel(rng, grid) for _ in range(rng.poisson(MEAN_NUM_VESSELS))]
    return Lesions(tuple(cysts), tuple(foci), tuple(vessels))


def _draw_cyst(
    rng: np.random.Generator, grid: Grid, centre_um: float, others: list[Cyst], layer_shares: tuple[float, ...]
) -> Cyst:
    """A cyst near the centre of the oedema, where it overlaps the others of its layer least of eight tries."""
    area_px = CYST_AREA_MEDIAN_PX * np.exp(CYST_AREA_LOG_SD * rng.standard_normal())
    aspect = CYST_ASPECT * np.exp(CYST_ASPECT_LOG_SD * rng.standard_normal())
    layer = int(rng.choice(7, p=layer_shares))
    if layer < 4:
        area_px *= 0.75  # inner cysts are the smaller ones
    height_px = min(np.sqrt(area_px * aspect * 4 / np.pi), LARGEST_CYST_PX)
    width_um = area_px * 4 / np.pi / height_px * DUKE_LATERAL_UM
    width_um = min(width_um, LARGEST_CYST_PX * DUKE_LATERAL_UM)
    half = grid.x_um[-1]
    tries = np.clip(rng.normal(centre_um, 850, 8), -0.9 * half, 0.9 * half)
    overlap = [sum(max(0.0, (width_um + o.width_um) / 2 - abs(x - o.x_um)) for o in others) for x in tries]
    return Cyst(
        layer=layer,
        x_um=float(tries[int(np.argmin(overlap))]),
        width_um=float(width_um),
        height_um=float(height_px * DUKE_AXIAL_UM),
        depth_share=float(rng.uniform(0.15, 0.7)),
    )


def _draw_focus(rng: np.random.Generator, grid: Grid, exudate_um: float) -> Blob:
    """A bright focus: a speck of 2 to 6 px, mostly between GCL-IPL and ONL; half of them lie together."""
    half = grid.x_um[-1]
    x_um = rng.normal(exudate_um, 130) if rng.random() < 0.5 else rng.uniform(-half, half)
    return Blob(
        layer=int(rng.choice([1, 2, 3, 4], p=[0.15, 0.25, 0.25, 0.35])),
        x_um=float(np.clip(x_um, -half, half)),
        depth_share=float(rng.uniform(0.05, 0.6)),
        axial_sd_um=float(rng.uniform(0.9, 2.2) * DUKE_AXIAL_UM),
        lateral_sd_um=float(rng.uniform(0.7, 1.6) * DUKE_LATERAL_UM),
        strength=float(rng.uniform(60, 170)),
    )


def _draw_vessel(rng: np.random.Generator, grid: Grid) -> Blob:
    """A vessel of the inner retina; its shadow is 5 px wide in the median, 12 px at the 95th percentile."""
    half = grid.x_um[-1]
    width_px = 5 * np.exp(0.53 * rng.standard_normal())
    return Blob(
        layer=int(rng.integers(0, 2)),
        x_um=float(rng.uniform(-half, half)),
        depth_share=float(rng.uniform(0.3, 0.7)),
        axial_sd_um=float(np.clip(width_px * 0.5, 1.5, 4) * DUKE_AXIAL_UM),
        lateral_sd_um=float(width_px / 2.355 * DUKE_LATERAL_UM),
        strength=float(np.clip(rng.normal(0.62, 0.06), 0.45, 0.8)),
    )


def swollen_thickness_um(rng: np.random.Generator, grid: Grid, thickness_um: Array, cysts: tuple[Cyst, ...]) -> Array:
    """Thickness (7, W) after cysts have pushed their layers apart. Tissue gives way but never vanishes.

    The ILM rises in a dome wider than the cyst: right over it the inner layers are thinned, beside it they swell.
    """
    if not cysts:
        return thickness_um
    push_um = np.zeros_like(thickness_um)
    for cyst in cysts:
        push_um[cyst.layer] += cyst.push_um(grid.x_um)
    inner_um = thickness_um[:NUM_INNER_LAYERS]
    largest_loss_um = LARGEST_TISSUE_LOSS * inner_um.sum(axis=0)
    dome_um = _dome_um(grid, push_um.sum(axis=0), largest_loss_um)
    missing_um = push_um.sum(axis=0) - dome_um
    loss_um = largest_loss_um * np.tanh(np.clip(missing_um, 0, None) / largest_loss_um)
    swelling_um = np.clip(-missing_um, 0, None) + OEDEMA_SHARE * rng.uniform(0, 2) * dome_um
    tissue_um = np.array(thickness_um)
    tissue_um[:NUM_INNER_LAYERS] *= 1 - LOSS_WEIGHTS * loss_um / (LOSS_WEIGHTS * inner_um).sum(axis=0)
    tissue_um += np.array(SWELLING_SHARES)[:, None] * swelling_um
    room_um = largest_thickness_um(grid) - push_um.sum(axis=0)
    tissue_um *= np.minimum(1.0, room_um / tissue_um.sum(axis=0))
    return np.asarray(tissue_um + push_um)


def _dome_um(grid: Grid, push_um: Array, largest_loss_um: Array) -> Array:
    """How far the ILM rises (W,): gentle flanks, and high where the tissue cannot make room for the cyst."""
    smooth_um = gaussian_filter1d(push_um, DOME_LENGTH_UM / grid.lateral_um, mode="nearest")
    least_um = np.maximum(smooth_um, push_um - 0.8 * largest_loss_um)
    # The lowest curve over it that is nowhere steeper than DOME_SLOPE: the highest of the slopes down from each column.
    down_um = DOME_SLOPE * (grid.x_um - grid.x_um[0])
    to_the_right_um = np.maximum.accumulate(least_um + down_um) - down_um
    to_the_left_um = np.maximum.accumulate((least_um - down_um)[::-1])[::-1] + down_um
    tent_um = np.maximum(to_the_right_um, to_the_left_um)
    return np.asarray(gaussian_filter1d(tent_um, DOME_CREST_UM / grid.lateral_um, mode="nearest"))


def fluid_extents_um(
    rng: np.random.Generator, grid: Grid, surfaces_um: Array, cysts: tuple[Cyst, ...]
) -> tuple[Array, Array]:
    """Upper and lower edge (C, W) in um of each cyst; equal where a cyst has no fluid. Cysts do not overlap.

    Where cysts of one layer share a column they stack in the order of their depth.
    """
    x_um = grid.x_um
    upper, lower = np.zeros((len(cysts), grid.width)), np.zeros((len(cysts), grid.width))
    for layer in sorted({cyst.layer for cyst in cysts}):
        members = sorted((i for i, c in enumerate(cysts) if c.layer == layer), key=lambda i: cysts[i].depth_share)
        room_um = surfaces_um[layer + 1] - surfaces_um[layer]
        fluid_um = np.stack([cysts[i].thickness_um(x_um) for i in members])
        wobble = 1 + 0.08 * smooth_noise(rng, fluid_um.shape, 60.0 / grid.lateral_um)
        fluid_um = fluid_um * np.clip(wobble, 0.5, 1.5)
        fluid_um *= np.minimum(1.0, 0.92 * room_um / np.maximum(fluid_um.sum(axis=0), 1e-9))
        tissue_um = room_um - fluid_um.sum(axis=0)
        above_um = fluid_um.cumsum(axis=0) - fluid_um
        for row, i in enumerate(members):
            upper[i] = surfaces_um[layer] + cysts[i].depth_share * tissue_um + above_um[row]
            lower[i] = upper[i] + fluid_um[row]
    return upper, lower
