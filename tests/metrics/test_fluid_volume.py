import numpy as np
import pytest

from retseg.metrics.fluid_volume import agreement, area_mm2, volume_mm3

NAN = np.nan


def test_volume_by_hand_three_slabs_of_123_um():
    # 1000, 0 and 500 px of 4 um x 10 um: 0.04 + 0 + 0.02 mm2, times 0.123 mm
    assert area_mm2(1000, 40.0) == pytest.approx(0.04)
    assert volume_mm3(np.array([1000, 0, 500]), np.full(3, 40.0), 123.0) == pytest.approx(0.06 * 0.123)


def test_volume_with_pixels_of_unlike_and_of_unknown_size():
    assert volume_mm3(np.array([1000, 1000]), np.array([40.0, 20.0]), 100.0) == pytest.approx(0.006)
    assert np.isnan(volume_mm3(np.array([1000, 1000]), np.array([40.0, NAN]), 100.0))


def test_bland_and_altman_by_hand():
    # differences 1, 3, -1: mean 1, sd sqrt((0 + 4 + 4) / 2) = 2, limits 1 -+ 3.92, mean absolute 5/3
    figures = agreement(np.array([3.0, 5.0, 1.0, NAN]), np.array([2.0, 2.0, 2.0, 9.0]))
    assert (figures.bias, figures.sd, figures.num) == (1, 2, 3)
    assert (figures.low, figures.high) == pytest.approx((1 - 3.92, 1 + 3.92))
    assert figures.absolute == pytest.approx(5 / 3)


def test_one_subject_has_a_difference_and_no_limits():
    figures = agreement(np.array([3.0]), np.array([1.0]))
    assert (figures.bias, figures.absolute, figures.num) == (2, 2, 1)
    assert np.isnan([figures.sd, figures.low, figures.high]).all()


def test_no_subject():
    figures = agreement(np.array([NAN]), np.array([1.0]))
    assert figures.num == 0
    assert np.isnan([figures.bias, figures.absolute, figures.low]).all()


def test_limits_hold_95_percent_of_normal_differences():
    differences = np.random.default_rng(0).normal(0.5, 2.0, 20_000)
    figures = agreement(differences, np.zeros(20_000))
    assert np.mean((differences > figures.low) & (differences < figures.high)) == pytest.approx(0.95, abs=0.005)
