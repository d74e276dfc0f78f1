"""Heading and caption: in the picture, wrapped to the page, in the metadata of both files, and the panels unharmed."""

import re

import pytest
from matplotlib.figure import Figure
from PIL import Image

from retseg.figures.captions import caption_of, describe, title_of
from retseg.figures.saving import bytes_of, save_png_and_pdf, save_whole
from tests.figures.page import unreadable

LONG = "Dice of 100 % of the pixels, in µm: " + "word " * 60


def drawn(layout="constrained", width_in=5.0):
    figure = Figure(figsize=(width_in, 3), layout=layout)
    axis = figure.add_axes((0.2, 0.2, 0.7, 0.7)) if layout is None else figure.subplots()
    axis.plot([0, 1], [0, 1], label="a line")
    axis.set(xlabel="x (px)", ylabel="y (px)")
    figure.legend(loc="outside lower center") if layout else None
    return figure


@pytest.mark.parametrize("layout", ["constrained", None])
@pytest.mark.parametrize("width_in", [2.5, 5.0])
def test_caption_and_key_stand_below_the_panels_and_nothing_overlaps(layout, width_in):
    figure = describe(
        drawn(layout, width_in), "A heading of many words that may be wider than the page", LONG, "", "end."
    )
    assert unreadable(figure) == []
    caption = figure.texts[0] if figure.texts[0].get_gid() else figure.texts[1]
    axis = figure.axes[0]
    assert caption.get_window_extent().y1 < axis.get_tightbbox().y0
    assert caption.get_window_extent().x1 <= figure.bbox.x1
    for key in figure.legends:
        assert caption.get_window_extent().y1 < key.get_window_extent().y0
        assert key.get_window_extent().y1 <= axis.get_tightbbox().y0


def test_panels_keep_their_size_however_long_the_caption():
    heights = []
    for text in ("short.", LONG):
        figure = describe(drawn(), "Heading", text)
        figure.draw_without_rendering()
        heights.append(figure.axes[0].get_window_extent().height)
    assert heights[0] == pytest.approx(heights[1], abs=2)


def test_numbers_stay_with_their_units():
    figure = describe(drawn(width_in=2.5), "Heading", *[f"{'i' * length} 100 % of" for length in range(1, 50)])
    shown = next(text for text in figure.texts if text.get_gid()).get_text()
    assert "100\N{NO-BREAK SPACE}%" in shown
    assert not re.search(r"100\n%", shown)


def test_title_and_caption_are_given_back_as_they_were():
    figure = describe(drawn(width_in=2.5), "A heading that is longer than the page is wide", "One.", "", "Two $x$.")
    assert title_of(figure) == "A heading that is longer than the page is wide"
    assert caption_of(figure) == "One.\nTwo $x$."


def test_both_files_say_what_they_show(tmp_path):
    figure = describe(drawn(), "Thickness", "Mean over A-scans, in µm.", "Ω is a weight.")
    save_png_and_pdf(figure, tmp_path / "figure", 80)
    with Image.open(tmp_path / "figure.png") as picture:
        assert picture.info["Title"] == "Thickness"
        assert picture.info["Description"] == "Mean over A-scans, in µm.\nΩ is a weight."
        assert picture.info["Software"].startswith("retseg ")
    pdf = (tmp_path / "figure.pdf").read_bytes()
    assert b"/Title (Thickness)" in pdf
    assert b"/Creator (retseg" in pdf
    assert b"CreationDate" not in pdf


def test_files_that_come_whole_or_not_at_all_say_it_too(tmp_path):
    save_whole(describe(drawn(), "Whole", "One."), tmp_path / "a.png", tmp_path / "a.pdf")
    with Image.open(tmp_path / "a.png") as picture:
        assert (picture.info["Title"], picture.info["Description"]) == ("Whole", "One.")
    assert b"/Title (Whole)" in (tmp_path / "a.pdf").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png"]


def test_a_figure_that_nobody_described_is_a_slip(tmp_path):
    with pytest.raises(AssertionError, match="ends with `describe`"):
        save_png_and_pdf(drawn(), tmp_path / "figure", 80)


def test_equal_figures_are_equal_files():
    for kind in ("png", "pdf"):
        assert bytes_of(describe(drawn(), "T", "One."), kind) == bytes_of(describe(drawn(), "T", "One."), kind)
