"""Tables of scores, a column a run: every value with its interval, its ceiling, and where it stands to it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retseg.anatomy import CLASS_NAMES, LAYER_NAMES, SURFACE_NAMES
from retseg.report.run_folder import ReportedRun, Row

UNKNOWN = "\N{EN DASH}"
"""What stands where there is no number."""
AVERAGES = {
    "pooled_macro": "mean of the {}",
    "pooled_micro": "all pixels of the {} together",
    "mean_over_scans": "{}, mean over scans",
    "mean_over_subjects": "{}, mean over subjects",
}
LAYER_ROWS = tuple((name, "pooled", name) for name in LAYER_NAMES)
CLASS_ROWS = (*LAYER_ROWS, (CLASS_NAMES[0], "pooled", CLASS_NAMES[0]))
LAYER_MEANS = tuple(("layers", average, words.format("7 layers")) for average, words in AVERAGES.items())
SURFACE_ROWS = tuple((name, "pooled", name) for name in SURFACE_NAMES)
SURFACE_MEANS = tuple(("surfaces", average, AVERAGES[average].format("8 surfaces"))
                      for average in ("pooled_macro", "mean_over_subjects"))  # fmt: skip
"""What a row is of, how it averages, and its name."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One run's score: value, interval and ceiling as text, "" where not known; standing: below, at, above, or ""."""

    value: str
    interval: str = ""
    ceiling: str = ""
    standing: str = ""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """A row: its name, and a cell a run; is_mean: of several layers or surfaces together."""

    name: str
    cells: Sequence[Cell]
    is_mean: bool


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """A table with what it is: title, unit, definition, and the title of the ceiling ("" where there is none)."""

    title: str
    unit: str
    definition: str
    ceiling: str
    rows: Sequence[ScoreRow]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A table to make: which score, its title, decimals, and its rows (single ones, then means)."""

    score: str
    title: str
    digits: int
    single: Sequence[tuple[str, str, str]]
    means: Sequence[tuple[str, str, str]]


OVERLAP = tuple(
    Wanted(score, title, 3, CLASS_ROWS, LAYER_MEANS)
    for score, title in (("dice", "Dice"), ("iou", "IoU"), ("recall", "Recall"), ("precision", "Precision"))
)
SURFACES = (
    Wanted("surface_mean_absolute", "Mean absolute error of surfaces", 2, SURFACE_ROWS, SURFACE_MEANS),
    Wanted("surface_rms", "Root mean square error of surfaces", 2, SURFACE_ROWS, SURFACE_MEANS),
    Wanted("surface_p95", "95th percentile of the error of surfaces", 2, SURFACE_ROWS, SURFACE_MEANS),
    Wanted("surface_signed", "Signed error of surfaces (+ is too deep)", 2, SURFACE_ROWS, SURFACE_MEANS),
    Wanted("surface_missing", "Share of columns without the surface", 4, SURFACE_ROWS, SURFACE_MEANS[:1]),
)
THICKNESS = (
    Wanted("thickness_mean_absolute", "Mean absolute error of thickness", 2, LAYER_ROWS, LAYER_MEANS[:1]),
    Wanted("thickness_signed", "Signed error of thickness (+ is too thick)", 2, LAYER_ROWS, LAYER_MEANS[:1]),
)


def score_table(runs: Sequence[ReportedRun], wanted: Wanted) -> ScoreTable:
    """One score of all runs."""
    rows = [_row(runs, wanted, row, False) for row in wanted.single]
    rows += [_row(runs, wanted, row, True) for row in wanted.means]
    scored = [run for run in runs if run.evaluation is not None]
    definitions = {str(run.evaluation["definitions"].get(wanted.score, "")) for run in scored if run.evaluation}
    has_ceiling = any(cell.ceiling for row in rows for cell in row.cells)
    titles = {str(run.evaluation["ceiling"]["title"]) for run in scored if run.evaluation} if has_ceiling else set()
    is_distance = wanted.score.startswith(("surface", "thickness")) and wanted.score != "surface_missing"
    units = {unit_of(run) for run in scored} if is_distance else {""}
    return ScoreTable(
        wanted.title, " or ".join(sorted(units)), "; ".join(sorted(definitions)), ", ".join(sorted(titles)), rows
    )


def unit_of(run: ReportedRun) -> str:
    """Unit of a run's distances as it is printed."""
    return "µm" if run.unit == "um" else run.unit


def _row(runs: Sequence[ReportedRun], wanted: Wanted, row: tuple[str, str, str], is_mean: bool) -> ScoreRow:
    of, average, name = row
    return ScoreRow(name, [cell_of(run.find(wanted.score, of, average), wanted.digits) for run in runs], is_mean)


def cell_of(score: Mapping[str, Any] | None, digits: int) -> Cell:
    """A cell from a row of metrics.json."""
    if score is None:
        return Cell(UNKNOWN)
    interval = "" if score["low"] is None else f"{score['low']:.{digits}f} to {score['high']:.{digits}f}"
    ceiling = "" if score["ceiling"] is None else f"{score['ceiling']:.{digits}f}"
    return Cell(f"{score['value']:.{digits}f}", interval, ceiling, score["standing"] if ceiling else "")


@dataclass(frozen=True, slots=True)
class ConfusionCell:
    """Share of a true class's pixels that were given a class, in %: as text, and 0..1 for its shade."""

    words: str
    shade: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """Rows: true classes; columns: what their pixels were given. where: on which pixels it was counted."""

    letter: str
    where: str
    rows: Sequence[tuple[str, Sequence[ConfusionCell]]]


def confusion_of(run: ReportedRun) -> Confusion:
    """The confusion matrix of the evaluation, by truth; of training's own scores where there is no evaluation."""
    if run.evaluation is not None:
        counts, where = run.evaluation["misclassification"]["confusion"], "all scored pixels, on the scans' own grid"
    else:
        counts, where = run.metrics["val"]["confusion"], "validation scans, on the network's grid"
    rows = []
    for name, row in zip(CLASS_NAMES, counts, strict=True):
        total = sum(row)
        cells = [ConfusionCell(_percent(count / total), count / total) if total else ConfusionCell(UNKNOWN, 0.0)
                 for count in row]  # fmt: skip
        rows.append((name, cells))
    return Confusion(run.letter, where, rows)


def _percent(share: float) -> str:
    """E.g. "97", "0.4", and "" for less than a twentieth of a percent."""
    percent = 100 * share
    if percent < 0.05:
        return ""
    return f"{percent:.1f}" if percent < 10 else f"{percent:.0f}"


def history_values(history: Sequence[Row], name: str) -> list[float]:
    """A column of metrics.csv; nan where an epoch did not log it."""
    return [float(row[name]) if row.get(name) else math.nan for row in history]
