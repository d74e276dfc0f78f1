"""The figures of an evaluation: figures/*.png and *.pdf in its folder, each with its definition and the stamp."""

from collections.abc import Iterator
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
        for name, figure in _figures(evaluation):
            save_png_and_pdf(figure, partial / name, DPI)


def _figures(evaluation: Evaluation) -> "Iterator[tuple[str, Figure]]":
    found, axial_um = evaluation.misclassified, _common_axial_um(evaluation)
    yield "scores", _scores(evaluation)
    text = "Wrong pixels by distance to the nearest true surface, along the A-scan, from the middle of the pixel."
    yield "errors_by_distance", figures.errors_by_distance(found.by_distance(), axial_um, _caption(evaluation, text))
    text = (
        "Share of pixels that are wrong, by depth below the true inner limiting membrane (ILM) and by place in the "
        "width; all scans together. White: no pixel."
    )
    depths = list(range(*MAP_DEPTHS_PX, MAP_BIN_PX))
    planes = (found.error_map[0], found.error_map[1])
    yield "error_map", figures.error_map(*planes, depths, MAP_BIN_PX, axial_um, _caption(evaluation, text))
    text = (
        "Left: false positives (too many) and false negatives (too few) over the class's true pixels. Right: the "
        "classes that its missed pixels were given to; background lies next to the first and to the last layer."
    )
    shares, neighbours = found.over_and_under(), found.neighbours()
    yield "over_and_under", figures.over_and_under(shares, neighbours, _caption(evaluation, text))
    if (figure := _reliability(evaluation)) is not None:
        yield "reliability", figure
    if (figure := _worst(evaluation)) is not None:
        yield "worst_scans", figure


def _scores(evaluation: Evaluation) -> "Figure":
    def mark(score: str, of: str) -> figures.ScoreMark:
        row = evaluation.find(score, of, "pooled")
        assert row is not None
        return figures.ScoreMark(of, row.value, row.low, row.high, row.ceiling, row.ceiling_low, row.ceiling_high)

    text = (
        "Dice: 2 TP / (2 TP + FP + FN), pooled over the pixels of all scans. Surface error: mean distance along the "
        "A-scan, over columns in which both surfaces are known. Lines: 95 % bootstrap interval over "
        f"{len(evaluation.subjects)} subject(s)."
    )
    if any(record.ceiling is not None for record in evaluation.records):
        text += f" {evaluation.origin.ceiling}: {evaluation.origin.ceiling_note}."
    return figures.scores_with_ceiling(
        [mark("dice", name) for name in LAYER_NAMES],
        [mark("surface_mean_absolute", name) for name in SURFACE_NAMES],
        evaluation.unit,
        evaluation.origin.ceiling,
        _caption(evaluation, text),
    )


def _reliability(evaluation: Evaluation) -> "Figure | None":
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
        f"Reliability: accuracy of pixels by confidence, in 15 bins. Expected calibration error {', '.join(errors)}. "
        f"Temperature: {evaluation.scaling.fitted_on}."
    )
    return figures.reliability(before, after, _caption(evaluation, text))


def _worst(evaluation: Evaluation) -> "Figure | None":
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
    text = "The worst scans: lowest mean Dice of the layers that are in the truth (at the left)."
    return predictions(shown, _caption(evaluation, text))


def _common_axial_um(evaluation: Evaluation) -> float | None:
    """The pixel's axial size if it is the same in all scans."""
    sizes = {record.axial_um for record in evaluation.records}
    size = sizes.pop()
    return None if sizes or size != size else size


def _caption(evaluation: Evaluation, text: str) -> str:
    """Definition, then what was scored, and the stamp."""
    origin = evaluation.origin
    scans = f"{len(evaluation.records)} scans of {len(evaluation.subjects)} subject(s)"
    return f"{text}\n{origin.data_name}, labels {origin.label_origin}: {scans}; {origin.stamp}"
