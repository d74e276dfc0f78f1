"""Pictures of an evaluation: scores beside their ceiling, where pixels go wrong, whether probabilities can be believed.

C classes, L layers, S surfaces, D bins of distance, R x K cells of depth and column.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from retseg.bscan import Array
from retseg.figures.captions import describe
from retseg.figures.palette import MARK, NOT_KNOWN, WRONG_SHARE
from retseg.figures.palette import REFERENCE as CEILING

BEFORE = "0.55"


@dataclass(frozen=True)
class ScoreMark:
    """One score of a layer or surface with its interval, and its ceiling with its own; nan is not known."""

    name: str
    value: float
    low: float
    high: float
    ceiling: float
    ceiling_low: float
    ceiling_high: float


def scores_with_ceiling(
    overlap: Sequence[ScoreMark], surfaces: Sequence[ScoreMark], unit: str, ceiling: str, caption: str
) -> Figure:
    """Dice by layer and mean absolute error by surface, each with its interval, beside the ceiling's."""
    figure = Figure(figsize=(11, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_marks(left, overlap, ceiling)
    left.set_xlabel("Dice (0 to 1; higher is better)")
    _draw_marks(right, surfaces, ceiling)
    shown = "µm" if unit == "um" else unit
    right.set_xlabel(f"mean absolute surface error ({shown}; lower is better)")
    right.set_xlim(left=0)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return describe(figure, "Scores by layer and by surface", caption)


def _draw_marks(axis: Axes, marks: Sequence[ScoreMark], ceiling: str) -> None:
    rows = np.arange(len(marks), dtype=np.float64)
    groups = (
        (-0.14, MARK, "o", "prediction", [(m.value, m.low, m.high) for m in marks]),
        (0.14, CEILING, "D", ceiling, [(m.ceiling, m.ceiling_low, m.ceiling_high) for m in marks]),
    )
    for shift, colour, marker, label, values in groups:
        value, low, high = np.array(values, np.float64).T
        if np.isnan(value).all():
            continue
        axis.hlines(rows + shift, low, high, color=colour, linewidth=2)
        axis.plot(value, rows + shift, marker, color=colour, label=label, markersize=5)
    axis.set_yticks(rows, [mark.name for mark in marks])
    axis.set_ylim(len(marks) - 0.5, -0.5)
    axis.grid(axis="x", color="0.9")
    axis.set_axisbelow(True)


def reliability(
    before: Mapping[str, Mapping[str, Sequence[float]]],
    after: Mapping[str, Mapping[str, Sequence[float]]] | None,
    caption: str,
) -> Figure:
    """Accuracy against confidence in bins, as predicted and temperature-scaled, for each group of pixels.

    Each group has the lists confidence, accuracy (nan in an empty bin) and share (of the group's pixels), one a bin.
    """
    titles = {"all": "all annotated pixels", "layers": "pixels predicted to be a layer"}
    figure = Figure(figsize=(10, 5.2), layout="constrained")
    axes = figure.subplots(2, len(before), squeeze=False, height_ratios=(3, 1), sharex=True)
    for place, group in enumerate(before):
        upper, lower = axes[0, place], axes[1, place]
        upper.plot([0, 1], [0, 1], color="0.8", linewidth=1, label="confidence = accuracy")
        curves = [("as predicted", before[group], BEFORE)]
        curves += [] if after is None else [("temperature-scaled", after[group], MARK)]
        edges = np.linspace(0, 1, len(before[group]["share"]) + 1)
        for label, curve, colour in curves:
            known = np.isfinite(np.asarray(curve["accuracy"], np.float64))
            confidence, accuracy = (np.asarray(curve[name], np.float64)[known] for name in ("confidence", "accuracy"))
            upper.plot(confidence, accuracy, marker="o", markersize=4, color=colour, label=label)
            lower.stairs(
                100 * np.nan_to_num(np.asarray(curve["share"], np.float64)), edges, color=colour, linewidth=1.5
            )
        upper.set(title=titles.get(group, group), xlim=(0, 1), ylim=(0, 1))
        lower.set(xlabel="confidence (probability of the predicted class)", ylim=(0.01, 120))
        lower.set_yscale("log")  # after its limits: a group may have no pixel at all, and nothing to scale by
        lower.set_yticks([0.01, 1, 100], ["0.01", "1", "100"])
        lower.yaxis.set_minor_locator(NullLocator())
    axes[0, 0].set_ylabel("accuracy (share of pixels that are right)")
    axes[1, 0].set_ylabel("pixels in the bin (%)")
    axes[0, 0].legend(frameon=False, fontsize=9, loc="upper left")
    return describe(figure, "Can probabilities be believed?", caption)


def errors_by_distance(rows: Sequence[Mapping[str, float | None]], axial_um: float | None, caption: str) -> Figure:
    """Share of pixels that are wrong by distance to the nearest true surface, and where all wrong pixels lie.

    rows as `Misclassified.by_distance` gives them; axial_um: the size of a pixel if it is the same in all scans.
    """
    names = [f"{row['from_px']:g} to {row['to_px']:g}" if row["to_px"] else f"{row['from_px']:g} on" for row in rows]
    wrong = np.array([row["wrong"] for row in rows], np.float64)
    shares = np.array([np.nan if row["share_wrong"] is None else row["share_wrong"] for row in rows], np.float64)
    figure = Figure(figsize=(10, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axis, values, label in (
        (left, 100 * shares, "wrong pixels (% of the pixels at this distance)"),
        (right, 100 * wrong / max(wrong.sum(), 1), "pixels at this distance (% of all wrong pixels)"),
    ):
        bars = axis.bar(range(len(rows)), np.nan_to_num(values), color=MARK)
        axis.bar_label(bars, ["none" if np.isnan(v) else f"{v:.1f}" for v in values], fontsize=8)
        axis.set_xticks(range(len(rows)), names, rotation=45, ha="right", rotation_mode="anchor", fontsize=9)
        scale = "" if axial_um is None else f"; 1 px = {axial_um:.3g} µm"
        axis.set(xlabel=f"distance to the nearest true surface (px{scale})", ylabel=label)
        axis.margins(y=0.12)
    return describe(figure, "Wrong pixels by distance to a surface", caption)


def error_map(
    wrong: Array, pixels: Array, depth_from_px: Sequence[int], depth_bin_px: int, axial_um: float | None, caption: str
) -> Figure:
    """Share of wrong pixels (R, K) by depth below the true ILM and by place in the width; gray: no pixel there."""
    with np.errstate(invalid="ignore"):
        shares = 100 * np.where(pixels > 0, wrong / np.maximum(pixels, 1), np.nan)
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    axis = figure.subplots()
    colours = matplotlib.colormaps[WRONG_SHARE].with_extremes(bad=NOT_KNOWN)
    extent = (0.0, 100.0, depth_from_px[-1] + depth_bin_px, depth_from_px[0])
    picture = axis.imshow(shares, cmap=colours, vmin=0, aspect="auto", extent=extent, interpolation="nearest")
    axis.axhline(0, color=MARK, linewidth=1)
    axis.annotate("ILM", (100, 0), xytext=(4, 0), textcoords="offset points", color=MARK, va="center", fontsize=9)
    scale = "" if axial_um is None else f"; 1 px = {axial_um:.3g} µm"
    axis.set(xlabel="place in the scan (% of its width, from the left)", ylabel=f"depth below the true ILM (px{scale})")
    figure.colorbar(picture, ax=axis, label="wrong pixels (%)")
    return describe(figure, "Where in the scan pixels are wrong", caption)


def over_and_under(
    shares: Mapping[str, Mapping[str, float]], neighbours: Mapping[str, Mapping[str, float]], caption: str
) -> Figure:
    """Pixels too many and too few by class, and which class the missed ones were given to: the next above or below."""
    names = list(shares)
    rows = np.arange(len(names))
    figure = Figure(figsize=(11, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for kind, sign, colour in (("under", -1, CEILING), ("over", 1, MARK)):
        values = np.array([100 * shares[name][kind] for name in names])
        left.barh(rows, sign * np.nan_to_num(values), color=colour, label=f"{kind}-segmented")
        for row, value in enumerate(values):
            text = "absent" if np.isnan(value) else f"{value:.1f}"
            side = "right" if sign < 0 else "left"
            left.annotate(
                text, (sign * np.nan_to_num(value), row), (3 * sign, 0), textcoords="offset points",
                ha=side, va="center", fontsize=8,
            )  # fmt: skip
    left.axvline(0, color="black", linewidth=0.8)
    left.margins(x=0.16)
    left.xaxis.set_major_formatter(lambda percent, _: f"{abs(percent):g}")
    left.set(xlabel="too few | too many (% of the class's true pixels)")
    left.legend(frameon=False, fontsize=8, loc="best")
    starts = np.zeros(len(names))
    for kind, colour in (("above", "0.3"), ("below", "0.6"), ("elsewhere", "0.88")):
        values = np.array([100 * np.nan_to_num(neighbours[name][kind]) for name in names])
        title = kind if kind == "elsewhere" else f"the class next {kind}"
        right.barh(rows, values, left=starts, color=colour, label=title)
        starts += values
    right.set(xlabel="where its missed pixels went (%)", xlim=(0, 100))
    right.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    left.set_yticks(rows, names)
    left.set_ylim(len(names) - 0.4, -0.6)
    return describe(figure, "Too many and too few pixels, and where the missed ones went", caption)
