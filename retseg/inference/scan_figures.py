"""What the pixels of a B-scan say about it before any network: a dozen figures of OCT physics, from block means.

A good B-scan is dark vitreous, then with a sharp step the retina in layers across the scan, then a choroid in which the
light fades. Log-compressed intensity is a gray level: its noise is additive and, by speckle, correlated over pixels.
H rows (depth), W columns; h x w blocks, about 108 x 96 of them, whatever the scan's size.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import maximum_filter, uniform_filter1d

from retseg.bscan import Array
from retseg.data.transforms import WEDGE

NUM_BLOCK_ROWS, NUM_BLOCK_COLUMNS = 108, 96
"""Blocks about: 4 x 8 pixels of a Duke scan (496 x 768), 15 x 91 um, a fourteenth of the retina's thickness."""

FOOT, SHOULDER = 0.25, 0.6
"""Where edges of the retina are taken, as shares of the way from the vitreous' level to the retina's mean."""

ENOUGH = 0.25
"""Share of the columns that must hold a whole retina for a word on which way up the scan is."""

MARGIN = 0.03
"""Share of the columns at either side that may be dark: a registration leaves up to 2 % of them (Duke)."""

STRETCH = 4
"""Columns of blocks (Duke: 32 px, 0.36 mm) whose depth is compared with the next: wider than a vessel's shadow."""

FAR_LAG = 6
"""Pixels apart at which speckle is no longer correlated (Duke: 3 axial, 3 lateral)."""


@dataclass(frozen=True, slots=True)
class ScanFigures:
    """Shares are 0..1, levels and sd gray levels 0..255, steps px.

    saturated, black: share of pixels of 255 (without white padding at the borders) and of 0.
    dark_level, contrast: mean of the dark blocks (Otsu's threshold), and how much brighter the others are on average.
    contrast_to_noise: contrast over the sd of single pixels about their surroundings in blocks that are dark all round.
    layering: energy of brightness differences along depth over that along both directions: 1 for level layers, 0.5
    without direction, 0 for a scan on its side.
    fading: median over columns of (b - a) / (b + a), a the rows from FOOT to SHOULDER at the upper edge of what is
    bright, b at its lower edge: 1 for a sharp vitreous border and a fading choroid, -1 upside down. nan where
    too few columns (ENOUGH) hold a retina that is free of the borders.
    bright_share: share of bright blocks. top_share, bottom_share: share of columns as bright as the retina right at
    the upper, lower border. dark_columns: share of columns without anything as bright as FOOT.
    axial_grain, lateral_grain: mean squared difference of pixels 1 apart in bright blocks over that of pixels FAR_LAG
    apart: 1 for white noise, near 0 when blurred.
    step_px: largest jump of the whole retina between neighbouring columns.
    room_px: rows from the retina's upper edge to the lower border that nine in ten columns have; nan without retina.
    """

    saturated: float
    black: float
    dark_level: float
    contrast: float
    contrast_to_noise: float
    layering: float
    fading: float
    bright_share: float
    top_share: float
    bottom_share: float
    dark_columns: float
    axial_grain: float
    lateral_grain: float
    step_px: float
    room_px: float


def measure_scan(pixels: Array) -> ScanFigures | None:
    """Figures of an image (H, W) uint8; None where it holds a single gray level, padding aside."""
    rows, columns = max(1, pixels.shape[0] // NUM_BLOCK_ROWS), max(1, pixels.shape[1] // NUM_BLOCK_COLUMNS)
    means = _block_means(pixels, rows, columns)
    is_scan = ~_padding(means, pixels, rows, columns)
    inside = means[is_scan]
    if inside.size == 0 or inside.max() == inside.min():
        return None
    threshold = _otsu(inside)
    is_bright = is_scan & (means >= threshold)
    is_dark = is_scan & ~is_bright
    dark, bright = float(means[is_dark].mean()), float(means[is_bright].mean())
    filled = np.where(is_scan, means, dark)
    along = uniform_filter1d(filled, 3, axis=0)
    smooth = uniform_filter1d(along, 3, axis=1)
    samples = _block_samples(pixels, means.shape, rows, columns)
    noise = (samples - smooth)[~maximum_filter(~is_dark, 3)]
    return ScanFigures(
        saturated=float((samples[is_scan] == WEDGE).mean()),
        black=float((samples[is_scan] == 0).mean()),
        dark_level=dark,
        contrast=bright - dark,
        contrast_to_noise=(bright - dark) / max(float(np.sqrt(np.mean(noise**2))) if noise.size else 0.0, 0.5),
        layering=_layering(smooth),
        bright_share=float(is_bright.sum() / is_scan.sum()),
        axial_grain=_grain(pixels[: means.shape[0] * rows, columns // 2 :: columns], is_bright, rows),
        lateral_grain=_grain(pixels[rows // 2 :: rows, : means.shape[1] * columns].T, is_bright.T, columns),
        dark_columns=_dark_columns((along - dark) / (bright - dark)),
        step_px=rows * _largest_step((along - dark) / (bright - dark)),
        **_edges((uniform_filter1d(smooth, 3, axis=1) - dark) / (bright - dark), is_scan, rows),
    )


def _block_means(pixels: Array, rows: int, columns: int) -> Array:
    """Means (h, w) float32 of whole blocks of rows x columns pixels."""
    height, width = pixels.shape[0] // rows, pixels.shape[1] // columns
    sums = pixels[: height * rows : rows].astype(np.uint16)
    for row in range(1, rows):
        sums += pixels[row : height * rows : rows]
    # A matrix product is the fastest sum over short runs of columns.
    belongs = np.repeat(np.eye(width, dtype=np.float32), columns, axis=0) / np.float32(rows * columns)
    return np.asarray(sums[:, : width * columns].astype(np.float32) @ belongs)


def _block_samples(pixels: Array, shape: tuple[int, ...], rows: int, columns: int) -> Array:
    """One pixel (h, w) float32 of each block, from its middle."""
    return np.asarray(pixels[rows // 2 :: rows, columns // 2 :: columns][: shape[0], : shape[1]], np.float32)


def _padding(means: Array, pixels: Array, rows: int, columns: int) -> Array:
    """Blocks (h, w) of the white with which a registration fills its borders, and the blocks next to them."""
    is_white = means >= WEDGE - 1e-3
    height, width = means.shape
    for border, line in ((0, 0), (-1, height * rows - 1)):
        is_white[border] |= (pixels[line, : width * columns] == WEDGE).reshape(width, columns).any(axis=1)
    for border, line in ((0, 0), (-1, width * columns - 1)):
        is_white[:, border] |= (pixels[: height * rows, line] == WEDGE).reshape(height, rows).any(axis=1)
    ends = np.logical_and.accumulate(is_white, axis=0)
    ends |= np.logical_and.accumulate(is_white[::-1], axis=0)[::-1]
    for side in (0, -1):
        ends[:, side] |= is_white[:, side]
    return np.asarray(maximum_filter(ends, 3)) if ends.any() else ends


def _otsu(values: Array) -> float:
    """The level that parts values (n,) into two groups of the largest variance between them (Otsu 1979)."""
    counts, edges = np.histogram(values, 64)
    below = counts.cumsum()[:-1]
    centres = (edges[1:] + edges[:-1]) / 2
    sums = (counts * centres).cumsum()
    total, whole = below[-1] + counts[-1], sums[-1]
    between = (whole * below / total - sums[:-1]) ** 2 / np.maximum(below * (total - below), 1)
    return float(edges[1 + int(np.argmax(between))])


def _layering(smooth: Array) -> float:
    along_depth = float(np.mean((smooth[2:] - smooth[:-2]) ** 2))
    across = float(np.mean((smooth[:, 2:] - smooth[:, :-2]) ** 2))
    return along_depth / max(along_depth + across, 1e-9)


def _grain(lines: Array, is_bright: Array, length: int) -> float:
    """Ratio of squared differences along the first axis of lines (h * length, w), within bright blocks (h, w)."""
    values = lines[:, : is_bright.shape[1]].astype(np.float32)
    is_inside = np.repeat(is_bright, length, axis=0)[: len(values)]
    values, is_inside = values[: len(is_inside)], is_inside[: len(values)]

    def energy(lag: int) -> float:
        both = is_inside[lag:] & is_inside[:-lag]
        return float(np.sum((values[lag:] - values[:-lag]) ** 2 * both)) / max(int(both.sum()), 1)

    far = energy(FAR_LAG)
    return energy(1) / far if far > 0 else 0.0


def _edges(relative: Array, is_scan: Array, rows: int) -> dict[str, float]:
    """What the outline of the bright part tells; relative (h, w): 0 at the vitreous' level, 1 at the retina's mean."""
    height, columns = len(relative), np.arange(relative.shape[1])
    first_row = is_scan.argmax(axis=0)
    last_row = height - 1 - is_scan[::-1].argmax(axis=0)
    at_top = relative[np.minimum(first_row + 1, height - 1), columns] > SHOULDER
    at_bottom = relative[np.maximum(last_row - 1, 0), columns] > SHOULDER
    has_retina = relative.max(axis=0) > SHOULDER
    room = rows * (last_row + 1 - (relative > FOOT).argmax(axis=0))[has_retina]
    seen = relative[:, has_retina & ~at_top & ~at_bottom]
    upper = (seen > SHOULDER).argmax(axis=0) - (seen > FOOT).argmax(axis=0)
    lower = (seen[::-1] > SHOULDER).argmax(axis=0) - (seen[::-1] > FOOT).argmax(axis=0)
    is_enough = seen.shape[1] >= ENOUGH * relative.shape[1]
    return {
        "fading": float(np.median((lower - upper) / np.maximum(lower + upper, 1))) if is_enough else float("nan"),
        "top_share": float(at_top.mean()),
        "bottom_share": float(at_bottom.mean()),
        "room_px": float(np.percentile(room, 10)) if room.size else float("nan"),
    }


def _dark_columns(relative: Array) -> float:
    margin = round(MARGIN * relative.shape[1])
    return float((relative[:, margin : relative.shape[1] - margin].max(axis=0) < FOOT).mean())


def _largest_step(relative: Array) -> float:
    """Largest jump (blocks) of the retina between neighbouring stretches of columns.

    A stretch is STRETCH columns and stands for its median. Only what both the upper edge and the mean depth of light
    jump counts, and only beyond the jumps on either side: fluid moves one of them, a slope or the optic disc's wall
    goes on.
    """
    seen = relative[:, relative.max(axis=0) > SHOULDER]
    if seen.shape[1] < 4 * STRETCH:
        return 0.0
    weights = np.clip(seen - FOOT, 0, 1)
    middle = (weights * np.arange(len(seen))[:, None]).sum(axis=0) / weights.sum(axis=0)
    upper = (seen > (FOOT + SHOULDER) / 2).argmax(axis=0)
    medians = np.median(sliding_window_view(np.stack([middle, upper]), STRETCH, axis=1), axis=2)
    jumps = np.abs(medians[:, STRETCH:] - medians[:, :-STRETCH])
    beyond = jumps[:, STRETCH:-STRETCH] - np.maximum(jumps[:, : -2 * STRETCH], jumps[:, 2 * STRETCH :])
    return float(beyond.min(axis=0).max(initial=0.0))
