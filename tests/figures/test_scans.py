import numpy as np
import pytest

from retseg.anatomy import CLASS_NAMES, CLASSES, IGNORE
from retseg.figures.scans import NOT_ANNOTATED_COLOUR, WRONG_COLOUR, ScanPicture, class_legend, colour_mask
from retseg.figures.scans import confusion as draw_confusion
from retseg.figures.scans import predictions as draw_predictions


def test_every_class_has_its_own_colour_and_nobodys_pixels_are_gray():
    coloured = colour_mask(np.array([[IGNORE, *range(8)]]))
    assert coloured.shape == (1, 9, 3)
    assert tuple(coloured[0, 0]) == NOT_ANNOTATED_COLOUR
    assert [tuple(colour) for colour in coloured[0, 1:]] == [layer.colour for layer in CLASSES]
    assert len({tuple(colour) for colour in coloured[0]}) == 9


def test_legend_names_every_class():
    assert [patch.get_label() for patch in class_legend()] == [*CLASS_NAMES, "not annotated"]


def test_prediction_figure_marks_wrong_pixels_and_only_annotated_ones():
    image = np.full((2, 5), 100, np.uint8)
    truth = np.array([[0, 0, 1, 1, IGNORE], [0, 0, 1, 1, IGNORE]])
    prediction = np.array([[0, 2, 1, 1, 3], [0, 0, 1, 1, 3]])
    figure = draw_predictions([ScanPicture("s01", image, truth, prediction)], "epoch 3")
    errors = figure.axes[3].images[0].get_array()
    red = (errors == WRONG_COLOUR).all(axis=-1)
    assert red.sum() == 1
    assert red[0, 1]
    assert figure.axes[3].get_xlabel() == "wrong: 12.5 % of annotated pixels"
    assert [axis.get_title() for axis in figure.axes] == ["B-scan", "truth", "prediction", "wrong pixels"]
    assert figure.axes[0].get_ylabel() == "s01"


def test_confusion_prints_shares_of_the_true_class_and_says_absent():
    counts = np.zeros((3, 3), int)
    counts[0] = [3, 1, 0]
    counts[1] = [0, 5, 0]
    figure = draw_confusion(counts, ("background", "a", "b"))
    cells = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert cells[0, 0] == "75.0"
    assert cells[1, 0] == "25.0"
    assert cells[1, 1] == "100.0"
    assert cells[0, 2] == "absent"
    assert figure.axes[0].get_ylabel() == "true class"


@pytest.mark.parametrize("num_scans", [1, 3])
def test_figures_are_drawn_without_a_warning(tmp_path, num_scans):
    picture = ScanPicture("s01", np.zeros((20, 30), np.uint8), np.zeros((20, 30), int), np.zeros((20, 30), int))
    draw_predictions([picture] * num_scans).savefig(tmp_path / "figure.png")
