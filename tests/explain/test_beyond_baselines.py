import numpy as np
import pytest

from retseg.errors import InputError
from retseg.explain.beyond_baselines import compare, mean_interval, subject_means, verdict
from retseg.explain.faithfulness import Curves

SUBJECTS = ["a", "a", "b", "c", "c", "d", "e", "f"]


def curves(areas, keeps_hottest=False, errors=None):
    """Flat curves (8 scans, 3 classes) whose areas under the Dice are given, (8, 3) or a number."""
    dice = np.broadcast_to(np.asarray(areas, float), (8, 3))[..., None].repeat(2, axis=2)
    errors = dice if errors is None else np.full((8, 3, 2), float(errors))
    return Curves("deletion", keeps_hottest, np.array([0, 0.3]), dice, errors, "px", "true mask")


def noisy(mean, sd=0.01, seed=0):
    return mean + sd * np.random.default_rng(seed).normal(size=(8, 3))


def test_means_of_subjects_leave_nan_out():
    values = np.array([[1, 3], [2, np.nan], [5, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(subject_means(values, ["x", "x", "b", "y"]), [5, 2, np.nan])


def test_one_subject_has_no_interval():
    mean, low, high = mean_interval(np.array([0.3, np.nan]))
    assert mean == 0.3
    assert np.isnan([low, high]).all()
    assert np.isnan(mean_interval(np.array([np.nan]))).all()


def test_a_map_that_takes_the_layer_away_sooner_is_better():
    found = compare(curves(noisy(0.3)), curves(0.5), SUBJECTS)
    assert found.gain == pytest.approx(0.2, abs=0.01)
    assert found.low < found.gain < found.high
    assert found.outcome == "better"
    assert found.num_subjects == 6
    assert found.p_value == 2 / 2**6
    assert compare(curves(0.5), curves(noisy(0.3)), SUBJECTS).outcome == "worse"
    assert compare(curves(noisy(0.3, 0.1)), curves(noisy(0.3, 0.1, seed=1)), SUBJECTS).outcome == "no different"


def test_a_map_that_keeps_the_layer_alive_is_better_where_the_hottest_pixels_are_kept():
    assert compare(curves(noisy(0.3), True), curves(0.5, True), SUBJECTS).outcome == "worse"
    assert compare(curves(0.5, False, errors=20), curves(noisy(0.3), False, errors=5), SUBJECTS, "surface").gain == 15


def test_background_is_no_layer_and_one_class_can_be_asked_for():
    areas = np.tile([0.9, 0.5, 0.5], (8, 1))
    areas[:, 0] = 0
    areas[:, 2] = 0.1
    assert compare(curves(areas), curves(0.5), SUBJECTS).gain == pytest.approx(0.2)
    assert compare(curves(areas), curves(0.5), SUBJECTS, class_id=2).gain == pytest.approx(0.4)


def test_subjects_count_once_however_many_scans_they_have():
    areas = np.full((8, 3), 0.4)
    areas[:2] = 0.1  # subject a
    assert compare(curves(areas), curves(0.4), SUBJECTS).gain == pytest.approx(0.3 / 6)


def test_scans_without_the_class_are_left_out_of_both():
    areas, base = np.full((8, 3), 0.3), np.full((8, 3), 0.5)
    areas[0], base[2] = np.nan, np.nan  # subject a keeps one scan, subject b none
    found = compare(curves(areas), curves(base), SUBJECTS)
    assert found.num_subjects == 5
    assert found.gain == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("random", "edge", "prediction", "words", "is_faithful"),
    [
        (0.5, 0.5, 0.5, "better than all baselines", True),
        (0.5, 0.2, 0.1, "better than random only", False),
        (0.5, 0.5, 0.1, "better than random and edge only", False),
        (0.1, 0.5, 0.5, "not better than random", False),
    ],
)
def test_verdicts_in_words(random, edge, prediction, words, is_faithful):
    baselines = {"random": curves(random), "edge": curves(edge), "prediction": curves(prediction), "noise": curves(0)}
    found = verdict(curves(noisy(0.3)), baselines, SUBJECTS)
    assert (found.words, found.is_faithful) == (words, is_faithful)
    assert found.comparisons["noise"].outcome == "worse"


@pytest.mark.parametrize(
    ("subjects", "words"),
    [
        (["a"] * 8, "unknown: 1 subject, 5 needed"),
        (["a", "a", "b", "b", "c", "c", "d", "d"], "unknown: 4 subjects, 5 needed"),
        (["a", "a", "b", "b", "c", "c", "d", "e"], "better than all baselines"),
    ],
)
def test_few_subjects_decide_nothing_however_much_they_agree(subjects, words):
    baselines = {name: curves(0.5) for name in ("random", "edge", "prediction")}
    found = verdict(curves(0.1), baselines, subjects)
    assert found.words == words
    assert found.is_faithful is (len(set(subjects)) == 5)
    assert found.comparisons["edge"].gain == pytest.approx(0.4)  # what was measured is told all the same


def test_a_verdict_needs_every_baseline():
    with pytest.raises(InputError, match="baselines: edge, prediction missing; a verdict needs random, edge, predict"):
        verdict(curves(0.1), {"random": curves(0.5)}, SUBJECTS)
