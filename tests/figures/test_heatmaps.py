import io
from dataclasses import replace

import matplotlib
import numpy as np
import pytest

from retseg.errors import InputError
from retseg.explain.descriptions import DESCRIPTIONS
from retseg.figures.captions import caption_of, title_of
from retseg.figures.heatmaps import HeatmapRow, heatmaps

HEIGHT, WIDTH = 5, 7
SCORE = "sum over the image of the softmax probability of class c"


def row(layer="conv2d_19", module="decoder1.relu2", num_classes=8):
    """Class c has a single hot pixel in row 1, column c % 7 (class 3: no heat) and a raw maximum of c + 0.25."""
    maps = np.zeros((num_classes, HEIGHT, WIDTH), np.float32)
    maps[np.arange(num_classes), 1, np.arange(num_classes) % WIDTH] = 1
    raw_max = np.arange(num_classes) + 0.25
    if num_classes > 3:
        maps[3], raw_max[3] = 0, 0
    return HeatmapRow(layer, module, maps, raw_max)


def draw(rows, **settings):
    image = np.linspace(0, 1, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    return heatmaps(image, rows, title="scan 1", score=SCORE, **settings)


def words(figure):
    return [text.get_text() for text in figure.texts]


def test_a_column_per_class_beside_the_image_and_a_row_per_layer():
    figure = draw([row("conv2d_20", "softmax"), row(), row("encoder5", "encoder5")])
    assert len(figure.axes) == 3 * 9 + 1  # and the colour bar
    assert title_of(figure) == "scan 1"
    assert words(figure)[:2] == ["conv2d_20 · softmax", "conv2d_19 · decoder1.relu2"]
    assert "encoder5" in words(figure)
    for name in ("input", "background", "NFL", "GCL-IPL", "INL", "OPL", "ONL-ISM", "ISE", "OS-RPE"):
        assert name in words(figure)


def test_cells_hold_the_scan_the_heat_and_its_raw_maximum():
    figure = draw([row()])
    scan, heat = figure.axes[2 + 1].get_images()  # class 2
    assert scan.get_array().shape == (HEIGHT, WIDTH)
    assert np.argwhere(heat.get_array() == 1).tolist() == [[1, 2]]
    assert heat.get_clim() == (0, 1)
    assert figure.axes[2 + 1].get_xlabel() == "max 2.25"
    assert len(figure.axes[0].get_images()) == 1
    assert figure.axes[0].get_xlabel() == ""


def test_what_the_prediction_already_gives_stands_below_each_map():
    overlaps = np.array([0.9, 0.123, np.nan, np.nan, 0, 0, 0, 0])
    repeats = np.array([True, *[False] * 7])
    figure = draw([replace(row(), overlaps=overlaps, repeats=repeats, note="identity 2: the map is P_c")])
    assert [figure.axes[1 + c].get_xlabel() for c in (0, 1, 2)] == [
        "max 0.25\nrepeats the prediction",
        "max 1.25\noverlap 0.12",
        "max 2.25",
    ]
    assert "identity 2: the map is P_c" in words(figure)
    assert "Overlap: of the pixels predicted as the class" in caption_of(figure)


def test_the_caption_says_which_method_drew_the_maps():
    assert "HiResCAM (Draelos and Carin 2020)" in caption_of(draw([row()], method=DESCRIPTIONS["hirescam"]))
    assert "Grad-CAM (Selvaraju et al. 2017)" in caption_of(draw([row()]))


def test_a_blank_map_says_so_instead_of_showing_colour():
    axes = draw([row()]).axes[3 + 1]
    assert len(axes.get_images()) == 1
    assert [text.get_text() for text in axes.texts] == ["no heat"]
    assert axes.get_xlabel() == "max 0"


def test_a_map_of_a_diverged_network_says_so():
    maps = row()
    maps.raw_max[6] = np.nan
    assert [text.get_text() for text in draw([maps]).axes[6 + 1].texts] == ["not finite"]


def test_pixels_are_square_and_rows_do_not_overlap():
    figure = draw([row(), row("a", "b")])
    width_in, height_in = figure.get_size_inches()
    first, below = figure.axes[1].get_position(), figure.axes[10].get_position()
    assert first.height * height_in / (first.width * width_in) == pytest.approx(HEIGHT / WIDTH)
    assert below.y1 < first.y0
    assert figure.axes[8].get_position().x1 < figure.axes[18].get_position().x0 < 1


@pytest.mark.parametrize("name", ["inferno", "viridis", "jet", "hot"])
def test_colours_are_true_rgb_on_the_page(name):
    """The hottest pixel is the map's last colour over the scan's gray, red before green before blue."""
    figure = draw([row()], colormap=name)
    heat = figure.axes[1].get_images()[1]
    assert heat.get_cmap()(1.0) == pytest.approx((*matplotlib.colormaps[name](1.0)[:3], 0.75))
    assert heat.get_cmap()(0.0)[3] == 0.25
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100, format="rgba")
    width, height = (round(inches * 100) for inches in figure.get_size_inches())
    page = np.frombuffer(buffer.getvalue(), np.uint8).reshape(height, width, 4)
    box = figure.axes[1].get_position()
    column = int((box.x0 + box.width / WIDTH / 2) * width)
    line = int((1 - box.y1 + box.height * 1.5 / HEIGHT) * height)
    gray = 255 * WIDTH / (HEIGHT * WIDTH - 1)
    expected = 0.75 * 255 * np.array(matplotlib.colormaps[name](1.0)[:3]) + 0.25 * gray
    np.testing.assert_allclose(page[line, column, :3], expected, atol=3)


def test_caption_defines_what_the_colours_mean():
    caption = caption_of(draw([row()], divisor="its 99% quantile"))
    assert f"Y is the {SCORE}" in caption
    assert "divided by its 99% quantile" in caption
    assert "identity" not in caption


def test_caption_says_that_the_softmax_layer_repeats_the_prediction():
    caption = caption_of(draw([row("conv2d_20", "softmax")]))
    assert "conv2d_20 is the softmax output: its map repeats the predicted probability by identity" in caption
    assert "1/C = 0.125" in caption


def test_notes_stand_under_their_class():
    figure = draw([row()], notes={2: "not predicted"})
    note = next(text for text in figure.texts if text.get_text() == "not predicted")
    name = next(text for text in figure.texts if text.get_text() == "GCL-IPL")
    assert note.get_position()[0] == name.get_position()[0]
    assert note.get_position()[1] < name.get_position()[1]


def test_other_classes():
    figure = draw([row(num_classes=2)], class_names=["out", "in"])
    assert len(figure.axes) == 3 + 1
    assert {"out", "in"} <= set(words(figure))


def test_text_stays_on_the_page_and_apart():
    figure = draw([row("conv2d_20", "softmax"), row()], notes=dict.fromkeys(range(8), "not annotated"))
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.texts if text.get_text()]
    page = figure.bbox
    assert all(box.x0 >= 0 and box.x1 <= page.x1 and box.y0 >= 0 and box.y1 <= page.y1 for box in boxes)
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]


def test_no_global_state_of_pyplot():
    import matplotlib.pyplot as plt

    draw([row()])
    assert plt.get_fignums() == []


def test_an_unknown_colour_map_is_refused():
    with pytest.raises(InputError, match="colormap: 'rainbow', expected one of inferno, viridis, jet, hot"):
        draw([row()], colormap="rainbow")
