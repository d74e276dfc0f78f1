import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retseg.anatomy import IGNORE, NUM_SURFACES
from retseg.geometry.surfaces import paint_mask

NAN = np.nan


def column(*rows):
    """Surface rows (8, 1) from the first rows; the rest follow one pixel apart."""
    rest = [rows[-1] + 1 + i for i in range(NUM_SURFACES - len(rows))]
    return np.array([*rows, *rest], np.float32)[:, None]


def test_layers_fill_the_rows_from_their_surface_to_the_next():
    mask = paint_mask(column(2, 4, 5, 5, 8, 9, 10, 12), 14)[:, 0]
    assert mask.tolist() == [0, 0, 1, 1, 2, 4, 4, 4, 5, 6, 7, 7, 0, 0]


def test_rows_are_rounded_to_the_pixel():
    assert paint_mask(column(1.4, 2.6), 5)[:, 0].tolist()[:4] == [0, 1, 1, 2]


def test_a_column_without_annotation_is_ignored_whole():
    rows = np.concatenate([column(2), np.full((8, 1), NAN)], axis=1)
    mask = paint_mask(rows, 12)
    assert (mask[:, 1] == IGNORE).all()
    assert (mask[:, 0] != IGNORE).all()


def test_a_gap_ignores_only_what_it_leaves_open():
    rows = column(1, 3, NAN, 7, 8, 9, 10, 11)
    assert paint_mask(rows, 13)[:, 0].tolist() == [0, 1, 1, *[IGNORE] * 4, 4, 5, 6, 7, 0, 0]


def test_an_unknown_first_or_last_surface_leaves_its_outside_open():
    rows = column(NAN, 3, 4, 5, 6, 7, 8, NAN)
    assert paint_mask(rows, 10)[:, 0].tolist() == [*[IGNORE] * 3, 2, 3, 4, 5, 6, *[IGNORE] * 2]


def test_surfaces_that_cross_settle_nothing_between_them():
    mask = paint_mask(column(2, 6, 4, 8), 14)[:, 0]
    assert mask.tolist()[:8] == [0, 0, 1, 1, IGNORE, IGNORE, 3, 3]


@given(st.lists(st.integers(0, 15), min_size=8, max_size=8), st.integers(12, 20))
def test_ordered_surfaces_give_ordered_layers_and_their_thickness(rows, height):
    rows = sorted(rows)
    mask = paint_mask(np.array(rows, np.float32)[:, None], height)[:, 0]
    layers = mask[mask > 0]
    assert (np.diff(layers) >= 0).all()
    for layer in range(1, 8):
        assert (mask == layer).sum() == pytest.approx(min(rows[layer], height) - min(rows[layer - 1], height))
