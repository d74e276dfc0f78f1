import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from retseg.metrics.statistics import holm, interval, paired_test, resample_weights, standing

NAN = np.nan


def random_values(num_subjects, shift=0.0, seed=0):
    return np.random.default_rng(seed).normal(shift, 1, num_subjects)


def test_every_draw_holds_as_many_subjects_as_there_are():
    weights = resample_weights(7, num_draws=30)
    assert weights.shape == (30, 7)
    assert (weights.sum(axis=1) == 7).all()


def test_the_same_seed_draws_the_same_subjects():
    assert np.array_equal(resample_weights(5, 20, seed=3), resample_weights(5, 20, seed=3))
    assert not np.array_equal(resample_weights(5, 20, seed=3), resample_weights(5, 20, seed=4))


def test_draws_of_subjects_are_multinomial():
    weights = resample_weights(4, num_draws=40_000)
    law = stats.multinomial(4, [0.25] * 4)
    for counts in ([1, 1, 1, 1], [2, 1, 1, 0], [4, 0, 0, 0]):
        share = (weights == counts).all(axis=1).mean()
        assert share == pytest.approx(law.pmf(counts), abs=4 * np.sqrt(law.pmf(counts) / 40_000))


@pytest.mark.parametrize("num_subjects", [0, 1])
def test_below_two_subjects_there_is_no_interval(num_subjects):
    draws = resample_weights(num_subjects) @ np.ones((num_subjects, 3))
    low, high = interval(draws)
    assert np.isnan(low).all()
    assert np.isnan(high).all()
    assert low.shape == high.shape == (3,)


def test_interval_of_a_mean_agrees_with_scipy():
    values = random_values(12)
    low, high = interval(resample_weights(12, 20_000) @ values / 12)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    assert [low, high] == pytest.approx(list(theirs), abs=0.02)  # the standard error of a percentile is below 0.006


def test_interval_of_a_pooled_score_agrees_with_scipy():
    hits, pixels = np.array([3, 40, 22, 9, 60, 18]), np.array([10, 50, 30, 12, 90, 20])
    weights = resample_weights(6, 20_000)
    low, high = interval(weights @ hits / (weights @ pixels), level=0.8)
    theirs = stats.bootstrap(
        (hits, pixels),
        lambda hits, pixels, axis: hits.sum(axis) / pixels.sum(axis),
        paired=True,
        confidence_level=0.8,
        n_resamples=20_000,
        method="percentile",
        rng=1,
    ).confidence_interval
    assert [low, high] == pytest.approx(list(theirs), abs=0.003)


@given(
    st.lists(st.lists(st.floats(-1e3, 1e3) | st.just(NAN), min_size=3, max_size=3), min_size=1, max_size=12),
    st.sampled_from([0.5, 0.9, 0.95]),
)
def test_percentiles_are_numpys_without_its_warnings(draws, level):
    draws = np.array(draws)
    low, high = interval(draws, level)
    for column in range(3):
        known = draws[np.isfinite(draws[:, column]), column]
        tails = [100 * (1 - level) / 2, 100 * (1 + level) / 2]
        theirs = np.percentile(known, tails) if known.size else [NAN, NAN]
        assert [low[column], high[column]] == pytest.approx(list(theirs), abs=1e-9, nan_ok=True)


def test_paired_test_by_hand_only_two_of_eight_patterns_are_as_far():
    assert paired_test(np.array([1.0, 2.0, 3.0])) == 2 / 8
    # 3, 2, -1 add to 4: as far lie 6, 4 (twice: signs of 1; of 2 it is 2) and their mirror images
    assert paired_test(np.array([3.0, 2.0, -1.0])) == 4 / 8


@pytest.mark.parametrize("num_subjects", [2, 3, 5, 9, 12])
def test_paired_test_is_scipys_permutation_test(num_subjects):
    for seed in range(5):
        values = random_values(num_subjects, shift=0.5, seed=seed)
        theirs = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
        assert paired_test(values) == pytest.approx(theirs.pvalue, abs=1e-12)


def test_on_signed_ranks_it_is_wilcoxons_test():
    for seed in range(5):
        values = random_values(11, shift=0.4, seed=seed)
        signed_ranks = np.sign(values) * stats.rankdata(np.abs(values))
        theirs = stats.wilcoxon(values, method="exact").pvalue
        assert paired_test(signed_ranks) == pytest.approx(theirs, abs=1e-12)


def test_many_subjects_take_random_signs_close_to_the_exact_value():
    values = random_values(17, shift=0.8, seed=0)
    patterns = 1.0 - 2.0 * (np.arange(2**17)[:, None] >> np.arange(17) & 1)
    exact = (np.abs(patterns @ values) >= abs(values.sum()) - 1e-9).mean()
    assert 0.01 < exact < 0.2
    assert paired_test(values) == pytest.approx(exact, abs=0.01)
    assert paired_test(values) == paired_test(values)
    assert paired_test(np.arange(1.0, 40.0)) == 1 / 20_001  # never 0


def test_rounding_breaks_no_ties():
    assert paired_test(np.array([0.1, 0.2, -0.3])) == 1
    whole = np.array([4.0, 2, 0, -3, 5, -2])
    assert paired_test(whole / 10) == paired_test(whole) == 36 / 64


def test_paired_test_leaves_nan_out_and_says_nothing_of_one_subject():
    assert paired_test(np.array([1.0, NAN, 2.0, 3.0])) == 2 / 8
    assert np.isnan(paired_test(np.array([1.0, NAN])))
    assert np.isnan(paired_test(np.array([])))
    assert paired_test(np.zeros(4)) == 1


def test_holm_by_hand():
    # sorted .005 .01 .03 .04 times 4 3 2 1: .02 .03 .06 .04, and none below the one before
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_counts_no_nan_and_stays_within_one():
    assert holm(np.array([NAN, 0.02, NAN, 0.9])) == pytest.approx([NAN, 0.04, NAN, 0.9], nan_ok=True)
    assert holm(np.array([0.7, 0.6])).tolist() == [1, 1]
    assert holm(np.array([0.3])).tolist() == [0.3]
    assert holm(np.array([])).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.sampled_from([0.01, 0.05, 0.3]))
def test_holm_rejects_what_its_procedure_rejects(p_values, level):
    rejected, left = set(), sorted(range(len(p_values)), key=lambda k: p_values[k])
    while left and p_values[left[0]] * len(left) <= level:
        rejected.add(left.pop(0))
    assert {k for k, p in enumerate(holm(np.array(p_values))) if p <= level} == rejected


@pytest.mark.parametrize(
    ("low", "high", "higher_is_better", "expected"),
    [
        (0.01, 0.05, True, "above"),
        (-0.05, -0.01, True, "below"),
        (-0.01, 0.05, True, "at"),
        (0.0, 0.05, True, "at"),
        (1.0, 3.0, False, "below"),  # an error larger than the ceiling's
        (-3.0, -1.0, False, "above"),
        (-3.0, 1.0, False, "at"),
        (NAN, NAN, True, ""),
        (0.2, NAN, False, ""),
    ],
)
def test_below_means_worse_than_the_ceiling(low, high, higher_is_better, expected):
    assert standing(low, high, higher_is_better) == expected
