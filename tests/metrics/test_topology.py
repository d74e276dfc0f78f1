import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from retseg.anatomy import IGNORE
from retseg.geometry.surfaces import depth_classes, paint_mask
from retseg.metrics.topology import topology

LAYERS = range(1, 8)

# 5 rows x 7 columns: layer 1 has a hole (0 in column 1) and an island (column 6); layer 2 a hole joined to nothing
# (3 in column 4) and is missing in columns 0 and 6; layer 3 starts a column late and lies above layer 2 in one place.
MASK = np.array(
    [
        [1, 1, 1, 0, 0, 0, 0],
        [1, 0, 1, 2, 2, 2, 0],
        [1, 1, 1, 2, 3, 2, 1],
        [3, 2, 2, 2, 2, 2, 0],
        [0, 3, 3, 3, 3, 3, 3],
    ]
)


def neighbours(row, column, shape, with_corners):
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            inside = 0 <= row + down < shape[0] and 0 <= column + across < shape[1]
            if inside and (with_corners or down == 0 or across == 0):
                yield row + down, column + across


def pieces_by_flood(region, with_corners):
    """Pieces of region (H, W) bool as sets of pixels."""
    left, pieces = set(map(tuple, np.argwhere(region).tolist())), []
    while left:
        stack, piece = [left.pop()], set()
        while stack:
            pixel = stack.pop()
            piece.add(pixel)
            near = left.intersection(neighbours(*pixel, region.shape, with_corners))
            left -= near
            stack.extend(near)
        pieces.append(piece)
    return pieces


def islands_and_holes_by_flood(mask):
    islands, holes = [], []
    for layer in LAYERS:
        islands.append(max(len(pieces_by_flood(mask == layer, False)) - 1, 0))
        last_row, last_column = mask.shape[0] - 1, mask.shape[1] - 1
        holes.append(
            sum(
                all(0 < row < last_row and 0 < column < last_column for row, column in piece)
                for piece in pieces_by_flood(mask != layer, True)
            )
        )
    return islands, holes


def test_by_hand():
    found = topology(MASK)
    # column 0: 3 over background below the retina is in order; column 1: 1 over the hole, which counts as above the
    # retina; column 4: 3 over 2; column 6: 1 over background, with one layer pixel above it and one below it: above
    assert found.order_violations == 3
    assert found.columns_out_of_order == 3
    assert found.islands.tolist() == [1, 0, 2, 0, 0, 0, 0]
    assert found.holes.tolist() == [1, 1, 0, 0, 0, 0, 0]
    assert found.columns_without.tolist() == [3, 2, 0, 7, 7, 7, 7]


def test_two_falls_in_one_column_are_two_violations_of_one_column():
    found = topology(np.array([3, 2, 1, 4])[:, None])
    assert (found.order_violations, found.columns_out_of_order) == (2, 1)


def test_pieces_that_touch_by_a_corner_are_two_and_holes_that_do_are_one():
    assert topology(np.array([[1, 0], [0, 1]])).islands[0] == 1
    ring = np.array([[1, 1, 1, 1], [1, 2, 1, 1], [1, 1, 2, 1], [1, 1, 1, 1]])
    assert topology(ring).holes.tolist()[:2] == [1, 0]
    assert topology(ring).islands.tolist()[:2] == [0, 1]


def test_a_gap_open_to_the_border_is_no_hole_not_even_by_a_corner():
    assert topology(np.array([[1, 1, 0], [1, 0, 1], [1, 1, 1]])).holes[0] == 0


@given(arrays(np.int8, st.tuples(st.integers(1, 7), st.integers(1, 9)), elements=st.integers(0, 3)))
def test_islands_and_holes_agree_with_flood_fill(mask):
    found = topology(mask)
    assert (found.islands.tolist(), found.holes.tolist()) == islands_and_holes_by_flood(mask)


def blobs(seed, shape=(60, 90)):
    """A scan of noisy layers: smooth enough for large pieces, rough enough for islands and holes."""
    rng = np.random.default_rng(seed)
    rows = 10 + np.cumsum(rng.uniform(0, 8, (8, 1)), axis=0) + np.cumsum(rng.normal(0, 0.5, (1, shape[1])), axis=1)
    mask = paint_mask(rows, shape[0])
    is_noise = ndimage.gaussian_filter(rng.normal(size=shape), 1.5) > 0.25
    return np.where(is_noise, ndimage.shift(mask, (5, 3), order=0), mask)


@pytest.mark.parametrize("seed", range(3))
def test_islands_and_holes_agree_with_scipy(seed):
    mask = blobs(seed)
    found = topology(mask)
    assert found.islands.sum() > 20
    assert found.holes.sum() > 5
    for layer in LAYERS:
        assert found.islands[layer - 1] == max(ndimage.label(mask == layer)[1] - 1, 0)
        filled = ndimage.binary_fill_holes(mask == layer, np.ones((3, 3)))
        assert found.holes[layer - 1] == ndimage.label(filled & (mask != layer), np.ones((3, 3)))[1]


@given(arrays(np.int8, st.tuples(st.integers(1, 7), st.integers(1, 5)), elements=st.integers(-1, 7)))
def test_order_and_columns_agree_with_brute_force(mask):
    depth, falls, without = depth_classes(mask), [0] * mask.shape[1], [0] * 7
    for column in range(mask.shape[1]):
        pairs = zip(depth[:-1, column], depth[1:, column], strict=True)
        falls[column] = sum(below < above for above, below in pairs if IGNORE not in (above, below))
        if IGNORE not in mask[:, column]:
            without = [count + (layer not in mask[:, column]) for count, layer in zip(without, LAYERS, strict=True)]
    found = topology(mask)
    assert found.order_violations == sum(falls)
    assert found.columns_out_of_order == np.count_nonzero(falls)
    assert found.columns_without.tolist() == without


@given(arrays(np.int64, (8, 6), elements=st.integers(0, 12)))
def test_painted_surfaces_are_in_order(rows):
    found = topology(paint_mask(np.sort(rows, axis=0).astype(np.float32), 10))
    assert (found.order_violations, found.columns_out_of_order) == (0, 0)
    assert found.holes.sum() == 0


def test_only_the_columns_asked_for_are_without():
    columns = np.array([True, False, False, False, False, False, True])
    assert topology(MASK, columns).columns_without.tolist() == [0, 2, 0, 2, 2, 2, 2]
    assert topology(MASK, np.zeros(7, bool)).columns_without.tolist() == [0] * 7


def test_columns_that_nobody_annotated_cut_no_layer_in_two():
    mask = np.array([[0, 0, IGNORE, 0], [1, 1, IGNORE, 1], [0, 0, IGNORE, 0]])
    found = topology(mask)
    assert found.islands.tolist() == [0] * 7
    assert found.columns_without.tolist() == [0, *[3] * 6]
    assert found.order_violations == 0


def test_unannotated_pixels_inside_a_layer_are_not_the_layer():
    mask = np.ones((4, 5), np.int8)
    mask[1:3, 2] = IGNORE
    assert topology(mask).holes[0] == 1
    assert topology(mask).columns_without.tolist() == [0, *[4] * 6]  # the fifth column may hold any layer


@pytest.mark.parametrize("label", [0, IGNORE])
def test_without_any_layer_only_columns_are_counted(label):
    found = topology(np.full((5, 7), label, np.int8))
    assert (found.order_violations, found.columns_out_of_order) == (0, 0)
    assert found.islands.tolist() == found.holes.tolist() == [0] * 7
    assert found.columns_without.tolist() == [7 if label == 0 else 0] * 7


def test_one_column():
    found = topology(np.array([0, 1, 2, 1, 0])[:, None])
    assert found.islands.tolist() == [1, *[0] * 6]
    assert found.holes.tolist() == [0] * 7
    assert found.order_violations == 1
