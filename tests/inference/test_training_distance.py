import json

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import LedoitWolf

from retseg.bscan import Array
from retseg.errors import InputError
from retseg.inference.training_distance import (
    CHECK_QUANTILE,
    FEATURE_NAMES,
    distance,
    fit_reference,
    look_at_distance,
    shrunk_covariance,
    training_features,
)

SUBJECTS = [f"s{number // 8:02d}" for number in range(48)]


def normal_features(num: int = 48, dimension: int = 5, seed: int = 0) -> Array:
    mixing = np.random.default_rng(9).normal(0, 1, (dimension, dimension))
    return 3 + np.random.default_rng(seed).normal(0, 1, (num, dimension)) @ mixing


def features_of(image: Array, probabilities: Array) -> dict[str, float]:
    return dict(zip(FEATURE_NAMES, training_features(image, probabilities).tolist(), strict=True))


def one_hot(num_classes: int = 8, height: int = 40, width: int = 60) -> Array:
    """Vitreous to row 12, two rows of each layer to row 26, background below; sure of everything."""
    classes = np.zeros((height, width), int)
    for layer in range(1, num_classes):
        classes[10 + 2 * layer : 12 + 2 * layer] = layer
    return (classes == np.arange(num_classes)[:, None, None]).astype(np.float32)


def test_features_of_a_level_retina_are_known() -> None:
    image = np.repeat(np.linspace(0, 1, 40, dtype=np.float32)[:, None], 60, axis=1)
    found = features_of(image, one_hot())
    assert found["gray level, 50% quantile"] == pytest.approx(0.5, abs=0.03)
    assert found["brightness of the upper third"] == pytest.approx(6 / 39)
    assert found["brightness of the lower third"] == pytest.approx(33 / 39)
    spread = 2 * np.var(np.linspace(0, 1, 40))
    assert found["axial difference at 2 px, log of its share"] == pytest.approx(
        np.log((2 / 39) ** 2 / spread), abs=1e-3
    )
    assert found["lateral difference at 1 px, log of its share"] == pytest.approx(np.log(1e-6))
    assert found["mean highest probability"] == 1
    assert found["mean entropy"] == pytest.approx(0, abs=1e-6)
    assert found["share of retina"] == pytest.approx(14 / 40)
    assert found["thickness of INL, log"] == pytest.approx(np.log(2 / 40 + 1e-4))
    assert found["roughness of the depth, log"] == pytest.approx(np.log(1e-5))


def test_an_unsure_network_has_the_entropy_of_a_coin_of_eight_sides() -> None:
    found = features_of(np.zeros((40, 60), np.float32), np.full((8, 40, 60), 1 / 8, np.float32))
    assert found["mean entropy"] == pytest.approx(np.log(8))
    assert found["share of pixels with a highest probability below 0.6"] == 1


def test_features_do_not_change_when_a_scan_is_mirrored() -> None:
    rng = np.random.default_rng(0)
    image, logits = rng.random((40, 61)), rng.normal(0, 2, (8, 40, 61))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=0)
    np.testing.assert_allclose(
        training_features(image, probabilities),
        training_features(image[:, ::-1], probabilities[:, :, ::-1]),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize(("num", "dimension"), [(30, 5), (10, 20), (200, 3)])
def test_shrinkage_is_that_of_scikit_learn(num: int, dimension: int) -> None:
    values = normal_features(num, dimension)
    values -= values.mean(axis=0)
    oracle = LedoitWolf(assume_centered=True).fit(values)
    covariance, share = shrunk_covariance(values)
    assert share == pytest.approx(oracle.shrinkage_)
    np.testing.assert_allclose(covariance, oracle.covariance_)


def test_the_distance_is_mahalanobis_over_the_root_of_the_number_of_features() -> None:
    features = normal_features()
    reference = json.loads(json.dumps(fit_reference(features, SUBJECTS)))
    mean, scale = features.mean(axis=0), features.std(axis=0)
    precision = LedoitWolf(assume_centered=True).fit((features - mean) / scale).precision_
    new = normal_features(seed=1)[3]
    expected = mahalanobis(new / scale, mean / scale, precision) / np.sqrt(5)
    value, limit = distance(new, reference)
    assert value == pytest.approx(expected, rel=1e-4)
    assert limit == reference["check"]


def test_limits_come_from_subjects_left_out() -> None:
    features = normal_features()
    reference = fit_reference(features, SUBJECTS)
    left_out = [
        distance(
            features[place], fit_reference(features[[s != name for s in SUBJECTS]], [s for s in SUBJECTS if s != name])
        )[0]
        for place, name in enumerate(SUBJECTS)
    ]
    assert reference["check"] == pytest.approx(np.quantile(left_out, CHECK_QUANTILE))
    assert reference["fail"] == pytest.approx(2 * max(left_out))
    assert (reference["num_scans"], reference["num_subjects"]) == (48, 6)


def test_scans_like_the_reference_pass_and_others_do_not() -> None:
    reference = fit_reference(normal_features(), SUBJECTS)
    fresh = normal_features(200, seed=2)
    levels = [[finding.level for finding in look_at_distance(one, reference)] for one in fresh]
    assert sum(bool(level) for level in levels) <= 12  # 1 % expected, 6 % is far beyond chance
    assert [f.level for f in look_at_distance(fresh[0] + 100 * features_scale(reference), reference)] == ["fail"]
    (nothing_known,) = look_at_distance(np.full(5, np.nan), reference)
    assert (nothing_known.level, "the network gives nan" in nothing_known.reason) == ("fail", True)


def features_scale(reference: dict[str, list[float]]) -> Array:
    return np.asarray(reference["scale"])


def test_the_reason_names_distance_limit_and_the_strangest_feature() -> None:
    reference = fit_reference(normal_features(48, len(FEATURE_NAMES)), SUBJECTS)
    moved = np.array(reference["mean"])
    moved[FEATURE_NAMES.index("mean entropy")] += 40 * reference["scale"][FEATURE_NAMES.index("mean entropy")]
    (finding,) = look_at_distance(moved, reference)
    assert finding.rule == "unlike the training data"
    assert "most unusual: mean entropy at +40.0 sd" in finding.reason
    assert f"expected at most {reference[finding.level]:.2f}" in finding.reason


def test_windows_count_by_their_median() -> None:
    features = normal_features()
    reference = fit_reference(features, SUBJECTS)
    usual = np.array(reference["mean"])
    strange = usual + 100 * features_scale(reference)
    assert look_at_distance(np.stack([usual, usual, strange]), reference) == ()
    assert len(look_at_distance(np.stack([usual, strange, strange]), reference)) == 1


def test_nothing_is_said_without_windows_or_without_a_reference_of_distances() -> None:
    assert look_at_distance(np.zeros((0, 5)), fit_reference(normal_features(), SUBJECTS)) == ()
    assert look_at_distance(np.zeros((2, 5)), {"thickness_um": {}}) == ()


def test_too_few_subjects_nan_and_other_features_are_refused() -> None:
    features = normal_features()
    with pytest.raises(InputError, match=r"2 subjects, expected 3 or more"):
        fit_reference(features[:16], SUBJECTS[:16])
    with pytest.raises(InputError, match="nan"):
        fit_reference(np.where(np.arange(5) == 2, np.nan, features), SUBJECTS)
    with pytest.raises(InputError, match=r"made of 5 features, this retseg has 4; run `retseg calibrate`"):
        distance(np.zeros(4), fit_reference(features, SUBJECTS))
