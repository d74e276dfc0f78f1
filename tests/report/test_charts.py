import math
from dataclasses import replace

import pytest

from retseg.report.charts import LEFT, RIGHT, TOP, WIDTH, MarkedRow, Series, line_chart, mark_chart, nice_ticks
from retseg.report.colours import RUN_STYLES
from retseg.report.plots import curve_charts, reliability_charts, score_charts
from tests.report.conftest import read
from tests.report.drawn_run import Spacing, draw_run

NAN = math.nan


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.83, 0.97, [0.8, 0.85, 0.9, 0.95, 1]),
        (3, 47, [0, 10, 20, 30, 40, 50]),
        (0.4, 0.4, [0.3, 0.35, 0.4, 0.45, 0.5]),
    ],
)
def test_ticks_are_round_and_span_the_data(low, high, ticks):
    found = nice_ticks(low, high)
    assert found == pytest.approx(ticks)
    assert found[0] <= low
    assert found[-1] >= high


def test_lines_lie_where_their_points_are_and_a_gap_lifts_the_pen():
    chart = line_chart(("t", "x", "y"), [Series("a", [0, 1, 2, 3, 4, 5], [0, 1, NAN, 1, NAN, 0], RUN_STYLES[0])], "w")
    right, bottom = WIDTH - RIGHT, chart.bottom
    step = (right - LEFT) / 5
    first, second, third = chart.lines[0].path.split("M")[1:]
    assert first.split() == [f"{LEFT}", f"{bottom}", "h0", f"L{LEFT + step:g}", f"{TOP}"]
    assert second.split() == [f"{LEFT + 3 * step:g}", f"{TOP}", "h0"]  # alone: a dot
    assert third.split() == [f"{right}", f"{bottom}", "h0"]
    assert [tick.label for tick in chart.x_ticks] == ["0", "1", "2", "3", "4", "5"]


def test_marks_stand_in_rows_and_what_is_unknown_is_left_out():
    rows = [MarkedRow("NFL", [(0.5, 0.0, 1.0), (NAN, NAN, NAN)]), MarkedRow("INL", [(1.0, NAN, NAN), (0.5, 0.5, 0.5)])]
    chart = mark_chart(("t", "x"), rows, RUN_STYLES[:2], "w", 2)
    first, second, third = chart.marks
    assert (first.low, first.high) == (chart.left, chart.right)
    assert first.x == pytest.approx((chart.left + chart.right) / 2)
    assert second.low == second.high == second.x == chart.right
    assert first.y < second.y < third.y < chart.bottom
    assert [mark.words for mark in chart.marks] == ["NFL: 0.50", "INL: 1.00", "INL: 0.50"]


def test_units_are_never_on_one_axis(full_run, tmp_path):
    other = draw_run(tmp_path / "other", spacing=Spacing())
    charts = score_charts(read(full_run, other))
    assert [chart.x_label for chart in charts][1:] == [
        "mean absolute error, µm (lower is better)", "mean absolute error, px (lower is better)",
    ]  # fmt: skip
    assert [len(chart.marks) for chart in charts] == [14, 8, 8]


def test_curves_of_what_was_logged(bare_run):
    loss, dice = curve_charts(read(bare_run))
    assert [tick.label for tick in loss.x_ticks] == ["1", "2", "3"]  # epochs are whole
    assert [(line.name, line.is_faint) for line in loss.lines] == [("A, train", True), ("A, val", False)]
    assert [line.name for line in dice.lines] == ["A, val"]


def test_a_curve_joins_the_epochs_that_were_validated(bare_run):
    (run,) = read(bare_run)
    rows = [row | {"val/loss": ""} if number == 1 else row for number, row in enumerate(run.history)]
    loss, _ = curve_charts([replace(run, history=rows)])
    assert [line.path.count("M") for line in loss.lines] == [1, 1]
    assert [line.path.count("L") for line in loss.lines] == [2, 1]


def test_reliability_only_with_probabilities(full_run, bare_run):
    first, second = reliability_charts(read(full_run)[0])
    assert first.title == "Reliability, all annotated pixels"
    assert second.diagonal
    assert [line.name for line in first.lines if line.path] == ["scaled", "as predicted"]
    assert reliability_charts(read(bare_run)[0]) == []
