"""Heatmaps over a B-scan in the manner of the paper's Figure 6: one row per layer of the network, one column per class.

C classes, H rows and W columns of pixels. Positions on the page are in inches, so that text never shrinks with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from retseg.anatomy import CLASS_NAMES
from retseg.errors import InputError
from retseg.explain.descriptions import DESCRIPTIONS
from retseg.figures.captions import describe
from retseg.figures.palette import WARNING

Array = npt.NDArray[Any]
Colormap = Literal["inferno", "viridis", "jet", "hot"]

_CELL_IN, _GAP_IN, _MARGIN_IN = 1.5, 0.08, 0.12
_HEADING_IN, _FOOT_IN, _REMARK_IN = 0.30, 0.26, 0.16  # above and below the pictures of a row
_NAMES_IN, _NOTES_IN, _BAR_IN = 0.22, 0.2, 1.15  # class names, remarks under them; the colour bar's column
REPEATS = "repeats the prediction"
_FAINTEST, _STRONGEST = 0.25, 0.75  # opacity at heat 0 and 1: the scan stays visible under both


@dataclass(frozen=True, slots=True, eq=False)
class HeatmapRow:
    """One layer's maps: normalised (C, H, W) in 0..1 on the pixels of the image, and their peaks raw_max (C,) before.

    layer and module are its two names, the paper's (`conv2d_19`) and this network's (`decoder1.relu2`).
    overlaps: how much of each map the prediction gives (C,), printed below it; repeats: whether (C,) it says no more.
    note: what is true of all maps of the layer, beside its name.
    """

    layer: str
    module: str
    normalised: Array
    raw_max: Array
    overlaps: Array | None = None
    repeats: Array | None = None
    note: str = ""

    @property
    def label(self) -> str:
        """`conv2d_19 · decoder1.relu2`, or one name where both are the same."""
        return self.layer if self.layer == self.module else f"{self.layer} · {self.module}"

    def remark(self, class_id: int) -> str:
        """What stands below a map beside its peak: "repeats the prediction", or its overlap with it."""
        if self.repeats is not None and self.repeats[class_id]:
            return REPEATS
        if self.overlaps is None or np.isnan(self.overlaps[class_id]):
            return ""
        return f"overlap {self.overlaps[class_id]:.2f}"


def heatmaps(
    image: Array,
    rows: Sequence[HeatmapRow],
    *,
    title: str,
    score: str,
    notes: Mapping[int, str] | None = None,
    class_names: Sequence[str] = CLASS_NAMES,
    colormap: Colormap = "inferno",
    divisor: str = "its own maximum",
    method: str = DESCRIPTIONS["gradcam"],
) -> Figure:
    """Figure of heatmaps over one image (H, W): the image, then each class, for every layer.

    For the caption, method says what the maps are, score what Y^c is and divisor what each map was divided by. notes
    are short remarks under class names ("not predicted").
    inferno and viridis are perceptually uniform; jet and hot are there to compare with other work.
    """
    if colormap not in get_args(Colormap):
        raise InputError(f"colormap: {colormap!r}, expected one of {', '.join(get_args(Colormap))}")
    has_remarks = any(row.overlaps is not None for row in rows)
    foot_in = _FOOT_IN + (_REMARK_IN if has_remarks else 0)
    row_in = _HEADING_IN + _cell_height_in(image) + foot_in
    width_in = 2 * _MARGIN_IN + (1 + len(class_names)) * (_CELL_IN + _GAP_IN) + _BAR_IN
    top_in = _NAMES_IN + (_NOTES_IN if notes else 0) + _GAP_IN
    height_in = top_in + len(rows) * row_in + 0.1
    page = _Page(Figure(figsize=(width_in, height_in)), width_in, height_in)
    heat_colours = translucent(colormap)
    for number, row in enumerate(rows):
        assert row.normalised.shape == (len(class_names), *image.shape), (row.label, row.normalised.shape)
        _draw_row(page, top_in + number * row_in, image, row, heat_colours)
    _name_columns(page, ["input", *class_names], {class_id + 1: note for class_id, note in (notes or {}).items()})
    bar_left_in = width_in - _BAR_IN - _MARGIN_IN + 0.15
    bar_height_in = min(len(rows) * row_in - _HEADING_IN - foot_in, 4.5)
    _draw_bar(page.axes(bar_left_in, top_in + _HEADING_IN, 0.18, bar_height_in), heat_colours)
    return describe(page.figure, title, _caption(method, score, divisor, rows, has_remarks))


@dataclass(frozen=True, slots=True)
class _Page:
    """A figure addressed in inches from its top left corner."""

    figure: Figure
    width_in: float
    height_in: float

    def axes(self, left_in: float, top_in: float, width_in: float, height_in: float) -> Axes:
        """Axes without ticks whose top left corner is there."""
        bottom_in = self.height_in - top_in - height_in
        box = (
            left_in / self.width_in,
            bottom_in / self.height_in,
            width_in / self.width_in,
            height_in / self.height_in,
        )
        axes = self.figure.add_axes(box)
        axes.set_xticks([])
        axes.set_yticks([])
        return axes

    def text(self, left_in: float, bottom_in: float, text: str, **style: Any) -> None:
        """Text that stands on a line bottom_in below the top edge."""
        self.figure.text(left_in / self.width_in, 1 - bottom_in / self.height_in, text, va="bottom", **style)


def _cell_height_in(image: Array) -> float:
    """Height of one picture on the page: pixels of image (H, W) are drawn square."""
    height, width = image.shape
    return float(_CELL_IN * height / width)


def translucent(colormap: Colormap) -> ListedColormap:
    """The colour map, fainter where there is less heat: the colour bar shows the same opacities."""
    colours = matplotlib.colormaps[colormap](np.linspace(0, 1, 256))
    colours[:, 3] = np.linspace(_FAINTEST, _STRONGEST, 256)
    return ListedColormap(colours, name=f"translucent {colormap}")


def _draw_row(page: _Page, top_in: float, image: Array, row: HeatmapRow, heat_colours: ListedColormap) -> None:
    """One layer: its name, the image alone, and every class's heat over the image."""
    page.text(_MARGIN_IN, top_in + _HEADING_IN - 0.09, row.label, fontsize=11.5, fontweight="bold")
    if row.note:
        page.text(_MARGIN_IN + 3.2, top_in + _HEADING_IN - 0.09, row.note, fontsize=10.5, color=WARNING)
    for column in range(1 + len(row.normalised)):
        left_in = _MARGIN_IN + column * (_CELL_IN + _GAP_IN)
        axes = page.axes(left_in, top_in + _HEADING_IN, _CELL_IN, _cell_height_in(image))
        if column == 0:
            axes.imshow(image, cmap="gray", aspect="auto", interpolation="antialiased")
        else:
            _draw_cell(axes, image, row, column - 1, heat_colours)


def _draw_cell(axes: Axes, image: Array, row: HeatmapRow, class_id: int, heat_colours: ListedColormap) -> None:
    """The image in gray, a class's heat over it, and below it the peak of the map before normalisation and a remark."""
    axes.imshow(image, cmap="gray", aspect="auto", interpolation="antialiased")
    heat, raw_max, remark = row.normalised[class_id], float(row.raw_max[class_id]), row.remark(class_id)
    if raw_max > 0:
        axes.imshow(heat, cmap=heat_colours, vmin=0, vmax=1, aspect="auto", interpolation="antialiased")
    else:
        message = "no heat" if raw_max == 0 else "not finite"
        box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 2.5}
        axes.text(0.5, 0.5, message, transform=axes.transAxes, ha="center", va="center", fontsize=10.5, bbox=box)
    said = f"max {raw_max:.3g}\n{remark}" if remark else f"max {raw_max:.3g}"
    axes.set_xlabel(said, fontsize=9.5, labelpad=2, color=WARNING if remark == REPEATS else "black")


def _name_columns(page: _Page, names: Sequence[str], notes: Mapping[int, str]) -> None:
    """Column heads above the first row, with a remark in italics under those that need one."""
    for column, name in enumerate(names):
        centre_in = _MARGIN_IN + column * (_CELL_IN + _GAP_IN) + _CELL_IN / 2
        page.text(centre_in, _NAMES_IN, name, ha="center", fontsize=12)
        page.text(
            centre_in,
            _NAMES_IN + _NOTES_IN - 0.02,
            notes.get(column, ""),
            ha="center",
            fontsize=9.5,
            fontstyle="italic",
            color="0.35",
        )


def _draw_bar(axes: Axes, heat_colours: ListedColormap) -> None:
    """Colour bar over mid-gray, as the colours look on a scan."""
    axes.set_facecolor("0.5")
    bar = axes.figure.colorbar(ScalarMappable(Normalize(0, 1), heat_colours), cax=axes)
    bar.set_label("heat, relative to\neach map (0 to 1)", fontsize=11)
    bar.set_ticks([0, 0.5, 1])
    bar.ax.tick_params(labelsize=10)


def _caption(method: str, score: str, divisor: str, rows: Sequence[HeatmapRow], has_remarks: bool) -> str:
    """What the colours mean, in full: method, score, normalisation, and what is true by identity."""
    text = (
        f"{method} Y is the {score}. Each map is divided by {divisor}; its maximum "
        "before that is printed below it: compare strengths by that number, not by colour. No heat: nothing at this "
        "layer raises Y. Maps of layers with fewer pixels are enlarged bilinearly."
    )
    if has_remarks:
        text += (
            " Overlap: of the pixels predicted as the class and as many of the map's hottest; 0 is chance, 1 the same "
            "pixels. A map that repeats the prediction by it (or by rank correlation) shows what the segmentation "
            "already shows."
        )
    for row in (row for row in rows if method == DESCRIPTIONS["gradcam"]):
        num_classes = len(row.normalised)
        if row.module == "softmax":
            text += (
                f" {row.layer} is the softmax output: its map repeats the predicted probability by identity, for any "
                f"network (αₖ = 1 for the class's own channel, 0 elsewhere: 1/C = {1 / num_classes:.3f} on average, "
                "with a sum over the image)."
            )
    if any(row.note for row in rows):
        text += " P_c: predicted probability of class c; z_c, b_c: its logit and the head's bias."
    return text
