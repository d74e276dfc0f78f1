import numpy as np
import pytest

from retseg.bscan import Spacing
from retseg.evaluation.inference import Place
from retseg.inference.tiles import blend_weights, column_starts, field_of_view, moved_to, tiles, zoomed
from tests.inference.drawn import card, draw, surfaces

UM = Spacing(4.0, 12.0, "user")


def test_windows_are_as_large_in_um_as_in_training():
    field = field_of_view(card(), (200, 300), Spacing(2.0, 6.0, "user"))
    assert (field.rows, field.columns, field.size, field.notice) == (80, 96, (40, 48), "")


def test_a_window_is_no_larger_than_its_scan():
    field = field_of_view(card(), (30, 300), UM)
    assert (field.rows, field.columns) == (30, 48)


def test_an_unknown_scale_gives_pixels_and_a_notice():
    field = field_of_view(card(), (200, 300), Spacing())
    assert (field.rows, field.columns) == (40, 48)
    assert field.notice == "this scan's pixel size is not known: windows are 40 x 48 px, as in training"
    assert "the training scans' pixel size is not known" in field_of_view(card(training_um=None), (200, 300), UM).notice


def test_without_a_training_shape_a_scan_is_one_window():
    field = field_of_view(card(training_shape=None, size=None), (200, 300), UM)
    assert (field.rows, field.columns, field.size) == (200, 300, (200, 300))
    assert "each scan is one window" in field.notice


def test_a_network_without_a_size_sees_windows_at_its_training_scale():
    assert field_of_view(card(size=None), (200, 300), Spacing(2.0, 6.0, "user")).size == (40, 48)


@pytest.mark.parametrize(("num_columns", "width"), [(768, 500), (501, 500), (1536, 500), (49, 7), (100, 50)])
def test_windows_cover_a_scan_with_one_in_the_middle(num_columns: int, width: int):
    starts = column_starts(num_columns, width)
    assert starts[0] == 0
    assert starts[-1] == num_columns - width
    assert round((num_columns - width) / 2) in starts
    assert list(starts) == sorted(set(starts))
    assert max(np.diff(starts)) <= 0.75 * width + 1


def test_a_scan_as_wide_as_a_window_is_one():
    assert column_starts(48, 48) == (0,)
    assert column_starts(20, 48) == (0,)


def test_weights_sum_to_one_and_the_middle_window_comes_first():
    places = tuple(Place(0, start, 40, 50) for start in column_starts(77, 50))
    weights = blend_weights(places, 77)
    assert len(places) == 3
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    np.testing.assert_array_equal(weights[1, 20:57], 1)
    assert weights[0, 0] == 1
    assert weights[2, -1] == 1


def test_each_window_finds_the_retina_of_its_own_columns():
    image = draw(surfaces(144, first_row=20, slope=0.4), 160)
    found = tiles(image, field_of_view(card(), (160, 144), UM))
    tops = [place.top for place in found]
    assert tops == sorted(tops)
    assert tops[-1] - tops[0] > 0.4 * 60
    for place in found:
        middle = place.left + place.width // 2
        assert place.top <= 20 + 0.4 * middle
        assert place.top + place.height >= 41 + 0.4 * middle


def test_a_window_moves_as_far_as_its_scan_goes():
    place = Place(10, 3, 40, 50)
    assert moved_to(place, 50, 100) == Place(30, 3, 40, 50)
    assert moved_to(place, 5, 100).top == 0
    assert moved_to(place, 99, 100).top == 60


def test_a_scan_of_unknown_scale_is_zoomed_to_where_its_retina_takes_its_usual_share():
    whole = field_of_view(card(size=(256, 128), is_of_any_scale=True), (496, 768), Spacing())
    assert (whole.rows, whole.columns, whole.is_guess) == (496, 768, True)
    assert "pixel size is not known" in whole.notice
    rows = np.full((8, 128), np.nan)
    rows[:, 20:] = np.linspace(100, 100 + 0.19 * 256, 8)[:, None]
    found = zoomed(whole, rows)
    assert (found.rows, found.columns, found.is_guess) == (248, 768, False)
    assert zoomed(whole, rows * 5).rows == 496
    assert zoomed(whole, rows / 50).rows == 64
    assert zoomed(whole, np.full((8, 128), np.nan)).rows == 496


def test_a_known_scale_is_kept_by_a_network_of_any_scale():
    found = field_of_view(card(is_of_any_scale=True), (400, 400), Spacing(2.0, 6.0, "user"))
    assert (found.rows, found.columns, found.is_guess) == (80, 96, False)
