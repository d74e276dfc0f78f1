"""Every figure of retseg as the gallery shows it: what draws it, from what, and which command makes it in real life."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retseg.anatomy import CLASS_NAMES
from retseg.commands import evaluation_figures as scored
from retseg.commands import explanation_figures as explained
from retseg.commands import gallery_made_up as made_up
from retseg.commands.gallery_material import METHOD, Material
from retseg.data.scan_sums import mask_of
from retseg.figures import (
    curves,
    describe,
    en_face,
    evaluation,
    explanations,
    heatmaps,
    overlay,
    reproduction,
    scans,
    sweep_settings,
    sweeps,
    thickness,
)
from retseg.geometry.thickness import thickness_profile
from retseg.inference.volume_files import TOTAL, retina_brightness
from retseg.reproduction.paper_values import PAPER

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[Material], "Figure | None"]
NUM_SAMPLES = 2


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One figure: its file's name, the function of retseg.figures that draws it, and the command that makes it.

    of: what it is drawn from here: "scans", "training", "phantom volume" or "made-up values".
    """

    name: str
    function: Callable[..., "Figure"]
    command: str
    of: str
    draw: Draw


def _of_evaluation(name: str, function: Callable[..., "Figure"]) -> Exhibit:
    draw = scored.FIGURES[name]
    return Exhibit(name, function, "retseg evaluate RUN", "scans", lambda material: draw(material.evaluation))


def _samples(material: Material) -> "Figure":
    source = material.scans.source
    read = [source.read(key) for key in source.keys[:NUM_SAMPLES]]
    shown = [describe.Sample(scan.key.name, scan.image, mask_of(scan)) for scan in read]
    return describe.sample_grid(shown, f"{source.name}, {source.label_origin} labels")


def _curves(material: Material) -> "Figure":
    return curves.history(*_rows(material))


def _curves_beside_paper(material: Material) -> "Figure":
    names = ("accuracy", "loss", "dice_micro_soft", "iou_micro_soft")
    pairs = (PAPER.accuracy, PAPER.loss, PAPER.dice, PAPER.iou)
    finals = {name: pair[1] for name, pair in zip(names, pairs, strict=True)}
    rows, caption = _rows(material)
    return reproduction.curves_beside_paper(rows, finals, PAPER.plateau_accuracy[1], caption)


def _rows(material: Material) -> tuple[Sequence[dict[str, str]], str]:
    """Rows of a training and who trained; made up where no training is at hand."""
    if material.history is None:
        return made_up.history(), made_up.WORDS
    return material.history, f"Of {material.title}; {material.scans.stamp}."


def _counts(material: Material) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """Pixels (C, C) of all scans, by true and predicted class."""
    counts = np.sum([record.confusion for record in material.evaluation.records], axis=0)
    return np.asarray(counts, np.float64)


def _origin(material: Material) -> str:
    origin = material.evaluation.origin
    return f"Of {material.title}: {origin.data_name}, {origin.label_origin} labels; {origin.stamp}."


def _confusion(material: Material) -> "Figure":
    return scans.confusion(_counts(material), CLASS_NAMES, _origin(material))


def _scores_by_class(material: Material) -> "Figure":
    counts = _counts(material)
    hit, true, found = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    with np.errstate(invalid="ignore"):
        iou = np.array([PAPER.class_iou, np.where(true > 0, hit / (true + found - hit), np.nan)])
        recall = np.array([[p / 100 for p in PAPER.class_accuracy_percent], np.where(true > 0, hit / true, np.nan)])
    return reproduction.scores_by_class(iou, recall, CLASS_NAMES, f"IoU pooled over pixels. {_origin(material)}")


def _maps(material: Material) -> "Figure":
    scan, found, judged = material.explained
    return explained.maps_figure(found, judged, scan, METHOD, material.scans.stamp)


def _overlay(material: Material) -> "Figure":
    scan, found, judged = material.explained
    record = next(record for record in judged.records if record.layer == material.layers[-1] and record.class_id == 5)
    return explained.overlay_figure(found, judged, record, scan)


def _thickness_along(material: Material) -> "Figure":
    scan = material.volume.scans[len(material.volume.scans) // 2]
    return thickness.thickness_along(thickness_profile(scan.surface_rows, scan.spacing), scan.spacing, scan.name)


def _en_face(material: Material) -> "Figure":
    measured, fovea = material.map
    return en_face.retina_en_face(retina_brightness(material.volume), measured.placed(), fovea, material.volume.stem)


EXHIBITS = (
    Exhibit("samples", describe.sample_grid, "retseg data describe -s duke --root DIR -o OUT", "scans", _samples),
    Exhibit(
        "gray_levels", describe.gray_histograms, "retseg data describe -s duke --root DIR -o OUT", "scans",
        lambda material: describe.gray_histograms(material.description),
    ),
    Exhibit(
        "class_balance", describe.class_balance, "retseg data describe -s duke --root DIR -o OUT", "scans",
        lambda material: describe.class_balance(material.description),
    ),
    Exhibit(
        "thickness", describe.thickness, "retseg data describe -s duke --root DIR -o OUT", "scans",
        lambda material: describe.thickness(material.description),
    ),
    Exhibit("curves", curves.history, "python -m retseg.train", "training", _curves),
    Exhibit("confusion", scans.confusion, "python -m retseg.train", "scans", _confusion),
    _of_evaluation("scores", evaluation.scores_with_ceiling),
    _of_evaluation("errors_by_distance", evaluation.errors_by_distance),
    _of_evaluation("error_map", evaluation.error_map),
    _of_evaluation("over_and_under", evaluation.over_and_under),
    _of_evaluation("reliability", evaluation.reliability),
    _of_evaluation("worst_scans", scans.predictions),
    Exhibit("heatmaps", heatmaps.heatmaps, "retseg explain RUN", "scans", _maps),
    Exhibit("overlay", overlay.overlay, "retseg explain RUN --overlays", "scans", _overlay),
    Exhibit(
        "verdicts", explanations.verdict_table, "retseg explain RUN --check", "scans",
        lambda material: explained.verdict_figure(material.tried),
    ),
    Exhibit(
        "faithfulness", explanations.curves, "retseg explain RUN --check", "scans",
        lambda material: explained.faithfulness_figure(material.tried, material.tried.trial.layers[-1]),
    ),
    Exhibit(
        "randomisation", explanations.similarity_steps, "retseg explain RUN --check", "scans",
        lambda material: explained.randomisation_figure(material.tried, material.tried.trial.layers[-1]),
    ),
    Exhibit(
        "planted_evidence", explanations.hit_rates, "python -m benchmarks.planted_evidence RUN...", "made-up values",
        lambda _: made_up.planted_evidence(),
    ),
    Exhibit(
        "thickness_map", thickness.thickness_en_face, "retseg predict VOLUME -o OUT", "phantom volume",
        lambda material: thickness.thickness_en_face(material.map[0], TOTAL, material.map[1], material.volume.stem),
    ),
    Exhibit(
        "layer_maps", en_face.layer_maps, "retseg predict VOLUME -o OUT", "phantom volume",
        lambda material: en_face.layer_maps(*material.map, material.volume.stem),
    ),
    Exhibit("en_face", en_face.retina_en_face, "retseg predict VOLUME -o OUT", "phantom volume", _en_face),
    Exhibit(
        "thickness_along", thickness.thickness_along, "retseg measure MASKS -o OUT --spacing UM,UM", "phantom volume",
        _thickness_along,
    ),
    Exhibit(
        "leakage", sweeps.paired_subjects, "python -m retseg.train ... sweep=leakage", "made-up values",
        lambda _: made_up.leakage(),
    ),
    Exhibit(
        "ablation", sweeps.differences, "python -m retseg.train ... sweep=ablation", "made-up values",
        lambda _: made_up.ablation(),
    ),
    Exhibit(
        "settings", sweep_settings.parallel_settings, "retseg compare SWEEP -o OUT", "made-up values",
        lambda _: made_up.sweep_settings(),
    ),
    Exhibit(
        "importance", sweep_settings.setting_importance, "retseg compare SWEEP -o OUT", "made-up values",
        lambda _: made_up.sweep_importance(),
    ),
    Exhibit(
        "paper_curves", reproduction.curves_beside_paper, "retseg reproduce RUN", "training", _curves_beside_paper,
    ),
    Exhibit("paper_scores", reproduction.scores_by_class, "retseg reproduce RUN", "scans", _scores_by_class),
    Exhibit(
        "paper_table", reproduction.table_picture, "retseg reproduce RUN", "made-up values",
        lambda _: made_up.paper_table(),
    ),
)  # fmt: skip
"""In the order of a study: data, training, scores, explanations, thickness, sweeps, the paper."""
