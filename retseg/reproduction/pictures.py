"""The paper's Figures 1, 3, 4, 5 and 6 from a run, and its tables as pictures: facts to arrays to figures."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from retseg.anatomy import CLASS_NAMES
from retseg.explain.score import PAPER_SCORE
from retseg.figures.describe import sample_grid
from retseg.figures.heatmaps import HeatmapRow, heatmaps
from retseg.figures.reproduction import curves_beside_paper, scores_by_class, table_picture
from retseg.figures.saving import bytes_of
from retseg.figures.scans import predictions
from retseg.reproduction.claims.explanation import LAST, SECOND_LAST
from retseg.reproduction.read_run import on_image_grid
from retseg.reproduction.run_facts import RunFacts
from retseg.reproduction.tables import ComparisonTable


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A figure as PNG and PDF with what stands below it; empty files and a caption that says why where it lacks."""

    name: str
    title: str
    caption: str
    png: bytes = b""
    pdf: bytes = b""


def pictures(facts: RunFacts) -> Iterator[Picture]:
    """Figures 1, 3, 4, 5 and 6, one after the other."""
    yield figure_1(facts)
    yield figure_3(facts)
    yield figure_4(facts)
    yield figure_5(facts)
    yield figure_6(facts)


def picture_of_table(table: ComparisonTable) -> bytes:
    """A table as PNG."""
    return bytes_of(table_picture(table.title, table.columns, table.rows, table.notes), "png", dpi=150)


def figure_1(facts: RunFacts) -> Picture:
    """Two scans and their masks."""
    title = "Figure 1. Scans and their masks"
    if facts.scans is None:
        return _lacking(facts, "figure1", title, "scans")
    figure = sample_grid(facts.scans.samples, f"{facts.data_name}, {facts.label_origin} labels")
    caption = (
        "Two scans, gray and in class colours, every pixel as it was read. The paper shows its masks in jet colours "
        "that are smoothed, which draws a thin false layer where class 7 meets class 0."
    )
    return Picture("figure1", title, caption, bytes_of(figure, "png", 110), bytes_of(figure, "pdf"))


def figure_3(facts: RunFacts) -> Picture:
    """Curves over epochs, with the paper's final values."""
    paper = facts.paper
    finals = {
        "accuracy": paper.accuracy[1],
        "loss": paper.loss[1],
        "dice_micro_soft": paper.dice[1],
        "iou_micro_soft": paper.iou[1],
    }
    figure = curves_beside_paper(facts.history, finals, paper.plateau_accuracy[1], facts.stamp)
    caption = (
        "Training (dashed) and validation (solid) over epochs; dotted, the paper's final validation values and the "
        "accuracy at which its curves lie flat at first. Dice per layer and learning rate are not in the paper."
    )
    title = "Figure 3. Training curves"
    return Picture("figure3", title, caption, bytes_of(figure, "png", 110), bytes_of(figure, "pdf"))


def figure_4(facts: RunFacts) -> Picture:
    """Three scans, truths and predictions."""
    title = "Figure 4. Truth and prediction"
    if facts.scans is None:
        return _lacking(facts, "figure4", title, "scans")
    figure = predictions(facts.scans.predicted, f"{facts.data_name}, {facts.label_origin} labels; {facts.stamp}")
    caption = (
        "Validation scans on the network's grid: B-scan, truth, prediction, and the wrong pixels, which the paper "
        "leaves out. Chosen by position in the validation set, not by how they came out."
    )
    return Picture("figure4", title, caption, bytes_of(figure, "png", 110), bytes_of(figure, "pdf"))


def figure_5(facts: RunFacts) -> Picture:
    """IoU and recall by class, the paper's beside the run's."""
    paper = facts.paper
    iou = _pair(paper.class_iou, facts.class_iou())
    recall = _pair([percent / 100 for percent in paper.class_accuracy_percent], facts.class_recall())
    how = "pooled over pixels" if facts.evaluation is None else "mean over scans, an absent class counting 0"
    caption = (
        f"IoU by class (run: {how}) and recall, which the paper calls accuracy (pooled): paper and run. "
        f"{facts.why_unsettled[:1].upper()}{facts.why_unsettled[1:]}{'.' if facts.why_unsettled else ''}"
    )
    figure = scores_by_class(iou, recall, CLASS_NAMES, f"{facts.data_name}, {facts.label_origin} labels; {facts.stamp}")
    return Picture("figure5", "Figure 5. Scores by class", caption, bytes_of(figure, "png"), bytes_of(figure, "pdf"))


def figure_6(facts: RunFacts) -> Picture:
    """Grad-CAM of eight classes at the paper's two layers."""
    title = "Figure 6. Grad-CAM"
    cam = facts.cam
    names = [name for name in (SECOND_LAST, LAST) if cam is not None and name in cam.layers]
    if cam is None or not names:
        return _lacking(facts, "figure6", title, "gradcam")
    rows = [
        HeatmapRow(name, layer.module, on_image_grid(layer.normalised, cam.image.shape), layer.raw_max)
        for name, layer in ((name, cam.layers[name]) for name in names)
    ]
    figure = heatmaps(cam.image, rows, title=f"Grad-CAM of {cam.scan}, epoch {cam.epoch}", score=PAPER_SCORE.describe())
    caption = (
        "Heat maps of all classes at the paper's two layers, colours as the bar says (the paper's have red and blue "
        "swapped). The lower row is the prediction itself, by definition, for any network."
    )
    return Picture("figure6", title, caption, bytes_of(figure, "png", 110), bytes_of(figure, "pdf"))


def _lacking(facts: RunFacts, name: str, title: str, what: str) -> Picture:
    return Picture(name, title, f"Not drawn: no {what}. {facts.lacking(what).command}")


def _pair(printed: object, ours: object) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Rows (2, C): the paper's values and the run's, nan where absent."""
    return np.array([printed, ours], dtype=np.float64)
