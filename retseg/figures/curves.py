"""Curves over epochs, from the rows of metrics.csv."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from retseg.anatomy import LAYER_NAMES
from retseg.figures.captions import describe
from retseg.figures.palette import LAYER_COLOURS

PANELS = (
    ("accuracy", "accuracy (share of pixels)"),
    ("loss", "loss"),
    ("dice_micro_soft", "Dice, micro soft (0 to 1)"),
    ("iou_micro_soft", "IoU, micro soft (0 to 1)"),
)
_STAGES = (("train", "training", "--"), ("val", "validation", "-"))

_DEFINITIONS = (
    "Each epoch's scores are pooled over the pixels of all its scans; what nobody annotated is in none. "
    "Accuracy: share of pixels given their class, background included. Loss: mean over scans. "
    "Micro soft (the paper's Dice and IoU): over all pixels and classes together; Dice is then the mean probability of "
    "the true class. Dice by layer: 2 TP / (2 TP + FP + FN) of the most probable class; an absent layer has no point."
)


@dataclass(frozen=True, slots=True)
class HeldAgainst:
    """A value that a curve is held against: a dotted line, its colour and its name."""

    value: float
    colour: str
    label: str


def history(
    rows: Sequence[Mapping[str, str]],
    caption: str = "",
    marks: Mapping[str, Sequence[HeldAgainst]] | None = None,
    title: str = "Training, epoch by epoch",
) -> Figure:
    """The paper's Figure 3, accuracy, loss, Dice and IoU for training and validation, and hard Dice per layer.

    marks: dotted lines in the panel of a score (a name of PANELS).
    """
    figure = _panels(rows)
    for axis, (name, _) in zip(figure.axes, PANELS, strict=False):
        for mark in (marks or {}).get(name, ()):
            axis.axhline(mark.value, color=mark.colour, linestyle=":", label=mark.label)
        axis.legend(frameon=False, fontsize=8)
    return describe(figure, title, _DEFINITIONS, caption)


def _panels(rows: Sequence[Mapping[str, str]]) -> Figure:
    figure = Figure(figsize=(13, 6.2), layout="constrained")
    axes = figure.subplots(2, 3).flat
    for name, label in PANELS:
        axis = next(axes)
        for stage, words, style in _STAGES:
            _draw(axis, rows, f"{stage}/{name}", words, "black", style)
        axis.set(xlabel="epoch", ylabel=label)
    axis = next(axes)
    for layer in LAYER_NAMES:
        _draw(axis, rows, f"val_class/dice/{layer}", layer, LAYER_COLOURS[layer])
    axis.set(xlabel="epoch", ylabel="validation Dice by layer (0 to 1)", ylim=(0, 1))
    axis.set_facecolor("0.96")  # so that yellow is seen
    axis.legend(frameon=False, fontsize=8, ncols=2, loc="lower right")
    axis = next(axes)
    _draw(axis, rows, "lr", "learning rate", "black")
    axis.set(xlabel="epoch", ylabel="learning rate", yscale="log")
    return figure


def _draw(axis: Axes, rows: Sequence[Mapping[str, str]], name: str, label: str, colour: str, style: str = "-") -> None:
    """A line over the epochs (from 1) that logged a name; dots where it would be too short to see."""
    logged = [row for row in rows if row.get(name)]
    epochs, values = [int(row["epoch"]) + 1 for row in logged], [float(row[name]) for row in logged]
    axis.plot(epochs, values, style, color=colour, label=label, marker="." if len(epochs) < 3 else None)
