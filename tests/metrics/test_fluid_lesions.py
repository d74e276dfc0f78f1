import numpy as np
import pytest
import torch
from monai.metrics.panoptic_quality import compute_panoptic_quality
from skimage.measure import label as label_by_skimage

from retseg.anatomy import IGNORE
from retseg.metrics.fluid_lesions import SIZES_UM2, lesions, size_classes

# 5 rows x 9 columns. Drawn: A of 4 px, B of 2 px that touch at a corner, C of 3 px. Found: 3 px of A and one beside it,
# one piece over C and beyond it, and D, where nothing was drawn.
TRUTH = np.array(
    [
        [1, 1, 0, 0, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0],
    ],
    np.int8,
)
FOUND = np.array(
    [
        [0, 1, 1, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 1, 1, 1],
        [1, 0, 0, 0, 0, 1, 1, 1, 1],
    ],
    bool,
)


def random_masks(seed):
    """Blocks of 3 x 3 pixels, some of which are moved, grown or lost on the other side."""
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.random((7, 9)) < 0.25, np.ones((3, 3), bool)).astype(np.int8)
    found = np.roll(truth, rng.integers(-1, 2, 2), (0, 1)) == 1
    found ^= rng.random(found.shape) < 0.05
    return found, truth


def hits_by_sets(mine, others):
    """Area, cover and best IoU of each piece of one mask, as sets of pixels told apart by scikit-image."""
    pieces = [label_by_skimage(np.asarray(side) > 0, connectivity=2) for side in (mine, others)]
    mine, others = ([set(np.flatnonzero(side == k)) for k in range(1, side.max() + 1)] for side in pieces)
    everything = set().union(*others)
    return [
        (len(one), len(one & everything) / len(one), max((len(one & o) / len(one | o) for o in others), default=0.0))
        for one in mine
    ]


def as_tuples(side):
    return list(zip(side.area_px.tolist(), side.cover.tolist(), side.best_iou.tolist(), strict=True))


def test_by_hand():
    true, found = lesions(FOUND, TRUTH)
    assert as_tuples(true) == [(4, 3 / 4, 3 / 5), (2, 0.0, 0.0), (3, 1.0, 3 / 8)]  # as rows meet them: A, B, C
    assert as_tuples(found) == [(4, 3 / 4, 3 / 5), (8, 3 / 8, 3 / 8), (1, 0.0, 0.0)]
    assert true.is_covered.tolist() == [True, False, True]
    assert found.is_covered.tolist() == [True, False, False]
    assert true.is_paired.tolist() == [True, False, False]
    assert found.is_paired.tolist() == [True, False, False]


def test_exactly_half_covered_is_a_hit_and_an_iou_of_exactly_a_half_is_no_pair():
    true, found = lesions(np.array([[True, False]]), np.array([[1, 1]], np.int8))
    assert (true.cover.tolist(), true.is_covered.tolist()) == ([0.5], [True])
    assert (found.best_iou.tolist(), found.is_paired.tolist()) == ([0.5], [False])


def test_what_nobody_looked_at_is_cut_off_first():
    truth = TRUTH.copy()
    truth[:, 6] = IGNORE  # C falls into two pieces of one pixel, and so does what was found there
    true, found = lesions(FOUND, truth)
    assert true.area_px.tolist() == [4, 2, 1, 1]
    assert found.area_px.tolist() == [4, 2, 4, 1]


@pytest.mark.parametrize("found", [False, True])
@pytest.mark.parametrize("drawn", [0, 1])
def test_scans_without_fluid_on_a_side(found, drawn):
    true_side, found_side = lesions(np.full((2, 3), found), np.full((2, 3), drawn, np.int8))
    assert (len(true_side.area_px), len(found_side.area_px)) == (drawn, int(found))
    assert true_side.is_covered.tolist() == [found] * drawn
    assert found_side.is_covered.tolist() == [bool(drawn)] * int(found)


@pytest.mark.parametrize("seed", range(6))
def test_like_sets_of_pixels_that_scikit_image_told_apart(seed):
    found, truth = random_masks(seed)
    sides = lesions(found, truth)
    assert as_tuples(sides[0]) == hits_by_sets(truth, found)
    assert as_tuples(sides[1]) == hits_by_sets(found, truth)


@pytest.mark.parametrize("seed", range(6))
def test_pairs_are_those_of_monais_panoptic_quality(seed):
    found, truth = random_masks(seed)
    true_side, found_side = lesions(found, truth)
    pieces = [label_by_skimage(np.asarray(side) > 0, connectivity=2) for side in (found, truth)]
    quality = compute_panoptic_quality(*map(_tensor, pieces), metric_name="rq", match_iou_threshold=0.5)
    num_pairs = true_side.is_paired.sum()
    assert num_pairs == found_side.is_paired.sum()
    f1 = 2 * num_pairs / (len(true_side.area_px) + len(found_side.area_px))
    assert f1 == pytest.approx(float(quality), abs=1e-6)


def _tensor(pieces):
    return torch.from_numpy(pieces.astype(np.int64))


def test_size_classes_begin_with_their_first_um2():
    assert list(SIZES_UM2) == ["small", "medium", "large"]
    assert size_classes(np.array([1, 499, 500, 4999, 5000]), 10.0).tolist() == [0, 0, 1, 1, 2]
    assert size_classes(np.array([1, 7]), np.nan).tolist() == [-1, -1]
