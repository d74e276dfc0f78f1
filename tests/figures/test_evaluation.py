import numpy as np
import pytest
from matplotlib.figure import Figure

from retseg.anatomy import CLASS_NAMES, LAYER_NAMES, SURFACE_NAMES
from retseg.figures import evaluation as figures
from retseg.figures.captions import caption_of
from retseg.metrics.misclassification import MAP_BIN_PX, MAP_DEPTHS_PX, MAP_ROWS

NAN = float("nan")
CAPTION = "what it is\nsubjects apart (3 held out)"


def drawn(figure, tmp_path):
    """The figure, after it was drawn without a warning; its caption and units are there."""
    figure.savefig(tmp_path / "figure.png")
    figure.savefig(tmp_path / "figure.pdf")
    assert caption_of(figure).endswith("subjects apart (3 held out)")
    assert all(axis.get_xlabel() or axis.get_ylabel() for axis in (figure.axes[0], figure.axes[-1]))
    return figure


@pytest.mark.parametrize("ceiling", [0.9, NAN])
def test_scores_stand_beside_their_ceiling(tmp_path, ceiling):
    def marks(names, value):
        return [figures.ScoreMark(name, value, value - 0.1, value + 0.1, ceiling, ceiling, ceiling) for name in names]

    overlap, surfaces = marks(LAYER_NAMES, 0.8), marks(SURFACE_NAMES, 4.0)
    figure = drawn(figures.scores_with_ceiling(overlap, surfaces, "um", "grader 1 vs 2", CAPTION), tmp_path)
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == list(LAYER_NAMES)
    assert [label.get_text() for label in right.get_yticklabels()] == list(SURFACE_NAMES)
    assert right.get_xlabel() == "mean absolute surface error (µm; lower is better)"
    assert len(left.lines) == (1 if np.isnan(ceiling) else 2)
    assert left.lines[0].get_xdata().tolist() == [0.8] * 7


def test_scores_without_interval_or_layer_are_drawn_too(tmp_path):
    marks = [figures.ScoreMark("NFL", 0.8, NAN, NAN, NAN, NAN, NAN), figures.ScoreMark("INL", *[NAN] * 6)]
    drawn(figures.scores_with_ceiling(marks, marks, "px", "second", CAPTION), tmp_path)


def test_reliability_leaves_empty_bins_out(tmp_path):
    group = {"confidence": [NAN, 0.5, 0.9], "accuracy": [NAN, 0.4, 0.95], "share": [0.0, 0.2, 0.8]}
    figure = drawn(
        figures.reliability({"all": group, "layers": group}, {"all": group, "layers": group}, CAPTION), tmp_path
    )
    before = figure.axes[0].lines[1]
    assert (before.get_xdata().tolist(), before.get_ydata().tolist()) == ([0.5, 0.9], [0.4, 0.95])
    assert [axis.get_title() for axis in figure.axes[:2]] == ["all annotated pixels", "pixels predicted to be a layer"]
    drawn(figures.reliability({"all": group}, None, CAPTION), tmp_path)


def test_errors_by_distance_names_bins_and_pixels(tmp_path):
    rows = [
        {"from_px": 0, "to_px": 1, "wrong": 30, "pixels": 60, "share_wrong": 0.5},
        {"from_px": 1, "to_px": None, "wrong": 10, "pixels": 100, "share_wrong": 0.1},
        {"from_px": 24, "to_px": None, "wrong": 0, "pixels": 0, "share_wrong": None},
    ]
    figure = drawn(figures.errors_by_distance(rows, 3.87, CAPTION), tmp_path)
    left, right = figure.axes
    assert [bar.get_height() for bar in left.patches] == [50, 10, 0]
    assert [bar.get_height() for bar in right.patches] == [75, 25, 0]
    assert [label.get_text() for label in left.get_xticklabels()] == ["0 to 1", "1 on", "24 on"]
    assert left.get_xlabel() == "distance to the nearest true surface (px; 1 px = 3.87 µm)"
    assert [text.get_text() for text in left.texts] == ["50.0", "10.0", "none"]
    assert "µm" not in drawn(figures.errors_by_distance(rows, None, CAPTION), tmp_path).axes[0].get_xlabel()


def test_error_map_is_white_where_no_pixel_is(tmp_path):
    pixels = np.zeros((MAP_ROWS, 50), int)
    pixels[10, :25], wrong = 8, np.zeros((MAP_ROWS, 50), int)
    wrong[10, 0] = 2
    depths = list(range(*MAP_DEPTHS_PX, MAP_BIN_PX))
    figure = drawn(figures.error_map(wrong, pixels, depths, MAP_BIN_PX, None, CAPTION), tmp_path)
    (picture,) = figure.axes[0].images
    shown = picture.get_array()
    assert shown[10, 0] == 25
    assert np.isnan(np.ma.filled(shown, np.nan)[10, 30])
    assert list(picture.get_extent()) == [0, 100, 200, -40]
    assert figure.axes[0].get_ylabel() == "depth below the true ILM (px)"


def test_over_and_under_and_where_missed_pixels_went(tmp_path):
    shares = {name: {"over": 0.25, "under": 0.1} for name in CLASS_NAMES}
    went = {name: {"above": 0.5, "below": 0.3, "elsewhere": 0.2} for name in CLASS_NAMES}
    shares["INL"], went["INL"] = {"over": NAN, "under": NAN}, {"above": NAN, "below": NAN, "elsewhere": NAN}
    figure = drawn(figures.over_and_under(shares, went, CAPTION), tmp_path)
    assert isinstance(figure, Figure)
    left, right = figure.axes
    texts = [text.get_text() for text in left.texts]
    assert texts.count("absent") == 2
    assert texts.count("25.0") == 7
    assert right.patches[0].get_width() == 50
    assert [label.get_text() for label in left.get_yticklabels()] == list(CLASS_NAMES)
