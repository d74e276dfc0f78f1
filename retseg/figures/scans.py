"""Pictures of B-scans with their classes. Images are (H, W) gray levels 0..255, masks (H, W) class ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from retseg.anatomy import CLASSES, IGNORE
from retseg.figures.captions import describe
from retseg.figures.palette import LAYER_COLOURS, NOT_ANNOTATED, NOT_ANNOTATED_COLOUR, WRONG_COLOUR

Array = npt.NDArray[Any]


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
    entries = [*LAYER_COLOURS.items(), ("not annotated", NOT_ANNOTATED)]
    return [Patch(facecolor=colour, edgecolor="gray", label=name) for name, colour in entries]


def predictions(pictures: Sequence[ScanPicture], caption: str = "") -> Figure:
    """Image, truth, prediction and errors of some scans, a row each (the paper's Figure 4, with an error map)."""
    aspects = [picture.image.shape[0] / picture.image.shape[1] for picture in pictures]
    heights_in = [2.9 * aspect + 0.35 for aspect in aspects]
    figure = Figure(figsize=(12.4, 0.3 + sum(heights_in)), layout="constrained")
    axes = figure.subplots(len(pictures), 4, squeeze=False, height_ratios=heights_in)
    for axis, title in zip(axes[0], ("B-scan", "truth", "prediction", "wrong pixels"), strict=True):
        axis.set_title(title, fontsize=11)
    for row, picture in zip(axes, pictures, strict=True):
        wrong = (picture.prediction != picture.truth) & (picture.truth != IGNORE)
        errors = np.repeat(np.clip(picture.image, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        errors[wrong] = WRONG_COLOUR
        shown = (picture.image, colour_mask(picture.truth), colour_mask(picture.prediction), errors)
        for axis, panel in zip(row, shown, strict=True):
            axis.imshow(panel, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
        row[0].set_ylabel(picture.name, fontsize=9)
        share = wrong.sum() / max((picture.truth != IGNORE).sum(), 1)
        row[3].set_xlabel(f"wrong: {100 * share:.1f} % of annotated pixels", fontsize=8.5)
    figure.legend(handles=class_legend(), loc="outside lower center", ncols=9, fontsize=8.5, frameon=False)
    definitions = (
        "A row a scan. Wrong (red): annotated pixels that were given another class than the truth's, any class for any "
        "other counting the same; pixels that nobody annotated count nowhere. One pixel of the picture is one pixel "
        "of the masks, and need not be square on the retina."
    )
    return describe(figure, "Scans: truth and prediction", definitions, caption)


def confusion(counts: Array, class_names: Sequence[str], caption: str = "") -> Figure:
    """Confusion matrix: rows truth, columns prediction; share of the true class's pixels (C, C from counts)."""
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    figure = Figure(figsize=(7.4, 5.9), layout="constrained")
    axis = figure.subplots()
    _draw_shares(axis, shares)
    axis.set_xticks(range(len(class_names)), class_names, rotation=40, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(class_names)), class_names)
    axis.set(xlabel="predicted class", ylabel="true class")
    definitions = (
        "Share of a true class's pixels (%) that were given each class, pooled over the pixels of all scans: rows add "
        "up to 100 %, the diagonal is recall. Empty: below 0.05 %. Absent: the truth has no such pixel. What nobody "
        "annotated is left out."
    )
    return describe(figure, "Which class was taken for which", definitions, caption)


def _draw_shares(axis: Axes, shares: Array) -> None:
    """Cells (C, C) shaded by share with their percentages, and a bar of the shades."""
    edges = [0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1]
    shades = ListedColormap([str(shade) for shade in np.linspace(1, 0.45, len(edges) - 1)])
    picture = axis.imshow(100 * shares, cmap=shades, norm=BoundaryNorm([100 * edge for edge in edges], shades.N))
    for (i, j), share in np.ndenumerate(shares):
        text = "absent" if np.isnan(share) else f"{100 * share:.1f}" if share >= 0.0005 else ""
        is_absent_row = np.isnan(share) and j > 0
        axis.text(
            j, i, "" if is_absent_row else text, ha="center", va="center", fontsize=8,
            weight="bold" if i == j else "normal",
        )  # fmt: skip
    bar = axis.figure.colorbar(picture, ax=axis, fraction=0.04, pad=0.02, spacing="uniform")
    bar.set_ticks([100 * edge for edge in edges], labels=[f"{100 * edge:g}" for edge in edges])
    bar.set_label("share of the true class's pixels (%)", fontsize=9)
