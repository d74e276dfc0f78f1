"""Redundancy against scipy, brute force and maps whose numbers are known. Scans are 6 rows by 9 columns."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from retseg.explain.identities import Identity
from retseg.explain.redundancy import OVERLAP_BOUND, RANK_BOUND, redundancies, redundancy

SIZE = (6, 9)


def softmax(seed, num_scans=2, num_classes=3):
    logits = torch.randn((num_scans, num_classes, *SIZE), generator=torch.Generator().manual_seed(seed))
    return (3 * logits).softmax(1)


def heat(seed, like, levels=None):
    """Random maps of which half the pixels are 0; with levels all values are whole numbers, so that many tie."""
    maps = torch.randn(like.shape, generator=torch.Generator().manual_seed(seed)).relu()
    return maps if levels is None else (maps * levels).floor()


def dice_by_shuffling(map_hw, predicted_hw, rng, repeats=4000):
    """Mean Dice of the hottest pixels and the predicted ones over random orders of equal pixels."""
    num = min(int(predicted_hw.sum()), int((map_hw > 0).sum()))
    scores = []
    for _ in range(repeats):
        order = np.lexsort((rng.random(map_hw.size), -map_hw.ravel()))[:num]
        scores.append(2 * predicted_hw.ravel()[order].sum() / (num + predicted_hw.sum()))
    return np.mean(scores)


# The measures.


@pytest.mark.parametrize("levels", [None, 2, 1])
def test_rank_correlation_is_scipys_with_and_without_ties(levels):
    probabilities = softmax(0)
    found = redundancy(heat(1, probabilities, levels), probabilities).rank_correlation
    for scan, class_id in np.ndindex(2, 3):
        oracle = spearmanr(
            heat(1, probabilities, levels)[scan, class_id].ravel(), probabilities[scan, class_id].ravel()
        )
        assert found[scan, class_id] == pytest.approx(oracle.statistic, abs=1e-12)


@pytest.mark.parametrize("levels", [None, 1])
def test_overlap_is_the_mean_over_all_ways_to_break_ties(levels):
    probabilities = softmax(2)
    maps = heat(3, probabilities, levels)
    found = redundancy(maps, probabilities).overlap
    predicted, rng = probabilities.argmax(1).numpy(), np.random.default_rng(0)
    for scan, class_id in np.ndindex(2, 3):
        oracle = dice_by_shuffling(maps[scan, class_id].numpy(), predicted[scan] == class_id, rng)
        assert found[scan, class_id] == pytest.approx(oracle, abs=0.01 if levels else 1e-9)


def two_columns():
    """One scan of class 1 in columns 0 and 1 (12 of 54 pixels, P_1 = 0.8), class 0 elsewhere (P_1 = 0.1)."""
    ones = torch.full(SIZE, 0.1)
    ones[:, :2] = 0.8
    return torch.stack([1 - ones, ones])[None]


def test_hand_made_overlaps_and_shared_heat():
    probabilities, maps = two_columns(), torch.zeros(1, 2, *SIZE)
    maps[0, 1, :, 1:3] = 5  # one of two columns is right: 6 of 12 pixels
    found = redundancy(maps, probabilities)
    assert found.overlap[0, 1] == pytest.approx(0.5)
    # P_1 sums to 12 x 0.8 + 42 x 0.1 = 13.8; the map has 1/12 at each of its pixels.
    assert found.shared_heat[0, 1] == pytest.approx(6 * 0.8 / 13.8 + 6 * 0.1 / 13.8)


def test_pixels_without_heat_are_never_among_the_hottest():
    probabilities, maps = two_columns(), torch.zeros(1, 2, *SIZE)
    maps[0, 1, 0, 0] = 1  # one pixel, in the layer: Dice of 1 pixel and 12
    assert redundancy(maps, probabilities).overlap[0, 1] == pytest.approx(2 / 13)


def test_a_tie_for_the_last_places_counts_in_part():
    probabilities, maps = two_columns(), torch.zeros(1, 2, *SIZE)
    maps[0, 1, :, 0] = 2  # 6 pixels, all in the layer; 6 places remain for 12 equal pixels, half of them in the layer
    maps[0, 1, :, 1:3] = 1
    assert redundancy(maps, probabilities).overlap[0, 1] == pytest.approx((6 + 3) / 12)


def test_the_prediction_itself_repeats_itself_and_scale_does_not_matter():
    probabilities = softmax(4)
    found = redundancy(7e-6 * probabilities, probabilities)
    torch.testing.assert_close(found.rank_correlation, torch.ones(2, 3, dtype=torch.float64))
    torch.testing.assert_close(found.shared_heat, torch.ones(2, 3, dtype=torch.float64))
    assert found.repeats.all()


def test_random_maps_score_what_chance_gives():
    """Pixel noise overlaps a class by its share of the scan; 64 x 96 pixels leave little room for luck."""
    generator = torch.Generator().manual_seed(5)
    probabilities = torch.zeros(1, 2, 64, 96)
    probabilities[:, 1, 10:26] = 1  # a quarter of the scan
    probabilities[:, 0] = 1 - probabilities[:, 1]
    found = redundancy(torch.rand(probabilities.shape, generator=generator), probabilities)
    assert found.rank_correlation[0, 1].abs() < 0.03
    assert found.area.tolist() == [[0.75, 0.25]]
    assert found.overlap[0].tolist() == pytest.approx([0.75, 0.25], abs=0.03)
    assert found.overlap_beyond_chance.abs().max() < 0.03
    assert found.repeats.tolist() == [[False, False]]


# What cannot be judged.


def test_a_blank_map_and_an_absent_class_are_nan_and_repeat_nothing():
    probabilities = two_columns()
    probabilities = torch.cat([probabilities, probabilities.flip(3)])
    probabilities = torch.cat([probabilities * 0.9, torch.full((2, 1, *SIZE), 0.1)], dim=1)  # class 2: never predicted
    maps = torch.ones_like(probabilities) * torch.arange(9.0)
    maps[0, 1] = 0
    found = redundancy(maps, probabilities)
    nowhere = [[False, True, True], [False, False, True]]
    for measure in (found.rank_correlation, found.shared_heat, found.overlap):
        assert measure.isnan().tolist() == nowhere
    assert not found.repeats[torch.tensor(nowhere)].any()
    assert found.stamp(0, 1, Identity((2,), "P_c")) == ""


def test_a_map_that_is_not_finite_is_nan():
    probabilities = two_columns()
    maps = torch.ones_like(probabilities)
    maps[0, 0, 2, 2] = torch.nan
    assert redundancy(maps, probabilities).overlap.isnan().tolist() == [[True, False]]


def test_a_map_of_one_value_has_no_rank_correlation_but_an_overlap():
    found = redundancy(torch.ones(1, 2, *SIZE), two_columns())
    assert found.rank_correlation.isnan().all()
    assert found.overlap[0].tolist() == pytest.approx([42 / 54, 12 / 54])


def test_negative_heat_is_a_slip():
    with pytest.raises(AssertionError):
        redundancy(-two_columns(), two_columns())


# Stamps.


def test_many_maps_at_once_are_judged_as_each_alone():
    probabilities = softmax(6)
    maps = {("gradcam", "a"): heat(7, probabilities), ("gradcam", "b"): probabilities}
    together = redundancies(maps, probabilities)
    assert set(together) == set(maps)
    for key, these in maps.items():
        assert torch.equal(together[key].shared_heat, redundancy(these, probabilities).shared_heat)
        assert torch.equal(together[key].overlap, redundancy(these, probabilities).overlap)
        assert torch.equal(together[key].rank_correlation, redundancy(these, probabilities).rank_correlation)


def test_the_stamp_names_the_identity_where_there_is_one():
    probabilities = two_columns()
    both = Identity((1, 2), "P_c")
    repeated, other = redundancy(probabilities, probabilities), redundancy(probabilities.flip(3), probabilities)
    assert repeated.stamp(0, 1) == "repeats the prediction"
    assert repeated.stamp(0, 1, both) == "repeats the prediction (identities 1 and 2: the map is P_c)"
    assert other.stamp(0, 1) == ""
    assert other.stamp(0, 1, Identity((5,), "x")) == "is computed from the output alone (identity 5: the map is x)"


def test_each_bound_stamps_by_itself():
    probabilities = two_columns()
    topped = torch.zeros(1, 2, *SIZE)
    topped[0, 1, :, :2] = 1
    topped[0, 1, 0] += 2  # the top row is hotter: 7 of its 9 pixels lie outside the layer
    found = redundancy(topped, probabilities)
    assert found.overlap[0, 1] == pytest.approx((2 + 3) / 12)
    assert not found.repeats[0, 1]
    # The layer is the hottest part, the other pixels are in no order.
    mask = (probabilities > 0.5).float()
    by_overlap = redundancy(mask, 0.1 * softmax(8, 1, 2) + 0.85 * mask)
    assert by_overlap.overlap[0, 1] == 1
    assert by_overlap.rank_correlation[0, 1] < RANK_BOUND
    assert by_overlap.repeats[0, 1]
    # All pixels are in order but for the layer's two, which change places with the two that come next.
    ramp = torch.linspace(0.1, 0.53, 54).view(1, 1, *SIZE)
    ramp = torch.cat([1 - ramp, ramp], dim=1)
    num_predicted = int((ramp[0, 1] > 0.5).sum())
    order = torch.arange(54.0)
    top = order[-2 * num_predicted :].clone()
    order[-2 * num_predicted :] = torch.cat([top[num_predicted:], top[:num_predicted]])
    by_rank = redundancy(order.view(1, 1, *SIZE).expand(1, 2, -1, -1), ramp)
    assert by_rank.overlap[0, 1] == 0
    assert by_rank.overlap_beyond_chance[0, 1] < 0 < OVERLAP_BOUND
    assert by_rank.rank_correlation[0, 1] >= RANK_BOUND
    assert by_rank.repeats[0, 1]
