import numpy as np
import pytest

from retseg.inference.intervals import Intervals
from retseg.inference.review import HALF_WIDTH, mean_half_width_px, review_queue


def row(scan: str, sd: float | None, verdict: str = "pass", **given: object) -> dict:
    fields = {
        "scan": scan,
        "volume": "v",
        "verdict": verdict,
        "reasons": "" if verdict == "pass" else f"{verdict}: it is odd",
        "confidence": None if sd is None else 0.9,
        "mean_row_sd_px": sd,
        "axial_um": 4.0,
    }
    return fields | given


def names(rows: list) -> list[str]:
    return [review.scan for review in review_queue(rows)]


def test_verdict_comes_first_then_no_surfaces_then_uncertainty():
    rows = [
        row("sure", 1.0),
        row("blurred", 3.0),
        row("odd", 0.5, "check"),
        row("odder", 0.7, "check"),
        row("empty", None),
        row("bad", 0.1, "fail"),
        row("nothing", None, "fail"),
    ]
    assert names(rows) == ["nothing", "bad", "odder", "odd", "empty", "blurred", "sure"]
    assert names(rows[::-1]) == names(rows)
    assert [review.rank for review in review_queue(rows)] == list(range(1, 8))


def test_scans_of_other_pixel_sizes_are_compared_in_um():
    rows = [row("fine", 3.0, axial_um=1.0), row("coarse", 2.0, axial_um=4.0)]
    assert names(rows) == ["coarse", "fine"]
    assert review_queue(rows)[0].row()["uncertainty_um"] == 8.0
    rows[0]["axial_um"] = None
    assert names(rows) == ["fine", "coarse"]
    assert review_queue(rows)[0].row()["uncertainty_px"] == 3.0


def test_intervals_count_where_every_scan_has_them():
    rows = [row("a", 1.0, **{HALF_WIDTH: 9.0}), row("b", 2.0, **{HALF_WIDTH: 5.0}), row("c", None)]
    assert names(rows) == ["c", "a", "b"]
    assert "mean half-width of intervals 36.0 um" in review_queue(rows)[1].reasons
    del rows[0][HALF_WIDTH]
    assert names(rows) == ["c", "b", "a"]


def test_reasons_are_words():
    rows = [row(f"s{number}", 1.0 + number, confidence=0.95 - 0.05 * number) for number in range(10)]
    rows.append(row("odd", 2.5, "check"))
    found = {review.scan: review.reasons for review in review_queue(rows)}
    assert found["odd"] == "check: it is odd; mean sd of surfaces 10.0 um, more than in 20% of the other scans"
    assert found["s9"] == (
        "mean sd of surfaces 40.0 um, more than in 100% of the other scans; confidence 0.50, among the lowest 20%"
    )
    assert found["s0"] == "mean sd of surfaces 4.0 um, more than in 0% of the other scans"
    assert review_queue([row("alone", 1.5)])[0].reasons == "mean sd of surfaces 6.0 um"
    assert review_queue([row("empty", None)])[0].row()["reasons"] == "no surfaces"
    assert review_queue([]) == ()


def test_the_half_width_of_a_scan_is_the_mean_over_layers_and_known_columns():
    factors = np.array([*np.arange(1.0, 8.0), 100, 100, 100, 100])
    intervals = Intervals(0.9, factors, factors, factors, 9, 3, "drawn", "exact")
    sd = np.ones((8, 5))
    sd[:, 0] = np.nan
    assert mean_half_width_px(intervals, sd) == pytest.approx(4 * np.sqrt(2))
    assert mean_half_width_px(intervals, np.full((8, 5), np.nan)) is None
