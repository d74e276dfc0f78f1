"""The charts of a report: scores by layer and by surface, curves over epochs, reliability."""

import math
from collections.abc import Sequence
from typing import Any

from retseg.anatomy import LAYER_NAMES, SURFACE_NAMES
from retseg.report.charts import EPOCH, Chart, MarkedRow, Series, line_chart, mark_chart
from retseg.report.colours import RUN_STYLES, RunStyle
from retseg.report.run_folder import ReportedRun
from retseg.report.tables import history_values, unit_of

CURVES = {
    "loss": "loss",
    "dice_macro_layers": "Dice, mean of the 7 layers",
    "iou_macro_layers": "IoU, mean of the 7 layers",
    "accuracy": "share of pixels given their class",
}
LEAST_SHARE = 0.001
"""Of the pixels of a group, in a bin of confidence that is drawn: in emptier ones accuracy is chance."""
GROUPS = {"all": "all annotated pixels", "layers": "pixels predicted to be a layer"}


def style_of(run: ReportedRun) -> RunStyle:
    """How a run is drawn in every chart."""
    return RUN_STYLES[ord(run.letter) - ord("A")]


def score_charts(runs: Sequence[ReportedRun]) -> list[Chart]:
    """Dice by layer of the runs that are scored, and mean absolute error by surface: a chart for each unit."""
    scored = [run for run in runs if run.evaluation is not None]
    if not scored:
        return []
    titles = ("Dice by layer", "Dice, pooled over pixels (higher is better)")
    charts = [_mark_chart(titles, "dice", LAYER_NAMES, scored, 3)]
    for unit in dict.fromkeys(unit_of(run) for run in scored):
        titles = ("Surface error", f"mean absolute error, {unit} (lower is better)")
        alike = [run for run in scored if unit_of(run) == unit]
        charts.append(_mark_chart(titles, "surface_mean_absolute", SURFACE_NAMES, alike, 1, from_zero=True))
    return charts


def _mark_chart(
    titles: tuple[str, str],
    score: str,
    names: Sequence[str],
    runs: Sequence[ReportedRun],
    digits: int,
    from_zero: bool = False,
) -> Chart:
    """One score of layers or surfaces with intervals, a mark for each run."""
    rows = [MarkedRow(name, [_value(run, score, name) for run in runs]) for name in names]
    words = f"{titles[0]} with 95 % intervals, runs {', '.join(run.letter for run in runs)}: {titles[1]}"
    return mark_chart(titles, rows, [style_of(run) for run in runs], words, digits, from_zero)


def _value(run: ReportedRun, score: str, of: str) -> tuple[float, float, float]:
    row = run.find(score, of)
    if row is None:
        return math.nan, math.nan, math.nan
    low, high = (math.nan if row[end] is None else float(row[end]) for end in ("low", "high"))
    return float(row["value"]), low, high


def curve_charts(runs: Sequence[ReportedRun]) -> list[Chart]:
    """Each of CURVES over epochs, training thin and validation thick."""
    charts = []
    for name, words in CURVES.items():
        series = []
        for run in runs:
            for side in ("train", "val"):
                values = history_values(run.history, f"{side}/{name}")
                logged = [(float(row["epoch"]) + 1, value) for row, value in zip(run.history, values, strict=True)]
                logged = [(epoch, value) for epoch, value in logged if math.isfinite(value)]  # not each is validated
                if logged:
                    epochs, values = ([*column] for column in zip(*logged, strict=True))
                    series.append(Series(f"{run.letter}, {side}", epochs, values, style_of(run), side == "train"))
        if series:
            shown = f"{words} over epochs; training thin, validation thick"
            charts.append(line_chart((words[:1].upper() + words[1:], EPOCH, ""), series, shown))
    return charts


def reliability_charts(run: ReportedRun) -> list[Chart]:
    """Accuracy by confidence for each of GROUPS, as predicted (thick) and after temperature scaling (thin)."""
    if run.evaluation is None or run.evaluation["calibration"].get("unscaled") is None:
        return []
    calibration, charts = run.evaluation["calibration"], []
    for group, words in GROUPS.items():
        series = []
        for kind, name in (("scaled", "scaled"), ("unscaled", "as predicted")):
            table = (calibration.get(kind) or {}).get(group)
            if table is not None:
                columns = (_numbers(table[column]) for column in ("confidence", "accuracy", "share"))
                known = [(x, y) for x, y, share in zip(*columns, strict=True) if share >= LEAST_SHARE]
                xs, ys = [x for x, _ in known], [y for _, y in known]
                series.append(Series(name, xs, ys, style_of(run), kind == "scaled"))
        title = (f"Reliability, {words}", "confidence", "accuracy")
        text = f"Accuracy by confidence in 15 bins, {words}; on the diagonal confidence is right"
        charts.append(line_chart(title, [_unit_range(), *series], text, (0.0, 1.0), has_diagonal=True))
    return charts


def _unit_range() -> Series:
    """No line, but the axis from 0 to 1."""
    return Series("", [0.0, 1.0], [math.nan, math.nan], RUN_STYLES[0])


def _numbers(values: Sequence[Any]) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]
