"""Pictures that set a run beside the paper: curves with its final values, scores by class, and tables as pictures."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from retseg.bscan import Array
from retseg.figures.captions import describe
from retseg.figures.curves import HeldAgainst, history
from retseg.figures.palette import LAYER_COLOURS, PAPER, SCORE

_OURS, _PAPER = "this run", "paper"
_MARGIN_IN = 0.12
_NARROWEST_IN = 4.5
"""Of a table: heading and notes have to fit."""


def curves_beside_paper(
    rows: Sequence[Mapping[str, str]], finals: Mapping[str, float], plateau: float, caption: str
) -> Figure:
    """The run's curves (its Figure 3) with the paper's final validation values, by name of score, as dotted lines.

    plateau is the accuracy at which the paper's own training stayed for its first epochs.
    """
    marks = {name: [HeldAgainst(value, PAPER, f"paper's end, {value:.4g}")] for name, value in finals.items()}
    marks["accuracy"].append(HeldAgainst(plateau, "0.6", f"paper's first 20 epochs, {plateau:.3f}"))
    dotted = "Dotted: what the paper prints of its own validation."
    return history(rows, f"{dotted} {caption}", marks, "Training, beside the paper's final values")


def scores_by_class(iou: Array, recall: Array, class_names: Sequence[str], caption: str) -> Figure:
    """The paper's Figure 5: IoU as a heat map, recall as bars, (2, C) each: the paper's, then the run's; nan absent."""
    figure = Figure(figsize=(12, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    names = [f"{number} {name}" for number, name in enumerate(class_names)]
    _heat_map(left, iou, names)
    _bars(right, 100 * recall, names)
    definitions = (
        "IoU: TP / (TP + FP + FN). Recall, which the paper calls accuracy: TP / (TP + FN), pooled over pixels. Absent: "
        "no value for this class. Colours of IoU end at 0.5; what lies below has the darkest."
    )
    return describe(figure, "Scores by class, beside the paper's", definitions, caption)


def _heat_map(axis: Axes, iou: Array, names: Sequence[str]) -> None:
    """IoU (2, C) as coloured cells with their numbers."""
    shown = axis.imshow(iou, cmap=SCORE, vmin=0.5, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(iou):
        colour = "black" if value > 0.75 else "white"
        text = "absent" if np.isnan(value) else f"{value:.2f}"
        axis.text(column, row, text, ha="center", va="center", color="black" if np.isnan(value) else colour)
    axis.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axis.set_yticks([0, 1], [_PAPER, _OURS])
    axis.set_title("IoU by class", fontsize=11)
    axis.figure.colorbar(shown, ax=axis, fraction=0.04, pad=0.02, extend="min", label="IoU (0 to 1)")


def _bars(axis: Axes, percent: Array, names: Sequence[str]) -> None:
    """Recall in percent (2, C) as pairs of bars: the paper's hatched, the run's filled in the class's colour."""
    places = np.arange(len(names))
    colours = list(LAYER_COLOURS.values())
    axis.bar(places - 0.2, percent[0], 0.38, color="white", edgecolor="0.3", hatch="///", label=_PAPER)
    axis.bar(places + 0.2, percent[1], 0.38, color=colours, edgecolor="0.2", label=_OURS)
    for place, pair in zip(places, percent.T, strict=True):
        for offset, value in zip((-0.2, 0.2), pair, strict=True):
            text = "absent" if np.isnan(value) else f"{value:.0f}"
            axis.text(
                place + offset, 0 if np.isnan(value) else value + 0.8, text, ha="center", va="bottom", fontsize=7.5
            )
    axis.set_xticks(places, names, rotation=40, ha="right", rotation_mode="anchor")
    axis.set(ylabel="recall (%), the paper's accuracy", ylim=(0, 112))
    axis.set_title("hatched: paper; filled: this run", fontsize=11)
    axis.spines[["top", "right"]].set_visible(False)


def table_picture(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> Figure:
    """A table of words and numbers as a picture: rules above and below, the paper's rows or columns in their colour."""
    cells = [list(columns), *map(list, rows)]
    widths_in = [0.16 + 0.082 * max(len(row[place]) for row in cells) for place in range(len(columns))]
    width_in = max(sum(widths_in) + 2 * _MARGIN_IN, _NARROWEST_IN)
    row_in, top = 0.27, 0.05
    height_in = top + row_in * len(cells) + 0.05
    figure = Figure(figsize=(width_in, height_in))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, width_in), ylim=(height_in, 0))
    axis.axis("off")
    _rules(axis, width_in, [top, top + row_in, top + row_in * len(cells)])
    edges = np.cumsum([_MARGIN_IN, *widths_in])
    in_words = [not any(c.isdigit() for row in rows for c in row[place]) for place in range(len(columns))]
    for line, row in enumerate(cells):
        for place, text in enumerate(row):
            at, align = (
                (edges[place] + 0.05, "left") if place == 0 or in_words[place] else (edges[place + 1] - 0.08, "right")
            )
            colour = PAPER if _PAPER in row or columns[place].startswith(_PAPER) else "black"
            weight = "bold" if line == 0 else "normal"
            axis.text(
                at, top + row_in * (line + 0.5), text, ha=align, va="center", fontsize=9.5, color=colour, weight=weight
            )
    return describe(figure, title, "In wine red: what the paper prints.", *notes)


def _rules(axis: Axes, width_in: float, heights_in: Sequence[float]) -> None:
    """Horizontal lines of a table, the outer ones thicker."""
    for height_in in heights_in:
        thick = 0.8 if height_in == heights_in[1] else 1.4
        axis.plot([_MARGIN_IN, width_in - _MARGIN_IN], [height_in, height_in], color="black", linewidth=thick)
