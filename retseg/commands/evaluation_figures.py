"""The figures of an evaluation: figures/*.png and *.pdf in its folder, each with its definition and the stamp."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from retseg.anatomy import LAYER_NAMES, SURFACE_NAMES
from retseg.evaluation.atomic import replacing_folder
from retseg.evaluation.evaluation import Evaluation, mean_layer_dice
from retseg.evaluation.output import reliability_table
from retseg.figures import evaluation as figures
from retseg.figures.saving import save_png_and_pdf
from retseg.figures.scans import ScanPicture, predictions
from retseg.metrics.calibration import UNSCALED
from retseg.metrics.misclassification import MAP_BIN_PX, MAP_DEPTHS_PX

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 110


def draw_figures(evaluation: Evaluation, folder: Path) -> None:
    """Draw all figures anew; the folder holds the old ones until the new ones are whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(folder) as partial:
        for name, drawn in FIGURES.items():
            if (figure := drawn(evaluation)) is not None:
                save_png_and_pdf(figure, partial / name, DPI)


def errors_by_distance(evaluation: Evaluation) -> "Figure":
    """Wrong pixels by their distance to a surface."""
    text = (
        "Distance: to the nearest true surface, along the A-scan, from the middle of the pixel; pooled over the "
        "annotated pixels of all scans. None: no pixel lies so far off."
    )
    rows = evaluation.misclassified.by_distance()
    return figures.errors_by_distance(rows, _common_axial_um(evaluation), _caption(evaluation, text))


def error_map(evaluation: Evaluation) -> "Figure":
    """Wrong pixels by depth and place."""
    text = (
        "Share of annotated pixels that are wrong, by depth below the true inner limiting membrane (ILM) and by place "
        "in the width; all scans together. Gray: no pixel."
    )
    depths = list(range(*MAP_DEPTHS_PX, MAP_BIN_PX))
    wrong, pixels = evaluation.misclassified.error_map
    axial_um = _common_axial_um(evaluation)
    return figures.error_map(wrong, pixels, depths, MAP_BIN_PX, axial_um, _caption(evaluation, text))


def over_and_under(evaluation: Evaluation) -> "Figure":
    """Pixels too many and too few by class."""
    text = (
        "Left: false positives (too many) and false negatives (too few) over the class's true pixels, pooled over all "
        "scans; absent: the truth has none. Right: the classes that its missed pixels were given to; background lies "
        "next to the first and to the last layer."
    )
    found = evaluation.misclassified
    return figures.over_and_under(found.over_and_under(), found.neighbours(), _caption(evaluation, text))


def scores(evaluation: Evaluation) -> "Figure":
    """Dice and surface errors beside their ceiling."""

    def mark(score: str, of: str) -> figures.ScoreMark:
        row = evaluation.find(score, of, "pooled")
        assert row is not None
        return figures.ScoreMark(of, row.value, row.low, row.high, row.ceiling, row.ceiling_low, row.ceiling_high)

    text = (
        "Dice: 2 TP / (2 TP + FP + FN), pooled over the pixels of all scans. Surface error: mean distance along the "
        "A-scan, over columns in which both surfaces are known. No dot: absent. Lines: 95 % bootstrap interval over "
        f"{_subjects(evaluation)}."
    )
    if any(record.ceiling is not None for record in evaluation.records):
        ceiling = evaluation.origin.ceiling
        text += f" {ceiling[:1].upper()}{ceiling[1:]}: {evaluation.origin.ceiling_note}."
    return figures.scores_with_ceiling(
        [mark("dice", name) for name in LAYER_NAMES],
        [mark("surface_mean_absolute", name) for name in SURFACE_NAMES],
        evaluation.unit,
        evaluation.origin.ceiling,
        _caption(evaluation, text),
    )


def reliability(evaluation: Evaluation) -> "Figure | None":
    """Before and after scaling; None without probabilities."""
    before = reliability_table(evaluation.records, [UNSCALED] * len(evaluation.records))
    if before is None:
        return None
    after = reliability_table(evaluation.records, evaluation.scaling.of_scans)
    errors = []
    for score, words in (("ece", "as predicted"), ("ece_scaled", "scaled")):
        row = evaluation.find(score, "all", "pooled")
        errors += [] if row is None else [f"{row.value:.4f} {words}"]
    text = (
        "Accuracy of pixels by confidence, in 15 bins, every 11th pixel of all scans; an empty bin has no dot. "
        f"Expected calibration error (mean |accuracy - confidence| by pixels) {', '.join(errors)}. "
        f"Temperature: {evaluation.scaling.fitted_on}."
    )
    return figures.reliability(before, after, _caption(evaluation, text))


def worst_scans(evaluation: Evaluation) -> "Figure | None":
    """The worst scans as pictures; None where no image is at hand."""
    by_name = {record.name: record for record in evaluation.records}
    shown = [
        ScanPicture(f"{case.name}\nDice {mean_layer_dice(by_name[case.name]):.3f}", case.image, case.truth.mask,
                    case.prediction.mask)
        for case in evaluation.worst
        if case.image is not None
    ]  # fmt: skip
    if not shown:
        return None
    text = "The worst scans, by the mean Dice of the layers that are in the truth (at the left)."
    return predictions(shown, _caption(evaluation, text))


def _common_axial_um(evaluation: Evaluation) -> float | None:
    """The pixel's axial size if it is the same in all scans."""
    sizes = {record.axial_um for record in evaluation.records}
    size = sizes.pop()
    return None if sizes or size != size else size


def _caption(evaluation: Evaluation, text: str) -> str:
    """Definition, then what was scored, and the stamp."""
    origin = evaluation.origin
    scans = f"{len(evaluation.records)} scans of {_subjects(evaluation)}"
    return f"{text}\nData: {origin.data_name}, labels {origin.label_origin}: {scans}; {origin.stamp}."


def _subjects(evaluation: Evaluation) -> str:
    """Their number in words."""
    count = len(evaluation.subjects)
    return f"{count} subject{'s' * (count != 1)}"


FIGURES: "dict[str, Callable[[Evaluation], Figure | None]]" = {
    "scores": scores,
    "errors_by_distance": errors_by_distance,
    "error_map": error_map,
    "over_and_under": over_and_under,
    "reliability": reliability,
    "worst_scans": worst_scans,
}
"""What draws each figure by its file's name; None where an evaluation has nothing for it."""
