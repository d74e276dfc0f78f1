"""Pictures that set a run beside the paper: curves with its final values, scores by class, and tables as pictures."""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from retseg.anatomy import CLASSES
from retseg.bscan import Array
from retseg.figures.curves import PANELS, history

PAPER_COLOUR = "#b03060"
_OURS, _PAPER = "this run", "paper"


def curves_beside_paper(
    rows: Sequence[Mapping[str, str]], finals: Mapping[str, float], plateau: float, caption: str
) -> Figure:
    """The run's curves (its Figure 3) with the paper's final validation values, by name of score, as dotted lines.

    plateau is the accuracy at which the paper's own training stayed for its first epochs.
    """
    figure = history(rows, caption)
    for axis, (name, _) in zip(figure.axes, PANELS, strict=False):
        axis.axhline(finals[name], color=PAPER_COLOUR, linestyle=":", label=f"paper's end, {finals[name]:.4g}")
        if name == "accuracy":
            axis.axhline(plateau, color="0.6", linestyle=":", label=f"paper's first 20 epochs, {plateau:.3f}")
        axis.legend(frameon=False, fontsize=8)
    return figure


def scores_by_class(iou: Array, recall: Array, class_names: Sequence[str], caption: str) -> Figure:
    """The paper's Figure 5: IoU as a heat map, recall as bars, (2, C) each: the paper's, then the run's; nan absent."""
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    names = [f"{number} {name}" for number, name in enumerate(class_names)]
    _heat_map(left, iou, names)
    _bars(right, 100 * recall, names)
    figure.suptitle("\n".join(textwrap.wrap(caption, 150)), fontsize=9, x=0.01, ha="left")
    return figure


def _heat_map(axis: Axes, iou: Array, names: Sequence[str]) -> None:
    """IoU (2, C) as coloured cells with their numbers."""
    shown = axis.imshow(iou, cmap="viridis", vmin=0.5, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(iou):
        colour = "black" if value > 0.75 else "white"
        text = "absent" if np.isnan(value) else f"{value:.2f}"
        axis.text(column, row, text, ha="center", va="center", color="black" if np.isnan(value) else colour)
    axis.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axis.set_yticks([0, 1], [_PAPER, _OURS])
    axis.set_title("IoU by class", fontsize=11)
    axis.figure.colorbar(shown, ax=axis, fraction=0.04, pad=0.02, extend="min")


def _bars(axis: Axes, percent: Array, names: Sequence[str]) -> None:
    """Recall in percent (2, C) as pairs of bars: the paper's hatched, the run's filled in the class's colour."""
    places = np.arange(len(names))
    colours = [f"#{bytes(layer.colour).hex()}" for layer in CLASSES]
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
    width_in = sum(widths_in) + 0.4
    wrapped = [line for note in notes for line in textwrap.wrap(note, int(width_in * 13))]
    heading = textwrap.wrap(title, int(width_in * 9.5))
    row_in = 0.27
    height_in = 0.3 + 0.24 * len(heading) + row_in * len(cells) + 0.2 + 0.19 * len(wrapped) + 0.15
    figure = Figure(figsize=(width_in, height_in))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, width_in), ylim=(height_in, 0))
    axis.axis("off")
    axis.text(0.2, 0.2, "\n".join(heading), fontsize=11, weight="bold", va="top", linespacing=1.2)
    top = 0.3 + 0.24 * len(heading)
    _rules(axis, width_in, [top, top + row_in, top + row_in * len(cells)])
    edges = np.cumsum([0.2, *widths_in])
    in_words = [not any(c.isdigit() for row in rows for c in row[place]) for place in range(len(columns))]
    for line, row in enumerate(cells):
        for place, text in enumerate(row):
            at, align = (
                (edges[place] + 0.05, "left") if place == 0 or in_words[place] else (edges[place + 1] - 0.08, "right")
            )
            colour = PAPER_COLOUR if _PAPER in row or columns[place].startswith(_PAPER) else "black"
            weight = "bold" if line == 0 else "normal"
            axis.text(
                at, top + row_in * (line + 0.5), text, ha=align, va="center", fontsize=9.5, color=colour, weight=weight
            )
    axis.text(0.2, top + row_in * len(cells) + 0.12, "\n".join(wrapped), fontsize=8.5, va="top", color="0.3")
    return figure


def _rules(axis: Axes, width_in: float, heights_in: Sequence[float]) -> None:
    """Horizontal lines of a table, the outer ones thicker."""
    for height_in in heights_in:
        thick = 0.8 if height_in == heights_in[1] else 1.4
        axis.plot([0.2, width_in - 0.2], [height_in, height_in], color="black", linewidth=thick)


def bytes_of(figure: Figure, kind: str, dpi: int = 140) -> bytes:
    """The figure as a file of a kind (png, pdf), without the date, so that equal figures are equal files."""
    import io

    buffer = io.BytesIO()
    metadata = {"CreationDate": None} if kind == "pdf" else {"Software": f"matplotlib {matplotlib.__version__}"}
    figure.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return buffer.getvalue()
