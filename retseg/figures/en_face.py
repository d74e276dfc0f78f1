"""A volume seen from the front: the thickness of every layer on one sheet, and the brightness of the retina.

B B-scans, W columns (A-scans), X by Y places of a picture. Sides as in `figures.thickness`: nobody's word is guessed.
"""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from retseg.anatomy import LAYERS
from retseg.bscan import Array
from retseg.figures.captions import describe
from retseg.figures.palette import CROSS, NOT_SEEN, REFERENCE, thickness_colours
from retseg.figures.thickness import SMALLEST_HEIGHT_IN, UNITS, beyond, name_sides, only_slab, sentences, what_it_is
from retseg.geometry.fovea import Fovea
from retseg.geometry.volume_map import ScanGrid, ThicknessMap, interpolate, sample_map

_PITCH_UM = 25.0
_CELL_IN = 3.0
_MAP_SHARE = 0.75
"""Width of a map over that of its cell of the sheet; the rest is its colour bar."""


def layer_maps(volume: ThicknessMap, fovea: Fovea | None, name: str) -> Figure:
    """Maps (B, W) of every layer that was measured and of the total, each with colours of its own (2nd to 98th %).

    Of a map without layers, all its slabs.
    """
    grid = volume.placed()
    names = [slab.name for slab in volume.slabs]
    usual = [layer.name for layer in LAYERS] + ["total retina"]
    shown = [slab for slab in names if slab in usual] or names
    num_columns = min(4, len(shown))
    num_rows = -(-len(shown) // num_columns)
    left, right, first, last = grid.extent_um
    height_in = num_rows * (_MAP_SHARE * _CELL_IN * min((last - first) / (right - left), 1.8) + 0.4) + 0.3
    figure = Figure(figsize=(_CELL_IN * max(num_columns, 2), height_in), layout="constrained")
    axes = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    for axis, slab in zip(axes, shown, strict=False):
        _draw_slab(axis, only_slab(volume, slab), fovea)
    for axis in axes[len(shown) :]:
        axis.set_axis_off()
    sides = f"Axes: mm from the {_origin(fovea)}; {side_words(grid)}"
    colours = f"Each map has its own colours, from the 2nd to the 98th percentile of its values in {UNITS[volume.unit]}"
    said = sentences([sides, colours, *what_it_is(volume, fovea)[:-1], "Gray: not known"])
    return describe(figure, f"Thickness of layers of {name} ({UNITS[volume.unit]})", said)


def side_words(grid: ScanGrid) -> str:
    """Which sides a map of a grid has, in words."""
    left, right = {
        "OD": ("temporal", "nasal"),
        "OS": ("nasal", "temporal"),
        None: ("first columns", "last columns"),
    }[grid.eye]
    top = "superior on top" if grid.first_bscan is not None else "first B-scan on top"
    return f"left {left}, right {right}, {top}"


def retina_en_face(brightness: Array, grid: ScanGrid, fovea: Fovea | None, name: str) -> Figure:
    """Gray levels (B, W) of the retina seen from the front, with a tick for each B-scan at the right edge."""
    left, right, first, last = grid.extent_um
    height_in = max(0.82 * 7.0 * (last - first) / (right - left) + 0.6, SMALLEST_HEIGHT_IN)
    figure = Figure(figsize=(7.0, height_in), layout="constrained")
    axis = figure.subplots()
    x_um, y_um = _places(left, right), _places(first, last)
    along = interpolate(brightness, grid.x_um, x_um, 1.5 * grid.lateral_um, grid.lateral_um / 2)
    values = interpolate(along.T, grid.y_um, y_um, grid.max_gap_um, grid.bscan_reach_um).T
    colours = matplotlib.colormaps["gray"].with_extremes(bad=NOT_SEEN)
    centre = (0.0, 0.0) if fovea is None else fovea.place_um
    low, high = _limits(values, 1)
    _show(axis, values, grid, centre, cmap=colours, limits=(low, high))
    ticks = axis.secondary_yaxis("right")
    ticks.set_yticks([grid.superior_sign * (y - centre[1]) / 1e3 for y in grid.y_um], [])
    ticks.tick_params(color=REFERENCE, length=7)
    ticks.set_ylabel("B-scans", fontsize=9)
    if fovea is not None:
        axis.plot(0, 0, **CROSS)
    name_sides(axis, grid, _origin(fovea))
    words = (
        f"Mean gray level between ILM and BM; black: {low:.0f} or less (1st percentile), white: {high:.0f} or more "
        "(99th). Between B-scans (ticks on the right) it is interpolated; gaps are bluish"
    )
    cross = [] if fovea is None else [f"Cross: fovea, {fovea.source}"]
    said = sentences([words, f"Scale of {grid.provenance}", *cross])
    return describe(figure, f"Brightness of the retina of {name}", said)


def _origin(fovea: Fovea | None) -> str:
    """What lies at 0."""
    return "middle of the field" if fovea is None else "fovea"


def _places(low_um: float, high_um: float) -> Array:
    """Middles of the pixels of a picture."""
    return np.arange(low_um + _PITCH_UM / 2, high_um, _PITCH_UM)


def _limits(values: Array, percent: float) -> tuple[float, float]:
    """Ends of the colours of values (Y, X), so many percent of which lie beyond each."""
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, (percent, 100 - percent)) if known.size else (0.0, 1.0)
    return float(low), float(high)


def _draw_slab(axis: Axes, chosen: ThicknessMap, fovea: Fovea | None) -> None:
    """Map of one slab with its bar and name."""
    grid = chosen.placed()
    left, right, first, last = grid.extent_um
    values = sample_map(chosen, _places(left, right), _places(first, last))[0]
    limits = _limits(values, 2)
    centre = (0.0, 0.0) if fovea is None else fovea.place_um
    shown = _show(axis, values, grid, centre, cmap=thickness_colours(), limits=limits)
    extend = beyond(values[np.isfinite(values)], limits)
    bar = axis.figure.colorbar(shown, cax=axis.inset_axes((1.03, 0, 0.045, 1)), extend=extend, extendfrac=0.04)
    bar.ax.tick_params(labelsize=7)
    if fovea is not None:
        axis.plot(0, 0, **CROSS)
    bar.ax.set_title(UNITS[chosen.unit], fontsize=7, pad=3)
    axis.set_title(chosen.slabs[0].name, fontsize=9, loc="left", pad=3)
    axis.set_xlabel("mm", fontsize=7, labelpad=1)
    axis.set_ylabel("mm", fontsize=7, labelpad=1)
    axis.tick_params(labelsize=7)
    axis.label_outer()


def _show(
    axis: Axes, values: Array, grid: ScanGrid, centre: tuple[float, float], cmap: Any, limits: tuple[float, float]
) -> AxesImage:
    """A picture (Y, X) in mm from a centre, upwards as the eye is."""
    left, right, first, last = grid.extent_um
    across = [(edge - centre[0]) / 1e3 for edge in (left, right)]
    upwards = [grid.superior_sign * (edge - centre[1]) / 1e3 for edge in (first, last)]
    image = axis.imshow(
        values, cmap=cmap, vmin=limits[0], vmax=limits[1],
        extent=(across[0], across[1], upwards[0], upwards[1]), origin="lower", interpolation="nearest",
    )  # fmt: skip
    axis.set(xlim=across, ylim=sorted(upwards), aspect="equal")
    return image
