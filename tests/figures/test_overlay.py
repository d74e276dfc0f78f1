import matplotlib
import numpy as np
import pytest

from retseg.bscan import Spacing
from retseg.figures.captions import caption_of, title_of
from retseg.figures.overlay import Overlay, overlay

HEIGHT, WIDTH = 40, 60


def draw(heat=None, spacing=None, predicted=None, **words):
    if predicted is None:
        predicted = np.zeros((HEIGHT, WIDTH), bool)
        predicted[10:20, 5:50] = True
    if heat is None:
        heat = np.zeros((HEIGHT, WIDTH))
        heat[15, 30] = 2.5e-4
    image = np.linspace(0, 1, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    scan = Overlay(image, heat, predicted, "ISE", "Grad-CAM at conv2d_15", spacing=spacing or Spacing(), **words)
    return overlay(scan, "s01_b03")


def below(figure):
    return caption_of(figure)


def test_the_raw_heat_over_the_scan_with_its_own_numbers_on_the_bar():
    axis, bar = draw().axes
    scan, heat = axis.get_images()
    assert scan.get_array().shape == heat.get_array().shape == (HEIGHT, WIDTH)
    assert heat.get_clim() == (0, 2.5e-4)
    assert heat.get_cmap()(1.0)[:3] == pytest.approx(matplotlib.colormaps["inferno"](1.0)[:3])
    assert bar.get_ylim() == (0, 2.5e-4)


def test_title_and_line_below_say_what_it_is():
    figure = draw(remark="repeats the prediction.", spacing=Spacing(4, 12))
    assert title_of(figure) == "Heat map of ISE in s01_b03"
    assert below(figure) == (
        "Grad-CAM at conv2d_15. Colours: the map as it is, not rescaled; no heat: nothing there raises Y. "
        "Outline: predicted as ISE. Repeats the prediction."
    )


def test_the_outline_runs_along_the_edges_of_the_pixels():
    (outline,) = (c for c in draw().axes[0].collections)
    vertices = np.concatenate([path.vertices for path in outline.get_paths()])
    # Rows 10 to 19 and columns 5 to 49, pixel centres on whole numbers.
    assert vertices[:, 1].min() == pytest.approx(9.5)
    assert vertices[:, 1].max() == pytest.approx(19.5)
    assert vertices[:, 0].min() == pytest.approx(4.5)
    assert vertices[:, 0].max() == pytest.approx(49.5)


def test_an_outline_at_the_border_is_closed():
    predicted = np.zeros((HEIGHT, WIDTH), bool)
    predicted[30:] = True
    (outline,) = (c for c in draw(predicted=predicted).axes[0].collections)
    vertices = np.concatenate([path.vertices for path in outline.get_paths()])
    assert vertices.min() == pytest.approx(-0.5)
    assert vertices[:, 0].max() == pytest.approx(WIDTH - 0.5)


def test_scale_bars_have_the_length_that_they_name():
    figure = draw(spacing=Spacing(axial_um=4, lateral_um=12))
    across, down = figure.axes[0].lines
    # 60 columns are 720 um: a sixth is 120, the nearest round length 100. 40 rows are 160 um: 27, so 20.
    assert np.ptp(across.get_xdata()) == pytest.approx(100 / 12)
    assert np.ptp(down.get_ydata()) == pytest.approx(20 / 4)
    assert [text.get_text() for text in figure.axes[0].texts] == ["100 µm", "20 µm"]


def test_without_a_scale_no_bar_but_a_word():
    figure = draw()
    assert len(figure.axes[0].lines) == 0
    assert below(figure).endswith("Pixel size unknown.")


@pytest.mark.parametrize(("value", "message"), [(0.0, "no heat"), (np.nan, "not finite")])
def test_a_map_without_heat_says_so(value, message):
    figure = draw(heat=np.full((HEIGHT, WIDTH), value), spacing=Spacing(4, 12))
    assert len(figure.axes) == 1
    assert len(figure.axes[0].get_images()) == 1
    assert figure.axes[0].texts[0].get_text() == message


def test_a_class_that_is_not_predicted_has_no_outline():
    figure = draw(predicted=np.zeros((HEIGHT, WIDTH), bool))
    assert len(figure.axes[0].collections) == 0
    assert "No pixel is predicted as ISE." in below(figure)


def test_everything_is_on_the_page():
    figure = draw(spacing=Spacing(4, 12), remark="a remark of many words " * 12)
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    width_in, height_in = figure.get_size_inches()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width_in
    assert box.y1 <= height_in
