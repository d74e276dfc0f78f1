"""What the pictures of verdicts, curves, cascades and hit rates show, and that nothing runs off the page."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from retseg.figures.captions import caption_of
from retseg.figures.explanations import (
    Band,
    CurvePanel,
    HitRate,
    Mark,
    VerdictRow,
    curves,
    hit_rates,
    similarity_steps,
    verdict_table,
)

SHARES = np.array([0.0, 0.1, 0.3])
YES, PARTLY, NO = Mark("yes", "good"), Mark("random only", "partly"), Mark("no", "bad")


def band(name, start=1.0, is_baseline=False, num=3):
    mean = start * np.linspace(1, 0.4, num)
    return Band(name, mean, mean - 0.1, mean + 0.1, is_baseline)


def words(axis):
    return [text.get_text() for text in axis.texts]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def is_on_page(figure):
    figure.draw_without_rendering()
    box, (width_in, height_in) = figure.get_tightbbox(), figure.get_size_inches()
    return box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width_in and box.y1 <= height_in


# Verdicts.


def test_a_grid_a_question_with_every_answer_in_its_place():
    rows = [
        VerdictRow("gradcam", "conv2d_19", NO, YES, Mark("0.91", "bad")),
        VerdictRow("hirescam", "conv2d_15", YES, NO, Mark("0.12", "good")),
        VerdictRow("gradcam", "conv2d_15", PARTLY, YES, Mark("0.34", "good")),
    ]
    figure = verdict_table(rows)
    assert [axis.get_title().replace("\n", " ") for axis in figure.axes] == [
        "faithful beyond the baselines?",
        "passes the sanity checks?",
        "repeats the prediction?",
    ]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["conv2d_19", "conv2d_15"]
    for axis in figure.axes:
        assert [label.get_text() for label in axis.get_xticklabels()] == ["gradcam", "hirescam"]
    # Row by row from the top; nobody looked at hirescam at conv2d_19.
    assert words(figure.axes[0]) == ["no", "-", "random only", "yes"]
    assert words(figure.axes[1]) == ["yes", "-", "yes", "no"]
    assert words(figure.axes[2]) == ["0.91", "-", "0.34", "0.12"]


def test_the_same_tone_has_the_same_colour_in_cells_and_legend():
    figure = verdict_table([VerdictRow("a", "x", YES, PARTLY, NO), VerdictRow("b", "x", NO, YES)])
    cells = [[p for p in axis.patches if isinstance(p, Rectangle)] for axis in figure.axes]
    shown = [[to_hex(cell.get_facecolor()) for cell in row] for row in cells]
    keys = [to_hex(patch.get_facecolor()) for patch in figure.legends[0].get_patches()]
    assert legend(figure) == ["speaks for the map", "in part", "speaks against the map", "not measured"]
    good, partly, bad, unknown = keys
    assert shown == [[good, bad], [partly, good], [bad, unknown]]
    assert len(set(keys)) == 4


# Curves.


def panels():
    lines = [band("gradcam"), band("random maps", 0.9, is_baseline=True), band("prediction", 0.5, is_baseline=True)]
    return [
        CurvePanel("deletion", SHARES, lines, "Dice of the layer", keeps_hottest=False, higher_is_better=False),
        CurvePanel("insertion", SHARES, lines, "Dice of the layer", keeps_hottest=True, higher_is_better=True),
    ]


def test_axes_say_in_words_what_is_removed_kept_and_measured():
    figure = curves(panels(), caption="12 scans of 6 subjects")
    deletion, insertion = figure.axes
    assert deletion.get_xlabel() == "hottest pixels removed (% of the scan)"
    assert insertion.get_xlabel() == "hottest pixels kept (% of the scan)"
    assert deletion.get_ylabel() == "Dice of the layer"
    assert deletion.get_title() == "deletion\n(lower is more faithful)"
    assert insertion.get_title() == "insertion\n(higher is more faithful)"
    assert caption_of(figure).endswith("12 scans of 6 subjects")
    assert legend(figure) == ["gradcam", "random maps", "prediction"]


def test_lines_show_the_means_in_percent_and_bands_the_intervals():
    axis = curves(panels()).axes[0]
    lines = {line.get_label(): line for line in axis.lines}
    assert list(lines["gradcam"].get_xdata()) == [0, 10, 30]
    assert list(lines["gradcam"].get_ydata()) == pytest.approx([1, 0.7, 0.4])
    corners = axis.collections[-1].get_paths()[0].vertices  # maps are drawn last, over the baselines
    assert corners[:, 1].max() == pytest.approx(1.1)
    assert corners[:, 1].min() == pytest.approx(0.3)


def test_baselines_are_gray_and_maps_are_not():
    lines = {line.get_label(): to_hex(line.get_color()) for line in curves(panels()).axes[0].lines}
    rgb = {name: (colour[1:3], colour[3:5], colour[5:]) for name, colour in lines.items()}
    assert len(set(rgb["random maps"])) == len(set(rgb["prediction"])) == 1
    assert len(set(rgb["gradcam"])) > 1
    assert rgb["random maps"] != rgb["prediction"]


def test_more_maps_than_colours_can_still_be_told_apart():
    lines = [band(f"method {n}") for n in range(9)]
    axis = curves([CurvePanel("ROAD", SHARES, lines, "Dice", False, False)]).axes[0]
    styles = {(line.get_color(), line.get_linestyle() == "-") for line in axis.lines}
    assert len(styles) == 9


# Randomisation.


def test_steps_run_from_the_trained_network_down():
    lines = [band("gradcam"), band("edges", is_baseline=True)]
    figure = similarity_steps(["head", "decoder1.conv2"], lines, "rank correlation", bound=0.25)
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["trained\nnetwork", "head", "decoder1.conv2"]
    named = {line.get_label(): list(line.get_ydata()) for line in axis.lines}
    assert named["gradcam"] == pytest.approx([1, 0.7, 0.4])
    assert [0.25, 0.25] in named.values()
    assert legend(figure) == ["gradcam", "edges", "bound: a map that ends above it fails"]
    assert axis.get_ylabel().startswith("rank correlation")


def test_without_a_bound_none_is_drawn():
    figure = similarity_steps(["head"], [band("gradcam", num=2)], "SSIM")
    assert legend(figure) == ["gradcam"]


# Planted evidence.


def test_a_bar_a_map_in_groups_with_interval_and_chance():
    rates = [
        HitRate("gradcam", "conv2d_19", 0.25, 0.1, 0.4, 0.05),
        HitRate("gradcam", "conv2d_15", 0.75, 0.6, 0.9, 0.05),
        HitRate("layercam", "conv2d_19", 0.5, 0.3, 0.7, 0.05),
        HitRate("edge map", "baselines", np.nan, np.nan, np.nan, is_baseline=True),
    ]
    figure = hit_rates(rates, "24 scans")
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["gradcam", "layercam", "gradcam", "edge map"]
    assert [bar.get_width() for bar in axis.patches] == [0.25, 0.5, 0.75]
    gradcam, layercam, gradcam_again = (to_hex(bar.get_facecolor()) for bar in axis.patches)
    assert gradcam == gradcam_again != layercam
    intervals = [list(line.get_xdata()) for line in axis.lines if len(line.get_xdata()) == 2]
    assert intervals == [[0.1, 0.4], [0.3, 0.7], [0.6, 0.9]]
    assert [line.get_xdata()[0] for line in axis.lines if len(line.get_xdata()) == 1] == [0.05] * 3
    assert words(axis) == ["conv2d_19", "25 %", "50 %", "conv2d_15", "75 %", "baselines", "not measured"]
    rows = [bar.get_y() for bar in axis.patches]
    assert rows == sorted(rows)
    assert axis.yaxis_inverted()


# The page.


@pytest.mark.parametrize(
    "figure",
    [
        lambda: verdict_table([VerdictRow("a", "b")]),
        lambda: verdict_table(
            [VerdictRow(m, f"conv2d_{n} · decoder{n}.relu2", PARTLY, NO, YES) for m in "abcdef" for n in range(7)],
            caption="a caption of many words " * 20,
        ),
        lambda: curves(panels(), caption="a caption of many words " * 20),
        lambda: similarity_steps([f"decoder{n}.conv1" for n in range(20)], [band("gradcam", num=21)], "SSIM", 0.2),
        lambda: hit_rates(
            [HitRate("gradcam", f"conv2d_{n} · encoder{n}.relu2", 0.5, 0.4, 0.6, 0.1) for n in range(3)],
            "a caption of many words " * 20,
        ),
    ],
)
def test_no_word_runs_off_the_page(figure):
    assert is_on_page(figure())
