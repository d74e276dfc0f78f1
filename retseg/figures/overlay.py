"""One map of one class, as large as a page: heat over the scan, outline of the predicted layer, a scale in um."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from retseg.bscan import Spacing
from retseg.figures.captions import describe
from retseg.figures.heatmaps import Array, Colormap, translucent
from retseg.figures.palette import OUTLINE

_WIDTH_IN = 8.0
_LENGTHS_UM = (10, 20, 50, 100, 200, 500, 1000, 2000)
# White with a dark rim, to be read on bright and on dark scans.
_BAR_STYLE: dict[str, Any] = {
    "color": "white",
    "linewidth": 2.5,
    "solid_capstyle": "projecting",
    "path_effects": [withStroke(linewidth=4.5, foreground="black")],
}
_WORD_STYLE: dict[str, Any] = {
    "color": "white",
    "fontsize": 9.5,
    "textcoords": "offset points",
    "path_effects": [withStroke(linewidth=2.5, foreground="black")],
}


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """What is drawn: image (H, W) gray levels, raw heat (H, W) on its pixels, pixels predicted as the class (H, W).

    layer: of the retina ("ONL-ISM"); source: method, layer of the network and score in words; remark: the stamp, or
    whatever belongs beside the map.
    """

    image: Array
    heat: Array
    predicted: Array
    layer: str
    source: str
    remark: str = ""
    spacing: Spacing = field(default_factory=Spacing)


def overlay(scan: Overlay, name: str, colormap: Colormap = "inferno") -> Figure:
    """Figure of one map over its scan; the colour bar shows the raw heat, without any rescaling."""
    height, width = scan.image.shape
    scan_in = _WIDTH_IN * height / width
    figure = Figure(figsize=(_WIDTH_IN + 1.4, scan_in + 0.2), layout="constrained")
    axis = figure.subplots()
    axis.imshow(scan.image, cmap="gray", interpolation="nearest")
    colours, peak = translucent(colormap), float(scan.heat.max())
    if peak > 0:
        axis.imshow(scan.heat, cmap=colours, vmin=0, vmax=peak, interpolation="nearest")
        bar = figure.colorbar(ScalarMappable(Normalize(0, peak), colours), ax=axis, fraction=0.03, pad=0.015)
        bar.ax.set_facecolor("0.5")
        bar.set_label("heat (class score times activation)", fontsize=9)
    else:
        box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none"}
        message = "no heat" if peak == 0 else "not finite"
        axis.text(0.5, 0.5, message, transform=axis.transAxes, ha="center", va="center", fontsize=12, bbox=box)
    if scan.predicted.any():
        _draw_outline(axis, scan.predicted)
    _draw_scale(axis, scan.spacing, height, width)
    axis.set(xticks=[], yticks=[], xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    text = (
        f"{scan.source}. Colours: the map as it is, not rescaled; no heat: nothing there raises Y. "
        + ("Outline: " if scan.predicted.any() else "No pixel is ")
        + f"predicted as {scan.layer}."
    )
    for sentence in (scan.remark, "" if scan.spacing.axial_um else "Pixel size unknown."):
        text += f" {sentence[:1].upper()}{sentence[1:].rstrip('.')}." if sentence else ""
    text = text[:1].upper() + text[1:]
    return describe(figure, f"Heat map of {scan.layer} in {name}", text)


def _draw_outline(axis: Axes, predicted: Array) -> None:
    """A line along the edges of the predicted pixels, at the border of the scan, too."""
    padded = np.pad(predicted, 1).astype(float)
    rows, columns = (np.arange(size) - 1 for size in padded.shape)
    axis.contour(columns, rows, padded, levels=[0.5], colors=OUTLINE, linewidths=1.1)


def _draw_scale(axis: Axes, spacing: Spacing, height: int, width: int) -> None:
    """White bars in the lower left corner, one an axis, of a round length that takes about a sixth of it."""
    left, bottom = 0.03 * width, 0.95 * height
    if spacing.lateral_um is not None:
        length_um = _round_length(width * spacing.lateral_um)
        right = left + length_um / spacing.lateral_um
        axis.plot([left, right], [bottom, bottom], **_BAR_STYLE)
        axis.annotate(f"{length_um} µm", (right, bottom), xytext=(6, 0), va="center", **_WORD_STYLE)
    if spacing.axial_um is not None:
        length_um = _round_length(height * spacing.axial_um)
        top = bottom - length_um / spacing.axial_um
        axis.plot([left, left], [bottom, top], **_BAR_STYLE)
        axis.annotate(f"{length_um} µm", (left, top), xytext=(0, 5), **_WORD_STYLE)


def _round_length(size_um: float) -> int:
    """The round length nearest to a sixth of a size."""
    return min(_LENGTHS_UM, key=lambda length: abs(length - size_um / 6))
