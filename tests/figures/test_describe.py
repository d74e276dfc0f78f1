import io

import numpy as np
import pytest
from matplotlib.colors import to_hex

from retseg.anatomy import CLASSES, IGNORE
from retseg.bscan import BScan, ScanKey, Spacing
from retseg.data.description import describe
from retseg.figures.captions import caption_of
from retseg.figures.describe import Sample, class_balance, gray_histograms, sample_grid, thickness


class Source:
    """Subjects s1 and s2, one scan of 40 x 6 pixels each; layer k of s1 is k rows thick, of s2 one row, ISE absent."""

    name, label_origin, notices = "made up", "silver", ()
    keys = (ScanKey(0, "s1", 0), ScanKey(0, "s2", 0))
    axial_um: float | None = 4.0

    def read(self, key):
        layers = np.arange(1, 8) if key.subject == "s1" else np.array([1, 1, 1, 1, 1, 0, 1])
        rows = 1 + np.concatenate([[0], np.cumsum(layers)])[:, None] * np.ones(6)
        rows[:, 5] = np.nan
        image = np.arange(240).reshape(40, 6).astype(np.uint8)
        return BScan(key, image, surface_rows=rows.astype(np.float32), spacing=Spacing(self.axial_um))


@pytest.fixture(scope="module")
def description():
    return describe(Source())


def words(figure):
    return " ".join(caption_of(figure).split())


def texts(axis):
    return [text.get_text() for text in axis.texts]


def stays_on_the_page(figure):
    """Drawn without a warning, all text inside."""
    figure.savefig(io.BytesIO(), dpi=60, format="png")
    figure.canvas.draw()
    boxes = [text.get_window_extent() for axis in figure.axes for text in axis.texts]
    return all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_samples_show_the_scan_and_its_mask_without_resampling():
    mask = np.full((4, 6), 3, np.int8)
    mask[0, 5] = IGNORE
    image = np.arange(24).reshape(4, 6)
    figure = sample_grid([Sample("s1_b00", image, mask), Sample("s2_b00", image, mask)], "made up, silver labels")
    assert len(figure.axes) == 4
    (scan,), (coloured,) = figure.axes[0].get_images(), figure.axes[1].get_images()
    assert np.array_equal(scan.get_array(), image)
    assert scan.get_clim() == (0, 255)
    assert (scan.get_interpolation(), coloured.get_interpolation()) == ("nearest", "nearest")
    assert coloured.get_array()[1, 0].tolist() == list(CLASSES[3].colour)
    assert coloured.get_array()[0, 5].tolist() == [200, 200, 200]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == [*(layer.name for layer in CLASSES), "not annotated"]
    assert figure.axes[2].get_ylabel() == "depth (px)"
    assert figure.axes[3].get_xlabel() == "A-scan (px)"
    assert "made up, silver labels" in words(figure)
    assert stays_on_the_page(figure)


def test_gray_levels_have_a_panel_for_all_each_class_and_the_rest(description):
    figure = gray_histograms(description)
    titles = [axis.get_title().split("\n")[0] for axis in figure.axes]
    assert titles == ["all pixels", *(layer.name for layer in CLASSES), "not annotated"]
    overall = figure.axes[0].patches[0].get_data().values
    assert overall.sum() == pytest.approx(100)
    assert overall[7] == pytest.approx(100 / 240)
    assert figure.axes[0].get_title().endswith("120 ± 69")
    assert texts(figure.axes[0]) == ["at 0: 0.42 %\nat 255: 0.00 %"]
    assert figure.axes[7].get_xlabel() == "gray level (0 to 255)"
    assert to_hex(figure.axes[6].patches[0].get_facecolor()) == "#0072b2"
    assert stays_on_the_page(figure)


def test_class_balance_prints_pooled_shares_and_each_subject(description):
    """Of 400 annotated pixels (5 columns of 2 x 40) the NFL has 5 + 5, the ISE 30 + 0."""
    figure = class_balance(description)
    bars, table = figure.axes[:2]
    assert [label.get_text() for label in bars.get_yticklabels()] == [layer.name for layer in CLASSES]
    assert texts(bars)[1] == "2.50 %"
    assert texts(bars)[6] == "7.50 %"
    assert [to_hex(bar.get_facecolor()) for bar in bars.patches] == [f"#{bytes(c.colour).hex()}" for c in CLASSES]
    assert bars.get_xscale() == "log"
    assert "log scale" in bars.get_xlabel()
    assert texts(table)[8 * 0 + 6] == "15.0"
    assert texts(table)[8 * 1 + 6] == "absent"
    assert [label.get_text() for label in table.get_yticklabels()] == ["s1", "s2"]
    assert "16.7 % of all pixels are not annotated" in words(figure)
    assert stays_on_the_page(figure)


def test_thickness_is_in_microns_with_a_dot_a_subject(description):
    """ONL-ISM: 5 rows in s1, 1 in s2, at 4 um: 20 and 4 um in five columns each."""
    figure = thickness(description)
    (axis,) = figure.axes
    assert texts(axis)[4] == "12.0 (4.0 to 20.0)"
    assert axis.get_xlabel() == "axial thickness (µm)"
    bar = axis.patches[4]
    assert (bar.get_x(), bar.get_width()) == (pytest.approx(4), pytest.approx(16))
    means, dots = axis.lines
    assert means.get_xdata()[4] == pytest.approx(12)
    assert np.reshape(dots.get_xdata(), (2, 7))[:, 4].tolist() == pytest.approx([20, 4])
    assert stays_on_the_page(figure)


def test_thickness_is_in_pixels_where_no_scale_is_known():
    source = Source()
    source.axial_um = None
    (axis,) = thickness(describe(source)).axes
    assert axis.get_xlabel() == "axial thickness (px)"
    assert texts(axis)[4] == "3.0 (1.0 to 5.0)"


def test_no_global_state_of_pyplot(description):
    import matplotlib.pyplot as plt

    class_balance(description)
    assert plt.get_fignums() == []
