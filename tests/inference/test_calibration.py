import numpy as np
import pytest

from retseg.bscan import Spacing
from retseg.errors import InputError
from retseg.geometry.thickness import SLABS
from retseg.inference.calibration import calibrate, conformal_factors, score_scan, to_json, with_entry
from retseg.inference.members import Mode
from tests.inference.drawn import surfaces

UM = Spacing(4.0, 100.0, "user")


def scan(subject: str, off: float, num_columns: int = 60, spacing: Spacing = UM, sd: float = 0.5):
    """A scan whose ILM is off by so many rows in its right half, nothing else; each surface with an sd."""
    truth = surfaces(num_columns)
    found = truth.copy()
    found[0, num_columns // 2 :] -= off
    return score_scan(subject, found, np.full(truth.shape, sd), truth, spacing)


def test_scores_are_errors_over_sd():
    score = scan("s1", off=2.0)
    nfl, gcl = 0, 1
    sd = 0.5 * np.sqrt(2)
    np.testing.assert_allclose(score.columns[nfl], [0] * 8 + [2 / sd] * 7, rtol=1e-6)
    np.testing.assert_allclose(score.columns[gcl], 0, atol=1e-6)
    np.testing.assert_allclose(score.areas[nfl], [0, 0, 0, 2 / sd, 2 / sd, 2 / sd], rtol=1e-6)
    np.testing.assert_allclose(score.scans[nfl], [1 / sd], rtol=1e-6)
    assert score.error[nfl] == pytest.approx(4.0)
    assert score.sd[nfl] == pytest.approx(4 * sd)
    assert score.unit == "um"


def test_scores_do_not_depend_on_the_unit():
    um, px = scan("s1", 2.0), scan("s1", 2.0, spacing=Spacing())
    np.testing.assert_allclose(um.columns, px.columns, rtol=1e-6)
    np.testing.assert_allclose(um.scans, px.scans, rtol=1e-6)
    assert px.unit == "px"
    assert px.areas.shape == (11, 0), "no area without a lateral scale"


def test_what_nobody_knows_is_left_out_and_missing_columns_are_counted():
    truth = surfaces(60)
    truth[:, :10] = np.nan
    found = surfaces(60) - 1.0
    found[:, 50:] = np.nan
    score = score_scan("s1", found, np.ones(truth.shape), truth, UM)
    assert (score.num_annotated, score.num_missing) == (50, 10)
    assert np.isfinite(score.columns[0]).sum() == 10
    np.testing.assert_allclose(score.scans, 0, atol=1e-6)
    assert np.isnan(score.areas[0]).tolist() == [True, False, False, False, False, True]


def test_factors_of_scans_are_the_conformal_quantile():
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 100.0))  # 99 scans: the 90th of them
    parts = [scores[None, :33], scores[None, 33:66], scores[None, 66:]]
    assert conformal_factors(parts, 99, 0.9).tolist() == [90.0]
    assert conformal_factors(parts, 99, 0.95).tolist() == [95.0]


def test_too_few_scans_for_a_level_have_no_factor():
    nine, eight = np.arange(1.0, 10.0)[None], np.arange(1.0, 9.0)[None]
    assert conformal_factors([nine], 9, 0.9).tolist() == [9.0]
    assert np.isnan(conformal_factors([eight], 8, 0.9)).all()


def test_each_subject_has_the_same_weight():
    many, few = np.full((1, 1000), 1.0), np.array([[5.0, 6.0, 7.0, 8.0]])
    assert conformal_factors([many, few], 1000, 0.6).tolist() == [5.0]
    assert conformal_factors([many, few], 1000, 0.9).tolist() == [8.0]
    assert conformal_factors([many, few, np.full((1, 3), np.nan)], 1000, 0.6).tolist() == [5.0]


def test_intervals_of_new_scans_like_the_held_out_ones_hold_the_truth():
    """Errors of known distribution: the share inside is at least the level, and hardly more."""
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(300):
        parts = [np.abs(rng.standard_t(4, (1, 40))) for _ in range(5)]
        shares.append((np.abs(rng.standard_t(4, 2000)) <= conformal_factors(parts, 200, 0.9)[0]).mean())
    assert np.mean(shares) + 2 * np.std(shares) / np.sqrt(300) >= 0.9
    assert np.mean(shares) < 0.915


def test_coverage_is_counted_on_subjects_left_out():
    odd = [*(scan("a", off) for off in (1, 2, 3, 4)), *(scan("b", off) for off in (1, 2, 3, 4))]
    odd += [scan("c", off) for off in (10, 11, 12, 13)]
    found = calibrate(odd, 0.8)
    assert found.subjects == ("a", "b", "c")
    assert found.num_scans == 12
    assert found.coverage["scans"][0].tolist() == [1.0, 1.0, 0.0]
    assert found.coverage["columns"][0] == pytest.approx([1, 1, 8 / 15])  # half of its columns have no error
    assert found.factors["scans"][0] == pytest.approx(12 / 2 / (0.5 * np.sqrt(2)))


def test_fewer_than_three_subjects_say_nothing_of_others():
    with pytest.raises(InputError, match="2 held-out subjects, intervals need 3"):
        calibrate([scan("a", 1.0), scan("b", 1.0)], 0.9)


@pytest.mark.parametrize("level", [0.0, 1.0, 90.0])
def test_levels_are_shares(level: float):
    with pytest.raises(InputError, match="expected a share between 0 and 1"):
        calibrate([scan(name, 1.0) for name in "abc"], level)


def test_entries_of_the_same_mode_and_level_are_replaced_and_others_stay():
    scores = [scan(name, off) for name in "abc" for off in (1.0, 2.0, 3.0)]
    entries: list = []
    for mode, level in ((Mode(("a",)), 0.5), (Mode(("a",)), 0.6), (Mode(("a",), 4), 0.5), (Mode(("a",)), 0.5)):
        entry = to_json(calibrate(scores, level), mode, "drawn", "exact", "val scans")
        entries = with_entry(entries, entry)
    assert [(one["mode"]["num_views"], one["level"]) for one in entries] == [(1, 0.6), (4, 0.5), (1, 0.5)]
    assert entries[0]["slabs"] == [slab.name for slab in SLABS]
    shares = [one["coverage_of_subjects_left_out"]["scans"]["mean"][0] for one in entries]
    assert shares == pytest.approx([1, 2 / 3, 2 / 3], abs=1e-6)
