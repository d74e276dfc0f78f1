"""Pictures of B-scans with their classes. Images are (H, W) gray levels 0..255, masks (H, W) class ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from retseg.anatomy import CLASSES, IGNORE

Array = npt.NDArray[Any]

NOT_ANNOTATED_COLOUR = (200, 200, 200)
WRONG_COLOUR = (200, 30, 30)


@dataclass(frozen=True)
class ScanPicture:
    """One row of a prediction figure."""

    name: str
    image: Array
    truth: Array
    prediction: Array


def colour_mask(mask: Array) -> Array:
    """RGB (H, W, 3) uint8 of class ids (H, W); IGNORE is light gray."""
    palette = np.array([*(layer.colour for layer in CLASSES), NOT_ANNOTATED_COLOUR], np.uint8)
    coloured: Array = palette[np.where(mask == IGNORE, len(CLASSES), mask)]
    return coloured


def class_legend() -> list[Patch]:
    """Legend entries of all classes and of what is not annotated."""
    entries = [(layer.name, layer.colour) for layer in CLASSES] + [("not annotated", NOT_ANNOTATED_COLOUR)]
    return [Patch(facecolor=f"#{bytes(colour).hex()}", edgecolor="gray", label=name) for name, colour in entries]


def predictions(pictures: Sequence[ScanPicture], caption: str = "") -> Figure:
    """Image, truth, prediction and errors of some scans, a row each (the paper's Figure 4, with an error map)."""
    titles = ("B-scan", "truth", "prediction", "wrong pixels")
    aspect = pictures[0].image.shape[0] / pictures[0].image.shape[1]
    figure = Figure(figsize=(12, 1.0 + 2.9 * max(aspect, 0.4) * len(pictures)), layout="constrained")
    axes = figure.subplots(len(pictures), 4, squeeze=False)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title)
    for row, picture in zip(axes, pictures, strict=True):
        wrong = (picture.prediction != picture.truth) & (picture.truth != IGNORE)
        errors = np.repeat(np.clip(picture.image, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        errors[wrong] = WRONG_COLOUR
        shown = (picture.image, colour_mask(picture.truth), colour_mask(picture.prediction), errors)
        share = wrong.sum() / max((picture.truth != IGNORE).sum(), 1)
        for axis, panel in zip(row, shown, strict=True):
            axis.imshow(panel, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
        row[0].set_ylabel(picture.name)
        row[3].set_xlabel(f"{100 * share:.1f} % of annotated pixels", fontsize=8)
    figure.legend(handles=class_legend(), loc="outside lower center", ncols=9, fontsize=8, frameon=False)
    figure.suptitle(caption, fontsize=9)
    return figure


def confusion(counts: Array, class_names: Sequence[str], caption: str = "") -> Figure:
    """Confusion matrix: rows truth, columns prediction; share of the true class's pixels (C, C from counts)."""
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    figure = Figure(figsize=(6.8, 6.2), layout="constrained")
    axis = figure.subplots()
    edges = [0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0001]
    shades = ListedColormap([str(shade) for shade in np.linspace(1, 0.35, len(edges) - 1)])
    axis.imshow(shares, cmap=shades, norm=BoundaryNorm(edges, len(edges) - 1))
    for (i, j), share in np.ndenumerate(shares):
        text = "absent" if np.isnan(share) else f"{100 * share:.1f}" if share >= 0.0005 else ""
        axis.text(j, i, text, ha="center", va="center", fontsize=8, weight="bold" if i == j else "normal")
    axis.set_xticks(range(len(class_names)), class_names, rotation=40, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(class_names)), class_names)
    axis.set(xlabel="predicted class", ylabel="true class", title=caption)
    axis.title.set_fontsize(9)
    return figure
