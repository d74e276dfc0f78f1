import pytest

from retseg.evaluation.setting_importance import Importance
from retseg.figures.captions import caption_of
from retseg.figures.sweep_settings import parallel_settings, setting_importance
from tests.figures.page import unreadable

JOBS = [
    {"optimizer.lr": "0.0001", "loss": "eq3"},
    {"optimizer.lr": "0.001", "loss": "dice"},
    {"optimizer.lr": "0.01", "loss": "eq3"},
]


def test_a_line_a_job_through_its_settings_to_its_score():
    figure = parallel_settings(JOBS, ["optimizer.lr", "loss"], [0.8, 0.6, None], "val/dice", "phantom")
    (axis,) = figure.axes
    drawn = sorted(tuple(line.get_ydata()) for line in axis.lines if len(line.get_ydata()) == 3)
    expected = [(0, 0.06, 1), (0.5, 1, 0), (1, -0.06, -0.12)]
    assert drawn == [pytest.approx(path) for path in expected], "lr by its logarithm, words in order, failed below"
    assert [label.get_text() for label in axis.get_xticklabels()] == ["optimizer.lr", "loss", "val/dice"]
    assert "1 job(s) without a score" in caption_of(figure)
    assert {"0.0001", "0.001", "0.01", "eq3", "dice", "0.6", "0.7", "0.8"} <= {text.get_text() for text in axis.texts}
    assert unreadable(figure) == []


def test_no_job_done_is_a_picture_too():
    figure = parallel_settings(JOBS, ["loss"], [None] * 3, "val/dice", "")
    assert "3 job(s) without a score" in caption_of(figure)


def test_a_bar_a_setting_with_its_interval():
    rows = [Importance("optimizer.lr", 0.7, 0.65, 0.4, 0.8, 0.01, 0.02), Importance("seeds", 0.3)]
    figure = setting_importance(rows, "val/dice", "what", "phantom")
    (axis,) = figure.axes
    assert [bar.get_width() for bar in axis.patches] == pytest.approx([70, 30])
    assert list(axis.lines[0].get_xdata()) == pytest.approx([40, 80])
    assert [label.get_text() for label in axis.get_yticklabels()] == ["optimizer.lr", "seeds"]
    assert unreadable(figure) == []
