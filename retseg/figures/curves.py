"""Curves over epochs, from the rows of metrics.csv."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from retseg.anatomy import CLASSES

PANELS = (
    ("accuracy", "accuracy (share of pixels)"),
    ("loss", "loss"),
    ("dice_micro_soft", "Dice, micro soft (paper)"),
    ("iou_micro_soft", "IoU, micro soft (paper)"),
)


def history(rows: Sequence[Mapping[str, str]], caption: str = "") -> Figure:
    """The paper's Figure 3, accuracy, loss, Dice and IoU for training and validation, and hard Dice per layer."""
    figure = Figure(figsize=(13, 6.4), layout="constrained")
    axes = figure.subplots(2, 3).flat
    for name, label in PANELS:
        axis = next(axes)
        for stage, style in (("train", "--"), ("val", "-")):
            epochs, values = _series(rows, f"{stage}/{name}")
            axis.plot(epochs, values, style, color="black", label=stage, marker="." if len(epochs) < 3 else None)
        axis.set(xlabel="epoch", ylabel=label)
        axis.legend(frameon=False)
    axis = next(axes)
    for layer in CLASSES[1:]:
        epochs, values = _series(rows, f"val_class/dice/{layer.name}")
        marker = "." if len(epochs) < 3 else None
        axis.plot(epochs, values, color=f"#{bytes(layer.colour).hex()}", label=layer.name, marker=marker)
    axis.set(xlabel="epoch", ylabel="validation Dice per layer (hard, pooled)", ylim=(0, 1))
    axis.legend(frameon=False, fontsize=8, ncols=2)
    axis = next(axes)
    axis.plot(*_series(rows, "lr"), color="black")
    axis.set(xlabel="epoch", ylabel="learning rate", yscale="log")
    figure.suptitle(caption, fontsize=9)
    return figure


def _series(rows: Sequence[Mapping[str, str]], name: str) -> tuple[list[int], list[float]]:
    """Epochs (from 1) that logged a name, and its values."""
    logged = [row for row in rows if row.get(name)]
    return [int(row["epoch"]) + 1 for row in logged], [float(row[name]) for row in logged]
