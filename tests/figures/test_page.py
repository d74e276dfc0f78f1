"""The finder of unreadable texts finds what is planted, and nothing else."""

from matplotlib.figure import Figure

from tests.figures.page import unreadable


def page(*texts):
    figure = Figure(figsize=(4, 3))
    for x, y, words, angle in texts:
        figure.text(x, y, words, rotation=angle)
    return figure


def test_texts_apart_are_readable():
    assert unreadable(page((0.1, 0.1, "one", 0), (0.1, 0.5, "other", 0))) == []


def test_texts_upon_each_other_are_named():
    assert unreadable(page((0.1, 0.5, "one", 0), (0.12, 0.5, "other", 0))) == ["on each other: 'one' and 'other'"]


def test_turned_neighbours_whose_upright_boxes_overlap_are_apart():
    assert unreadable(page((0.2, 0.2, "a long label", 45), (0.32, 0.2, "a long label", 45))) == []
    assert len(unreadable(page((0.2, 0.2, "a long label", 45), (0.22, 0.2, "a long label", 45)))) == 1


def test_what_leaves_the_page_is_named():
    assert unreadable(page((0.9, 0.5, "a long word", 0))) == ["off the page: 'a long word'"]


def test_ticks_beyond_the_limits_and_axes_switched_off_do_not_count():
    figure = Figure(figsize=(4, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.set_xticks([0, 5, 500], ["0", "5", "far away"])
    left.set_xlim(0, 10)
    right.set_axis_off()
    right.set_title("")
    assert unreadable(figure) == []
