"""Likeness of maps against scipy and numbers worked by hand."""

import pytest
import torch
from scipy.stats import spearmanr

from retseg.explain.similarity import (
    Similarity,
    rank_correlation,
    similarity,
    structural_similarity,
    top_overlap,
)


def random_maps(seed, shape=(2, 3, 32, 48), blank_share=0.6):
    """Maps as Grad-CAM gives them: most pixels exactly 0, some equal."""
    values = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    return (values - blank_share).relu().mul(20).round().div(20)


def test_rank_correlation_is_spearmans_with_ties():
    first, second = random_maps(0), random_maps(1) + 0.5 * random_maps(0)
    ours = rank_correlation(first, second)
    for scan in range(2):
        for class_id in range(3):
            theirs = spearmanr(first[scan, class_id].flatten(), second[scan, class_id].flatten()).statistic
            assert ours[scan, class_id].item() == pytest.approx(theirs, abs=1e-12)


def test_rank_correlation_feels_neither_scale_nor_any_rising_curve_but_the_sign():
    maps = torch.rand(1, 2, 32, 48)
    torch.testing.assert_close(rank_correlation(maps, 1e-6 * maps**3), torch.ones(1, 2).double())
    torch.testing.assert_close(rank_correlation(maps, 1 - maps), -torch.ones(1, 2).double())


def test_a_blank_map_is_like_nothing():
    maps = random_maps(0)
    maps[0, 1] = 0
    found = similarity(maps, random_maps(1))
    for values in (found.rank, found.ssim, found.top):
        assert values[0, 1].isnan()
        assert values.isnan().sum() == 1


def test_ssim_of_a_map_with_itself_is_1_whatever_its_scale_and_lower_for_another():
    maps = random_maps(0)
    torch.testing.assert_close(structural_similarity(maps, 1e-7 * maps), torch.ones(2, 3))
    assert structural_similarity(maps, random_maps(1)).max() < 0.5


def test_overlap_of_the_hottest_pixels_by_hand():
    first = torch.tensor([[[[9.0, 8, 7, 6, 5, 4, 3, 2, 1, 0]]]])
    second = torch.tensor([[[[9.0, 0, 8, 0, 0, 0, 0, 7, 6, 5]]]])
    # Hottest 4 of the first: pixels 0 1 2 3; of the second: 0 2 7 8.
    assert top_overlap(first, second, 0.4).item() == pytest.approx(2 / 4)
    assert top_overlap(first, first, 0.4).item() == 1


def test_pixels_without_heat_are_never_among_the_hottest():
    left, right = torch.zeros(1, 1, 1, 10), torch.zeros(1, 1, 1, 10)
    left[..., 0], right[..., 9] = 1, 1
    assert top_overlap(left, right, 0.5).item() == 0  # k = 1: one pixel has heat


def test_equal_pixels_share_the_places_left():
    first = torch.tensor([[[[2.0, 1, 1, 1, 0]]]])
    second = torch.tensor([[[[2.0, 0, 0, 1, 1]]]])
    # k = 2. First: 1, then 1/3 each of pixels 1 2 3; second: 1, then 1/2 each of pixels 3 4; in common 1 + 1/3.
    assert top_overlap(first, second, 0.4).item() == pytest.approx((1 + 1 / 3) / 2)
    assert top_overlap(second, second, 0.4).item() == pytest.approx(1)


def test_unrelated_maps_share_a_tenth_of_their_hottest_tenth():
    first, second = random_maps(0, (8, 8, 64, 96), 0), random_maps(1, (8, 8, 64, 96), 0)
    assert top_overlap(first, second).mean().item() == pytest.approx(0.1, abs=0.01)
    assert rank_correlation(first, second).mean().item() == pytest.approx(0, abs=0.01)


def test_similarities_stack_step_by_step():
    steps = Similarity.stack([similarity(random_maps(0), random_maps(seed)) for seed in (0, 1)])
    assert steps.rank.shape == steps.ssim.shape == steps.top.shape == (2, 2, 3)
    assert steps.rank[0].min() > 0.999
