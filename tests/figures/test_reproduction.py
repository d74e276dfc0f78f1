"""Figures beside the paper show the numbers that they were given."""

import numpy as np

from retseg.figures.captions import caption_of, title_of
from retseg.figures.reproduction import curves_beside_paper, scores_by_class, table_picture
from retseg.figures.saving import bytes_of

FINALS = {"accuracy": 0.9, "loss": 0.1, "dice_micro_soft": 0.8, "iou_micro_soft": 0.7}


def texts(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_curves_carry_the_papers_final_values():
    rows = [{"epoch": str(n), "train/accuracy": "0.5", "val/accuracy": "0.4", "lr": "0.1"} for n in range(3)]
    figure = curves_beside_paper(rows, FINALS, 0.608, "caption")
    heights = [[line.get_ydata()[0] for line in axis.lines if line.get_linestyle() == ":"] for axis in figure.axes[:4]]
    assert heights == [[0.9, 0.608], [0.1], [0.8], [0.7]]
    assert "paper's end, 0.9" in [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_scores_are_printed_in_cells_and_over_bars_and_absent_ones_said():
    iou = np.array([[0.99, 0.5], [0.25, np.nan]])
    figure = scores_by_class(iou, np.array([[0.9, 0.8], [np.nan, 0.7]]), ("a", "b"), "caption")
    found = texts(figure)
    assert [text for text in found if "." in text] == ["0.99", "0.50", "0.25"]
    assert found.count("absent") == 2
    assert {"90", "80", "70"} <= set(found)
    heights = [bar.get_height() for bar in figure.axes[1].patches]
    assert heights[:2] == [90.0, 80.0]
    assert heights[3] == 70.0


def test_a_table_is_drawn_whole_with_the_paper_in_its_colour():
    rows = [("Dice", "0.9445", "0.9"), ("long words here", "0.1", "12.0")]
    figure = table_picture("Table", ("score", "paper val", "run val"), rows, ["a note"])
    (axis,) = figure.axes
    shown = {text.get_text(): text for text in axis.texts}
    assert {"score", "paper val", "run val", *rows[0], *rows[1]} == set(shown)
    assert title_of(figure) == "Table"
    assert caption_of(figure) == "In wine red: what the paper prints.\na note"
    assert shown["0.9445"].get_color() == shown["paper val"].get_color() != shown["0.9"].get_color()
    assert (shown["Dice"].get_ha(), shown["12.0"].get_ha()) == ("left", "right")


def test_equal_figures_are_equal_files():
    def drawn(kind):
        return bytes_of(table_picture("t", ("a", "b"), [("1", "2")], []), kind)

    assert drawn("png") == drawn("png")
    assert drawn("pdf") == drawn("pdf")
    assert drawn("pdf").startswith(b"%PDF")
