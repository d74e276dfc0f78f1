"""A volume seen from the front: the thickness of every layer on one sheet, and the brightness of the retina.

B B-scans, W columns (A-scans). Sides as in `figures.thickness`: nobody's word is guessed.
"""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from retseg.anatomy import LAYERS
from retseg.bscan import Array
from retseg.figures.thickness import name_sides, say_below, what_it_is
from retseg.geometry.fovea import Fovea
from retseg.geometry.thickness import Slab
from retseg.geometry.volume_map import ScanGrid, ThicknessMap, interpolate, sample_map

_PITCH_UM = 25.0
_RIM = [withStroke(linewidth=2.6, foreground="black")]
_CROSS: dict[str, Any] = {
    "marker": "+",
    "markersize": 9,
    "markeredgewidth": 1.3,
    "color": "white",
    "path_effects": _RIM,
}


def layer_maps(volume: ThicknessMap, fovea: Fovea | None, name: str) -> Figure:
    """Maps (B, W) of every layer that was measured, each with colours of its own (5th to 95th percentile)."""
    grid = volume.placed()
    chosen = [slab for slab in volume.slabs if slab.name in {layer.name for layer in LAYERS}]
    shown = chosen or list(volume.slabs)
    num_columns = min(4, len(shown))
    num_rows = -(-len(shown) // num_columns)
    left, right, first, last = grid.extent_um
    height_in = num_rows * (2.5 * min(max((last - first) / (right - left), 0.3), 1.6) + 0.75) + 0.9
    figure = Figure(figsize=(3.0 * num_columns, height_in), layout="constrained")
    axes = np.atleast_1d(figure.subplots(num_rows, num_columns, squeeze=False)).ravel()
    for axis, slab in zip(axes, shown, strict=False):
        _draw_layer(axis, _only(volume, slab), fovea)
    for axis in axes[len(shown) :]:
        axis.set_axis_off()
    figure.suptitle(f"Thickness of the layers of {name}", x=0.01, ha="left", fontsize=11)
    origin = "middle of the field" if fovea is None else "fovea"
    sides = f"Axes: mm from the {origin}, {side_words(grid)}"
    say_below(figure, [sides, *what_it_is(volume, fovea)[:-1], "Grey: not known"], 40 * num_columns)
    return figure


def side_words(grid: ScanGrid) -> str:
    """Which sides a map of a grid has, in words."""
    left, right = {"OD": ("temporal", "nasal"), "OS": ("nasal", "temporal"), None: ("first", "last columns")}[grid.eye]
    top = "superior on top" if grid.first_bscan is not None else "first B-scan on top"
    return f"left {left}, right {right}, {top}"


def retina_en_face(brightness: Array, grid: ScanGrid, fovea: Fovea | None, name: str) -> Figure:
    """Mean gray level (B, W) of the retina seen from the front, with the B-scans' places at its left edge."""
    left, right, first, last = grid.extent_um
    figure = Figure(figsize=(7.0, 0.82 * 7.0 * (last - first) / (right - left) + 1.5), layout="constrained")
    axis = figure.subplots()
    x_um, y_um = np.arange(left + _PITCH_UM / 2, right, _PITCH_UM), np.arange(first + _PITCH_UM / 2, last, _PITCH_UM)
    along = interpolate(brightness, grid.x_um, x_um, 1.5 * grid.lateral_um, grid.lateral_um / 2)
    values = interpolate(along.T, grid.y_um, y_um, grid.max_gap_um, grid.bscan_reach_um).T
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, (1, 99)) if known.size else (0.0, 1.0)
    centre = (0.0, 0.0) if fovea is None else fovea.place_um
    colours = matplotlib.colormaps["gray"].with_extremes(bad="#5c6f7f")
    _show(axis, values, grid, centre, cmap=colours, vmin=low, vmax=high)
    ticks = [grid.superior_sign * (y - centre[1]) / 1e3 for y in grid.y_um]
    start = (left - centre[0]) / 1e3
    axis.plot([start] * len(ticks), ticks, linestyle="none", marker=">", markersize=4, color="#e69f00", clip_on=False)
    if fovea is not None:
        axis.plot(0, 0, **_CROSS)
    name_sides(axis, grid, "middle of the field" if fovea is None else "fovea")
    axis.set_title(f"Brightness of the retina of {name}", loc="left", fontsize=11)
    cross = "" if fovea is None else f" Cross: fovea, {fovea.source}."
    words = "Mean gray level between ILM and BM. Triangles: B-scans; between them it is interpolated, a gap stays grey."
    say_below(figure, [words.rstrip("."), f"{grid.provenance}.{cross}".rstrip(".")], 95)
    return figure


def _draw_layer(axis: Axes, chosen: ThicknessMap, fovea: Fovea | None) -> None:
    grid = chosen.placed()
    left, right, first, last = grid.extent_um
    x_um, y_um = np.arange(left + _PITCH_UM / 2, right, _PITCH_UM), np.arange(first + _PITCH_UM / 2, last, _PITCH_UM)
    values = sample_map(chosen, x_um, y_um)[0]
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, (5, 95)) if known.size else (0.0, 1.0)
    centre = (0.0, 0.0) if fovea is None else fovea.place_um
    colours = matplotlib.colormaps["viridis"].with_extremes(bad="0.82")
    image = _show(axis, values, grid, centre, cmap=colours, vmin=low, vmax=high)
    axis.figure.colorbar(image, cax=axis.inset_axes((1.03, 0, 0.045, 1))).ax.tick_params(labelsize=7)
    if fovea is not None:
        axis.plot(0, 0, **_CROSS)
    unit = {"um": "µm", "px": "px"}[chosen.unit]
    axis.set_title(f"{chosen.slabs[0].name} ({unit})", fontsize=9, loc="left")
    axis.tick_params(labelsize=7)


def _show(axis: Axes, values: Array, grid: ScanGrid, centre: tuple[float, float], **colours: Any) -> Any:
    """A picture (Y, X) in mm from a centre, upwards as the eye is."""
    left, right, first, last = grid.extent_um
    across = [(edge - centre[0]) / 1e3 for edge in (left, right)]
    upwards = [grid.superior_sign * (edge - centre[1]) / 1e3 for edge in (first, last)]
    image = axis.imshow(
        values,
        extent=(across[0], across[1], upwards[0], upwards[1]),
        origin="lower",
        interpolation="nearest",
        **colours,
    )
    axis.set(xlim=across, ylim=sorted(upwards), aspect="equal")
    return image


def _only(volume: ThicknessMap, slab: Slab) -> ThicknessMap:
    return ThicknessMap((slab,), volume.of(slab.name)[None], volume.unit, volume.scale_source, volume.grid)
