import pytest

from retseg.anatomy import LAYER_NAMES
from retseg.figures.captions import caption_of
from retseg.figures.curves import history

ROWS = [
    {"epoch": "0", "train/loss": "2.0", "val/loss": "1.5", "lr": "0.001", "val_class/dice/NFL": "0.25"},
    {"epoch": "1", "train/loss": "1.0", "val/loss": "", "lr": "0.001", "val_class/dice/NFL": "0.5"},
]


def lines(axis):
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axis.lines}


def test_losses_of_both_stages_over_epochs_from_one_without_empty_cells():
    drawn = lines(history(ROWS).axes[1])
    assert drawn == {"training": ([1, 2], [2.0, 1.0]), "validation": ([1], [1.5])}


def test_each_layer_has_its_curve_and_its_colour():
    axis = history(ROWS, "leaky split").axes[4]
    assert [line.get_label() for line in axis.lines] == list(LAYER_NAMES)
    assert lines(axis)["NFL"] == ([1, 2], [0.25, 0.5])
    assert len({line.get_color() for line in axis.lines}) == 7


def test_the_stamp_stands_on_the_figure():
    assert caption_of(history(ROWS, "leaky split: 38 of 44")).endswith("leaky split: 38 of 44")


def test_axes_are_labelled():
    assert all(axis.get_xlabel() == "epoch" and axis.get_ylabel() for axis in history(ROWS).axes)


@pytest.mark.parametrize("rows", [ROWS[:1], ROWS])
def test_draws_without_a_warning(tmp_path, rows):
    history(rows).savefig(tmp_path / "figure.png")
