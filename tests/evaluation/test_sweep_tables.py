import numpy as np
import pandas as pd
import pytest
import scipy.stats

from retseg.errors import InputError
from retseg.evaluation.sweep_tables import compare_arms, corrected, subject_means


def scans(**arms):
    """A row a scan: arm -> subject -> scores of its scans."""
    rows = [
        {"arm": arm, "seed": seed, "subject": subject, "scan": f"{subject}_b{seed}", "dice": dice}
        for arm, subjects in arms.items()
        for subject, values in subjects.items()
        for seed, dice in enumerate(values)
    ]
    return pd.DataFrame(rows)


APART = {"s01": [0.80], "s02": [0.70, 0.90], "s03": [0.60]}
LEAKY = {"s01": [0.90], "s02": [0.90, 0.90, 0.96], "s03": [0.64]}


def test_a_subject_counts_once_however_many_scans_it_has():
    means = subject_means(scans(apart=APART, leaky=LEAKY), "dice")
    assert means["apart"].to_list() == pytest.approx([0.80, 0.80, 0.60])
    assert means["leaky"].to_list() == pytest.approx([0.90, 0.92, 0.64])


def test_the_difference_is_paired_by_subject():
    _, row = compare_arms(scans(apart=APART, leaky=LEAKY), "dice", "apart")
    differences = np.array([0.10, 0.12, 0.04])
    assert (row.arm, row.reference, row.num_subjects, row.num_scored) == ("leaky", "apart", 3, 5)
    assert (row.reference_value, row.value) == pytest.approx((2.2 / 3, 2.46 / 3))
    assert row.difference == pytest.approx(differences.mean())
    assert 0.04 <= row.difference_low < row.difference < row.difference_high <= 0.12
    assert row.p == 0.25, "three subjects can't give less: 2 of 8 patterns of signs"


def test_the_interval_is_scipys_percentile_bootstrap():
    rng = np.random.default_rng(2)
    values = {f"s{s:02d}": [value] for s, value in enumerate(rng.normal(0.8, 0.05, 10))}
    base = {subject: [0.8] for subject in values}
    _, row = compare_arms(scans(base=base, other=values), "dice", "base", num_draws=20_000)
    differences = (np.array([value[0] for value in values.values()]) - 0.8,)
    theirs = scipy.stats.bootstrap(differences, np.mean, method="percentile", n_resamples=20_000, rng=1)
    found = (row.difference_low, row.difference_high)
    assert found == pytest.approx(tuple(theirs.confidence_interval), abs=0.001)


def test_only_subjects_of_every_arm_are_compared():
    _, row = compare_arms(scans(apart=APART, leaky={"s02": [0.9], "s09": [0.1]}), "dice", "apart")
    assert (row.num_subjects, row.difference) == (1, pytest.approx(0.1))
    assert np.isnan([row.difference_low, row.difference_high, row.p]).all(), "one subject says nothing of others"


def test_refuses_arms_without_a_common_subject():
    with pytest.raises(InputError, match="no subject is scored in every one of apart, leaky"):
        compare_arms(scans(apart={"s01": [1]}, leaky={"s02": [1]}), "dice", "apart")


def test_the_reference_stands_among_the_arms_without_a_difference_and_holm_does_not_count_it():
    rows = compare_arms(scans(baseline=APART, ce=LEAKY, dice=APART), "dice", "baseline")
    assert [row.arm for row in rows] == ["baseline", "ce", "dice"]
    assert rows[0].value == pytest.approx(2.2 / 3)
    assert np.isnan([rows[0].difference, rows[0].p]).all()
    assert [row.p for row in rows[1:]] == [0.25, 1.0]
    assert np.array_equal(corrected(rows), [np.nan, 0.5, 1.0], equal_nan=True)
