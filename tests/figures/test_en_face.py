"""Pictures of a volume from the front, on fields whose values are known."""

import numpy as np
import pytest

from retseg.bscan import Spacing
from retseg.figures.captions import caption_of, title_of
from retseg.figures.en_face import layer_maps, retina_en_face
from retseg.figures.thickness import beyond
from retseg.geometry.fovea import fovea_by_user
from retseg.geometry.thickness import SLABS, Slab
from retseg.geometry.volume_map import BScanDistance, ThicknessMap, place_bscans

NAN = np.nan
SCALE = Spacing(4, 50, "file header")


def grid_of(eye="OD", first_bscan="superior", numbers=range(8)):
    """Field of 2 x 1.6 mm: 40 columns, 8 B-scans."""
    return place_bscans(list(numbers), 40, SCALE, BScanDistance(200, "user"), eye, first_bscan, num_bscans=8)


def drawn(grid, slabs=SLABS):
    """Slab number k is 10 k + 10 um thick, and 5 um more a mm to the right."""
    values = np.arange(10, 10 * len(slabs) + 1, 10)[:, None, None] + 0.005 * grid.x_um + 0 * grid.y_um[:, None]
    return ThicknessMap(tuple(slabs), values, "um", "file header", grid)


def maps_of(figure):
    """Axes with a picture by their title."""
    return {axis.get_title(loc="left"): axis for axis in figure.axes if axis.get_images()}


def below(figure):
    return caption_of(figure)


def test_the_sheet_has_every_layer_and_the_total_each_with_colours_of_its_own():
    figure = layer_maps(drawn(grid_of()), fovea_by_user(100, 200), "s01")
    maps = maps_of(figure)
    assert list(maps) == [slab.name for slab in SLABS[:8]]
    for number, axis in enumerate(maps.values()):
        (shown,) = axis.get_images()
        low, high = shown.get_clim()
        # 96 % of a field that rises by 10 um.
        assert (low + high) / 2 == pytest.approx(10 * number + 10)
        assert high - low == pytest.approx(9.6, abs=0.3)
        assert shown.get_extent() == pytest.approx([-1.1, 0.9, 1.0, -0.6])
        assert axis.get_aspect() == 1
    assert title_of(figure) == "Thickness of layers of s01 (µm)"
    assert below(figure).startswith("Axes: mm from the fovea; left temporal, right nasal, superior on top.")
    scale = "Scale in depth: file header; columns: file header; distance of B-scans: user. Gray: not known."
    assert scale in below(figure)


def test_a_map_of_other_slabs_shows_these():
    figure = layer_maps(drawn(grid_of(), (Slab("NFL:INL", "NFL to INL", 1, 3),)), None, "s01")
    assert list(maps_of(figure)) == ["NFL:INL"]
    assert "mm from the middle of the field" in below(figure)


def test_what_nobody_said_is_named_after_the_scan():
    figure = layer_maps(drawn(grid_of(None, None)), None, "s01")
    assert "left first columns, right last columns, first B-scan on top" in below(figure)


def test_brightness_lies_at_its_place_with_a_tick_a_bscan_and_gaps_that_are_no_gray():
    grid = grid_of(numbers=[0, 1, 2, 6, 7])
    brightness = np.repeat([[10.0], [20], [30], [70], [80]], 40, axis=1)
    brightness[0, :20] = NAN
    figure = retina_en_face(brightness, grid, fovea_by_user(0, 0), "s01")
    axis = figure.axes[0]
    (shown,) = axis.get_images()
    values = shown.get_array().filled(NAN)
    # 25 um a pixel from y = -800 um: the B-scans lie at -700, -500, -300, 500 and 700 um.
    assert values.shape == (64, 80)
    assert values[11, 60] == pytest.approx(20, abs=2)
    assert values[19, 60] == pytest.approx(30, abs=2)
    assert np.isnan(values[25:47]).all()
    assert np.isnan(values[:4, :39]).all()
    red, green, blue = shown.get_cmap()(np.ma.masked)[:3]
    assert blue - red > 0.1
    assert blue > green
    (ticks,) = axis.child_axes
    assert ticks.get_yticks() == pytest.approx([0.7, 0.5, 0.3, -0.5, -0.7])
    assert axis.get_ylim() == pytest.approx((-0.8, 0.8))
    assert "Scale of columns: file header; distance of B-scans: user. Cross: fovea, user." in below(figure)


def test_an_inferior_first_bscan_is_at_the_bottom_of_the_brightness_too():
    brightness = np.repeat(np.arange(8.0)[:, None], 40, axis=1)
    axis = retina_en_face(brightness, grid_of(first_bscan="inferior"), None, "s01").axes[0]
    assert axis.get_images()[0].get_extent() == pytest.approx([-1, 1, -0.8, 0.8])
    assert axis.get_ylabel() == "inferior   ←   mm   →   superior"


@pytest.mark.parametrize(
    ("values", "ends"),
    [([1.0, 2], "neither"), ([0.0, 2], "min"), ([1.0, 3], "max"), ([0.0, 3], "both"), ([], "neither")],
)
def test_a_bar_has_a_point_where_values_lie_beyond_it(values, ends):
    assert beyond(np.array(values), (1, 2)) == ends


@pytest.mark.parametrize("numbers", [range(8), [3, 4]])
def test_everything_is_on_the_page(numbers):
    grid = grid_of(None, None, numbers)
    brightness = np.full((len(grid.y_um), 40), NAN)
    name = "a volume of a long name"
    for figure in (layer_maps(drawn(grid), None, name), retina_en_face(brightness, grid, None, name)):
        figure.draw_without_rendering()
        box, (width_in, height_in) = figure.get_tightbbox(), figure.get_size_inches()
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= width_in
        assert box.y1 <= height_in
