import pytest

from retseg.figures.sweeps import DifferenceBar, differences, paired_subjects


def test_a_line_a_subject_and_the_mean():
    figure = paired_subjects(["s01", "s02"], [0.6, 0.8], [0.7, 0.8], ("apart", "random"), "Dice", "two subjects")
    (axis,) = figure.axes
    assert [list(line.get_ydata()) for line in axis.lines[:2]] == [[0.6, 0.7], [0.8, 0.8]]
    assert list(axis.lines[2].get_ydata()) == pytest.approx([0.7, 0.75])
    assert {"s01", "s02", "0.700", "0.750"} <= {text.get_text() for text in axis.texts}
    assert [label.get_text() for label in axis.get_xticklabels()] == ["apart", "random"]
    assert axis.get_ylabel() == "Dice"


def test_a_point_and_an_interval_a_variant_around_the_reference():
    bars = [DifferenceBar("dice", -0.02, -0.03, 0.01, "p 0.5"), DifferenceBar("deep", 0.01, 0.0, 0.02)]
    (axis,) = differences(bars, "Dice", "baseline", "").axes
    assert list(axis.lines[0].get_xdata()) == [0, 0]
    assert list(axis.lines[1].get_xdata()) == [-0.03, 0.01]
    assert list(axis.lines[2].get_xdata()) == [-0.02]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["dice", "deep"]
    assert "p 0.5" in {text.get_text() for text in axis.texts}
    assert axis.get_xlabel() == "difference in Dice"
