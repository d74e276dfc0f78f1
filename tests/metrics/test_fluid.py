import numpy as np
import pytest
import torch
from monai.metrics import DiceMetric

from retseg.anatomy import IGNORE
from retseg.metrics.fluid import dice, fluid_counts, iou, is_empty, precision, recall, weighted_mean

NAN = np.nan

# 4 rows x 6 columns, nobody looked in the last column: 2 hits, 1 false alarm, 3 misses.
TRUTH = np.array(
    [
        [0, 1, 1, 0, 0, IGNORE],
        [0, 1, 1, 0, 0, IGNORE],
        [0, 0, 0, 0, 1, IGNORE],
        [0, 0, 0, 0, 0, IGNORE],
    ],
    np.int8,
)
FOUND = np.array(
    [
        [0, 0, 1, 0, 0, 1],
        [0, 0, 1, 1, 0, 1],
        [0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0],
    ],
    bool,
)


def random_masks(num_scans=6, shape=(9, 14), seed=0):
    """Found and drawn masks; the last two scans are empty in the truth, the last one in both."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((num_scans, *shape)) < 0.3).astype(np.int8)
    found = np.where(rng.random(truth.shape) < 0.7, truth == 1, rng.random(truth.shape) < 0.3)
    truth[-2:] = 0
    found[-1] = False
    return found, truth


def counts_of(found, truth):
    return np.stack([fluid_counts(f, t) for f, t in zip(found, truth, strict=True)])


def monai_dice(found, truth, ignore_empty):
    """Each scan's Dice (N,) by MONAI."""
    planes = [torch.from_numpy(np.asarray(plane)).float()[:, None] for plane in (found, truth)]
    return DiceMetric(include_background=True, ignore_empty=ignore_empty, reduction="none")(*planes)[:, 0].numpy()


def test_counts_and_scores_by_hand_what_nobody_looked_at_is_in_none():
    counts = fluid_counts(FOUND, TRUTH)
    assert counts.tolist() == [2, 1, 3]
    assert dice(counts) == pytest.approx(4 / 8)
    assert iou(counts) == pytest.approx(2 / 6)
    assert recall(counts) == pytest.approx(2 / 5)
    assert precision(counts) == pytest.approx(2 / 3)
    assert not is_empty(counts)


def test_no_fluid_found_and_none_drawn_is_nan_and_never_two():
    counts = fluid_counts(np.zeros((2, 3), bool), np.zeros((2, 3), np.int8))
    assert is_empty(counts)
    assert all(np.isnan(score(counts)) for score in (dice, iou, recall, precision))


@pytest.mark.parametrize(("found", "drawn"), [(True, 0), (False, 1)])
def test_fluid_on_one_side_alone_scores_zero(found, drawn):
    counts = fluid_counts(np.full((2, 3), found), np.full((2, 3), drawn, np.int8))
    assert (dice(counts), iou(counts), is_empty(counts)) == (0, 0, False)
    assert np.isnan(recall(counts)) == (drawn == 0)
    assert np.isnan(precision(counts)) == (not found)


def test_a_scan_nobody_looked_at_is_empty():
    assert fluid_counts(FOUND, np.full(FOUND.shape, IGNORE, np.int8)).tolist() == [0, 0, 0]


def test_dice_a_scan_is_monais():
    found, truth = random_masks()
    ours, theirs = dice(counts_of(found, truth)), monai_dice(found, truth, ignore_empty=True)
    assert np.isfinite(ours[:-2]).all()
    assert ours[:-2] == pytest.approx(theirs[:-2])
    # MONAI leaves out every scan whose truth is empty, also those in which something was found.
    assert (ours[-2], np.isnan(ours[-1])) == (0, True)
    assert np.isnan(theirs[-2:]).all()


def test_pooled_dice_is_monais_of_all_pixels_as_one_scan():
    found, truth = random_masks()
    as_one = [plane.reshape(1, -1, plane.shape[-1]) for plane in (found, truth)]
    assert dice(counts_of(found, truth).sum(axis=0)) == pytest.approx(monai_dice(*as_one, ignore_empty=True)[0])


def test_both_means_over_scans_empty_ones_left_out_or_counted_as_one():
    found, truth = random_masks()
    values = dice(counts_of(found, truth))
    once = np.ones((1, len(values)))
    assert weighted_mean(values, once)[0] == pytest.approx(values[:-1].mean())
    # MONAI with ignore_empty=False counts an empty scan as 1 where nothing was found in it, else as 0.
    theirs = monai_dice(found, truth, ignore_empty=False)
    assert weighted_mean(values, once, absent=1.0)[0] == pytest.approx(theirs.mean())


def test_weighted_mean_by_hand():
    values, weights = np.array([0.2, NAN, 0.8]), np.array([[1, 1, 1], [3, 5, 1], [0, 2, 0]])
    assert weighted_mean(values, weights) == pytest.approx([0.5, 0.35, NAN], nan_ok=True)
    assert weighted_mean(values, weights, absent=1.0) == pytest.approx([2 / 3, (0.6 + 5 + 0.8) / 9, 1.0])
