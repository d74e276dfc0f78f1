import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from retseg.anatomy import IGNORE, NUM_SURFACES
from retseg.geometry.surfaces import depth_classes, paint_mask, trace_surfaces

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


# 5 rows x 7 columns: in order; a layer of no thickness; a hole; out of order; up to both borders; no layer; unknown.
MASK = np.array(
    [
        [0, 0, 0, 0, 2, 0, -1],
        [1, 1, 1, 2, 3, 0, -1],
        [2, 3, 0, 1, 5, 0, -1],
        [3, 7, 2, 1, 6, 0, -1],
        [0, 0, 3, 0, 7, 0, -1],
    ]
)


def test_traced_rows_by_hand():
    rows = trace_surfaces(MASK)
    assert rows.dtype == np.float32
    assert rows[:, 0].tolist() == [1, 2, 3, 4, 4, 4, 4, 4]
    assert rows[:, 1].tolist() == [1, 2, 2, 3, 3, 3, 3, 4]
    assert rows[:, 2].tolist() == [2, 3, 4, 5, 5, 5, 5, 5]  # the hole has one layer above and two below it: above
    assert rows[:, 3].tolist() == [1, 3, 4, 4, 4, 4, 4, 4]  # as if sorted: 0 1 1 2
    assert rows[:, 4].tolist() == [0, 0, 1, 2, 2, 3, 4, 5]
    assert np.isnan(rows[:, 5:]).all()


def test_background_counts_as_above_where_as_many_layer_pixels_lie_below():
    column = np.array([0, 1, 0, 2, 0, 3, 0, 4, 0])[:, None]
    assert depth_classes(column)[:, 0].tolist() == [0, 1, 0, 2, 0, 3, 8, 4, 8]


def test_depth_keeps_what_nobody_annotated():
    assert depth_classes(MASK)[:, 6].tolist() == [IGNORE] * 5
    assert depth_classes(np.array([[IGNORE], [1], [IGNORE], [0]]))[:, 0].tolist() == [IGNORE, 1, IGNORE, 8]


def test_surfaces_that_touch_an_unannotated_pixel_are_unknown():
    column = np.array([0, 1, 1, -1, 4, 5, 6, 7, 0])[:, None]
    assert trace_surfaces(column)[:, 0] == pytest.approx([1, NAN, NAN, NAN, 5, 6, 7, 8], nan_ok=True)
    column = np.array([-1, 1, 1, 2, 3, 4, 5, 6, 7, -1])[:, None]
    assert trace_surfaces(column)[:, 0] == pytest.approx([NAN, 3, 4, 5, 6, 7, 8, NAN], nan_ok=True)


@st.composite
def ordered_masks(draw):
    """Masks (H, W) of ordered surfaces with a layer in every column: some of no thickness, some up to the border."""
    height, width = draw(st.integers(2, 14)), draw(st.integers(1, 6))
    rows = np.sort(draw(arrays(np.int64, (8, width), elements=st.integers(0, height + 1))), axis=0)
    rows[0] = np.minimum(rows[0], height - 1)
    rows[7] = np.maximum(rows[7], rows[0] + 1)
    return paint_mask(rows.astype(np.float32), height), np.minimum(rows, height)


@given(ordered_masks())
def test_mask_to_surfaces_to_mask_is_exact_on_ordered_masks(painted):
    mask, rows = painted
    assert np.array_equal(trace_surfaces(mask), rows)
    assert np.array_equal(paint_mask(trace_surfaces(mask), len(mask)), mask)


@given(ordered_masks(), st.data())
def test_what_is_traced_around_unannotated_pixels_contradicts_no_annotation(painted, data):
    mask, _ = painted
    mask[data.draw(arrays(bool, mask.shape))] = IGNORE
    again = paint_mask(trace_surfaces(mask), len(mask))
    is_in_both = (mask != IGNORE) & (again != IGNORE)
    assert np.array_equal(mask[is_in_both], again[is_in_both])


def traced_by_brute_force(column):
    """Surface rows (8,) of one column (H,), pixel by pixel."""
    if not any(label > 0 for label in column):
        return [NAN] * 8
    depth = []
    for row, label in enumerate(column):
        above, below = (sum(other > 0 for other in part) for part in (column[:row], column[row + 1 :]))
        if label == IGNORE:
            depth.append(depth[-1] if depth else 0)
        else:
            depth.append(label if label > 0 else 0 if above <= below else 8)
    rows = [sum(place <= surface for place in depth) for surface in range(8)]
    return [NAN if IGNORE in column[max(row - 1, 0) : row + 1] else row for row in rows]


@given(arrays(np.int8, st.tuples(st.integers(1, 9), st.integers(1, 5)), elements=st.integers(-1, 7)))
def test_any_mask_agrees_with_brute_force_and_no_surfaces_cross(mask):
    rows = trace_surfaces(mask)
    for column in range(mask.shape[1]):
        assert rows[:, column] == pytest.approx(traced_by_brute_force(mask[:, column].tolist()), nan_ok=True)
        assert (np.diff(rows[np.isfinite(rows[:, column]), column]) >= 0).all()
