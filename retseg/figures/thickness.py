"""Pictures of thickness: a map seen from the front with its ETDRS values, and the layers along one B-scan.

L slabs, B B-scans, W columns (A-scans). Maps are drawn as a fundus is seen: nasal to the right in a right eye, superior
on top. Where nobody said which eye or which end of the volume it is, the axes say "side A" and "end A".
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from retseg.anatomy import LAYERS
from retseg.bscan import Array, Spacing
from retseg.figures.captions import describe
from retseg.figures.palette import CROSS, LAYER_COLOURS, RIM, thickness_colours
from retseg.geometry.etdrs import ETDRS, Ring, sector_thickness
from retseg.geometry.fovea import Fovea
from retseg.geometry.thickness import ThicknessProfile, mean_thickness
from retseg.geometry.volume_map import ScanGrid, ThicknessMap, sample_map

_WIDTH_IN = 7.6
SMALLEST_HEIGHT_IN = 4.0
"""Of a figure of a narrow field: the words beside it have to fit."""
_PITCH_UM = 20.0
_LITTLE_COVERED = 0.5
UNITS = {"um": "µm", "px": "px"}
_LINE: dict[str, Any] = {"color": "white", "linewidth": 1.1, "path_effects": RIM}
_WORD: dict[str, Any] = {"color": "white", "ha": "center", "va": "center", "fontsize": 9, "path_effects": RIM}


def thickness_en_face(
    volume: ThicknessMap,
    slab: str,
    fovea: Fovea | None,
    name: str,
    rings: Sequence[Ring] = ETDRS,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Map (B, W) of one slab in mm from the fovea, or from the middle without one, with circles and values around it.

    limits: of the colours, in the map's unit; by default the 1st to 99th percentile. What is not known is gray; sectors
    of which less than half is known have their value in brackets. InputError where the map has no places.
    """
    grid, chosen = volume.placed(), only_slab(volume, slab)
    centre_um = (0.0, 0.0) if fovea is None else fovea.place_um
    left, right, first, last = grid.extent_um
    figure_height_in = max(0.74 * _WIDTH_IN * (last - first) / (right - left) + 0.6, SMALLEST_HEIGHT_IN)
    figure = Figure(figsize=(_WIDTH_IN, figure_height_in), layout="constrained")
    axis = figure.subplots()
    _draw_map(axis, chosen, centre_um, limits)
    if fovea is not None:
        _draw_sectors(axis, chosen, fovea, rings)
    name_sides(axis, grid, "middle of the field" if fovea is None else "fovea")
    full_name = chosen.slabs[0].full_name
    title = (
        f"Thickness of {full_name} of {name}" if full_name == slab else f"Thickness of {slab} of {name} ({full_name})"
    )
    return describe(figure, title, sentences(what_it_is(chosen, fovea)))


def thickness_along(profile: ThicknessProfile, spacing: Spacing, name: str) -> Figure:
    """Layers of one B-scan laid on Bruch's membrane, one upon the other; the line on top is the total retina.

    A column with an unknown surface has a gap from there on upwards.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axis = figure.subplots()
    layers = np.stack([profile.of(layer.name) for layer in LAYERS])
    heights = np.concatenate([np.zeros((1, layers.shape[1])), layers[::-1].cumsum(axis=0)])
    columns = np.arange(layers.shape[1])
    across = columns if spacing.lateral_um is None else (columns - columns.mean()) * spacing.lateral_um / 1e3
    unit = UNITS[profile.unit]
    means = dict(zip((slab.name for slab in profile.slabs), mean_thickness(profile)[0], strict=True))
    for layer, low, high in zip(reversed(LAYERS), heights[:-1], heights[1:], strict=True):
        label = f"{layer.name}  {_number(means[layer.name], unit)}"
        axis.fill_between(across, low, high, color=LAYER_COLOURS[layer.name], linewidth=0, label=label)
    if "total retina" in means:
        label = f"total retina  {_number(means['total retina'], unit)}"
        axis.plot(across, profile.of("total retina"), color="black", linewidth=1.3, label=label)
    axis.set(xlim=(across[0], across[-1]), ylabel=f"thickness ({unit})")
    axis.set_ylim(bottom=0)
    axis.set_xlabel(
        "column (A-scan, px)" if spacing.lateral_um is None else "distance from the middle of the scan (mm)"
    )
    axis.spines[["top", "right"]].set_visible(False)
    handles, labels = axis.get_legend_handles_labels()
    axis.legend(
        handles[::-1], labels[::-1], title="mean", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False,
        fontsize=9,
    )  # fmt: skip
    said = (
        "Each layer's thickness along the A-scan, stacked on Bruch's membrane (BM), which is drawn flat",
        "Beside the names: mean over the columns in which both surfaces are known",
        "Gap: a surface is not known there",
        f"Scale in depth: {profile.scale_source}",
    )
    return describe(figure, f"Layers along {name}", sentences(said))


def only_slab(volume: ThicknessMap, slab: str) -> ThicknessMap:
    """The map of one slab."""
    chosen = next(measured for measured in volume.slabs if measured.name == slab)
    return ThicknessMap((chosen,), volume.of(slab)[None], volume.unit, volume.scale_source, volume.grid)


def _draw_map(
    axis: Axes, chosen: ThicknessMap, centre_um: tuple[float, float], limits: tuple[float, float] | None
) -> None:
    """Colours of a map of one slab with their bar; axes in mm from the centre, upwards as the eye is."""
    grid = chosen.placed()
    left, right, first, last = grid.extent_um
    x_um, y_um = (np.arange(low + _PITCH_UM / 2, high, _PITCH_UM) for low, high in ((left, right), (first, last)))
    values = sample_map(chosen, x_um, y_um)[0]
    known = values[np.isfinite(values)]
    if limits is None:
        limits = tuple(np.percentile(known, (1, 99))) if known.size else (0.0, 1.0)
    across_mm = [(edge - centre_um[0]) / 1e3 for edge in (left, right)]
    upwards_mm = [grid.superior_sign * (edge - centre_um[1]) / 1e3 for edge in (first, last)]
    shown = axis.imshow(
        values, cmap=thickness_colours(), vmin=limits[0], vmax=limits[1],
        extent=(across_mm[0], across_mm[1], upwards_mm[0], upwards_mm[1]), origin="lower", interpolation="nearest",
    )  # fmt: skip
    axis.set(xlim=across_mm, ylim=sorted(upwards_mm), aspect="equal")
    bar = axis.figure.colorbar(
        shown, cax=axis.inset_axes((1.025, 0, 0.035, 1)), extend=beyond(known, limits), extendfrac=0.04
    )
    bar.set_label(f"thickness ({UNITS[chosen.unit]})")


def beyond(known: Array, limits: tuple[float, float]) -> Literal["neither", "min", "max", "both"]:
    """Which ends of a bar of colours of those limits have a point: values (K,) lie beyond them."""
    below, above = bool((known < limits[0]).any()), bool((known > limits[1]).any())
    return "both" if below and above else "min" if below else "max" if above else "neither"


def _draw_sectors(axis: Axes, chosen: ThicknessMap, fovea: Fovea, rings: Sequence[Ring]) -> None:
    """Circles, rays and the mean of each sector about the fovea, which is at 0, and a cross on it."""
    table = sector_thickness(chosen, fovea.place_um, rings)
    sign, start = chosen.placed().nasal_sign, 0
    for ring in rings:
        axis.add_patch(
            Circle((0, 0), ring.outer_um / 1e3, fill=False, edgecolor="white", linewidth=1.1, path_effects=RIM)
        )
        for number, middle_deg in enumerate(ring.middles_deg(), start=start):
            middle, edge = np.deg2rad(middle_deg), np.deg2rad(middle_deg - 180 / ring.num_sectors)
            if ring.num_sectors > 1:
                ends = np.array([ring.inner_um, ring.outer_um]) / 1e3
                axis.plot(sign * ends * np.cos(edge), ends * np.sin(edge), **_LINE)
            is_disc = ring.inner_um == 0 and ring.num_sectors == 1
            radius_mm = 0.0 if is_disc else (ring.inner_um + ring.outer_um) / 2e3
            mean, covered = float(table.mean[0, number]), float(table.covered[0, number])
            place = (sign * radius_mm * np.cos(middle), radius_mm * np.sin(middle))
            _write_value(axis, place, mean, covered, -11 if is_disc else 0)
        start += ring.num_sectors
    axis.plot(0, 0, **CROSS)


def _write_value(axis: Axes, place: tuple[float, float], mean: float, covered: float, shift_points: float) -> None:
    """The mean of a sector at its place in mm, in brackets where less than half of it is known."""
    if covered == 0:
        return
    text = f"{mean:.0f}" if covered >= _LITTLE_COVERED else f"({mean:.0f})"
    axis.annotate(text, place, xytext=(0, shift_points), textcoords="offset points", annotation_clip=True, **_WORD)


def name_sides(axis: Axes, grid: ScanGrid, origin: str) -> None:
    """Axes in mm with the sides of the eye at their ends."""
    sides = ("temporal", "nasal") if grid.eye == "OD" else ("nasal", "temporal")
    left, right = ("side A: first columns", "side B: last columns") if grid.eye is None else sides
    below, above = ("inferior", "superior")
    if grid.first_bscan is None:
        below, above = "end B: last B-scans", "end A: first B-scans"
    axis.set_xlabel(f"{left}   ←   mm from the {origin}   →   {right}", fontsize=9)
    axis.set_ylabel(f"{below}   ←   mm   →   {above}", fontsize=9)


def what_it_is(chosen: ThicknessMap, fovea: Fovea | None) -> list[str]:
    """Sentences below a map: eye, fovea, where every scale comes from, what is gray."""
    grid = chosen.placed()
    eye = {"OD": "Right eye (OD)", "OS": "Left eye (OS)", None: "Which eye it is, nobody said"}[grid.eye]
    order = "the order of B-scans is not known" if grid.first_bscan is None else f"first B-scan {grid.first_bscan}"
    said = [f"{eye}; {order}"]
    if fovea is None:
        said.append("No fovea, so no circles")
    elif fovea.source == "user":
        said.append("Fovea (cross) given by the user")
    else:
        doubt = f": {fovea.doubt}" if fovea.doubt else ""
        said.append(f"Fovea (cross) {fovea.source}, confidence {fovea.confidence:.2f} of 1{doubt}")
    said.append(f"Scale in depth: {chosen.scale_source}; {grid.provenance}")
    numbers = "" if fovea is None else "; numbers: mean of each sector, in brackets if less than half of it is known"
    return [*said, f"Gray: not known{numbers}"]


def _number(value: float, unit: str) -> str:
    """A mean with its unit, or a word."""
    return "not known" if np.isnan(value) else f"{value:.1f} {unit}"


def sentences(said: Sequence[str]) -> str:
    """Words as sentences of a caption."""
    return " ".join(f"{words}." for words in said)
