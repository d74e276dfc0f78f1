"""How far a scan and its prediction lie from those that a network was calibrated on: a Mahalanobis distance.

F features of what the network saw and said, N scans. They know nothing of what is right; a scan of another device, a
fault or another disease moves some of them beyond what other subjects showed. h x w the network's grid, C classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from retseg.anatomy import LAYER_NAMES
from retseg.bscan import Array
from retseg.errors import InputError
from retseg.inference.predicted import Finding, Level

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
LAGS_PX = (1, 2, 4, 8)
STRIDE = 2
"""Of the pixels whose probabilities are looked at, in both directions: neighbours say nearly the same."""

FEATURE_NAMES = (
    *(f"gray level, {quantile:.0%} quantile" for quantile in QUANTILES),
    *(f"{way} difference at {lag} px, log of its share" for way in ("axial", "lateral") for lag in LAGS_PX),
    "brightness of the upper third",
    "brightness of the lower third",
    "mean highest probability",
    "share of pixels with a highest probability below 0.6",
    "mean entropy",
    "share of retina",
    *(f"thickness of {name}, log" for name in LAYER_NAMES),
    "roughness of the thickness, log",
    "roughness of the depth, log",
)
"""What `training_features` gives, in its order."""

CHECK_QUANTILE = 0.99
"""Of the distances of subjects that the reference was fitted without: one good scan in a hundred is looked at."""

FAIL_FACTOR = 2.0
"""A scan fails beyond this many times the largest of these distances: no good scan came near."""

FEWEST_SUBJECTS = 3
FLOOR = 1e-6


def training_features(image_seen: Array, probabilities: Array) -> Array:
    """Features (F,) float64 of an image (h, w) in 0..1 and the class probabilities (C, h, w) that a network gave it.

    Lengths are shares of h, logs natural. "Share of a difference": the mean squared difference over twice the variance.
    """
    image, height = image_seen.astype(np.float32, copy=False), image_seen.shape[0]
    third = max(height // 3, 1)
    spread = 2 * float(image.var()) + FLOOR
    energies = [
        float(np.log(np.mean(np.square(image[lag:] - image[:-lag])) / spread + FLOOR)) for lag in _lags(height)
    ] + [
        float(np.log(np.mean(np.square(image[:, lag:] - image[:, :-lag])) / spread + FLOOR))
        for lag in _lags(image.shape[1])
    ]
    return np.array(
        [
            *np.quantile(image[::STRIDE, ::STRIDE], QUANTILES),
            *energies,
            image[:third].mean(),
            image[-third:].mean(),
            *_prediction_features(probabilities.astype(np.float32, copy=False)),
        ],
        np.float64,
    )


def _lags(length: int) -> list[int]:
    return [min(lag, length - 1) for lag in LAGS_PX]


def _prediction_features(probabilities: Array) -> list[float]:
    """How sure a network is, how thick the layers come out, and how rough along the scan."""
    height = probabilities.shape[1]
    some = np.ascontiguousarray(probabilities[:, ::STRIDE, ::STRIDE])
    highest = some.max(axis=0)
    entropy = -(some * np.log(np.maximum(some, FLOOR))).sum(axis=0)
    thickness = probabilities[1:].sum(axis=1) / height
    retina = 1 - probabilities[0]
    depth = (retina * np.arange(height, dtype=np.float32)[:, None]).sum(axis=0) / (retina.sum(axis=0) + FLOOR) / height
    return [
        float(highest.mean()),
        float((highest < 0.6).mean()),
        float(entropy.mean()),
        float(retina.mean()),
        *np.log(thickness.mean(axis=1) + 1e-4).tolist(),
        float(np.log(np.abs(np.diff(thickness, axis=1)).mean() + 1e-5)),
        float(np.log(np.abs(np.diff(depth)).mean() + 1e-5)),
    ]


def fit_reference(features: Array, subjects: Sequence[str]) -> dict[str, Any]:
    """What scans are held against, as plain JSON, from features (N, F) and the subject of each.

    Use predictions that the network was not trained on, or it is surer of itself than it will be again. Limits: every
    subject is measured by a reference fitted on the others; `check` is the CHECK_QUANTILE of these distances, `fail`
    FAIL_FACTOR times the largest. InputError for fewer than FEWEST_SUBJECTS subjects or features that are no numbers.
    """
    known, names = np.asarray(features, np.float64), np.asarray(subjects)
    assert known.shape[:1] == names.shape, (known.shape, names.shape)
    present = np.unique(names)
    if len(present) < FEWEST_SUBJECTS:
        raise InputError(
            f"reference: {len(present)} subjects, expected {FEWEST_SUBJECTS} or more: limits come from subjects left "
            "out in turn; calibrate on more subjects"
        )
    if not np.isfinite(known).all():
        raise InputError("reference: the network gives nan for a scan; see its scores by `retseg evaluate` first")
    left_out = np.concatenate(
        [_distances(known[names == name], *_moments(known[names != name])[:3]) for name in present]
    )
    mean, scale, cholesky, shrinkage = _moments(known)
    return {
        "feature_names": list(FEATURE_NAMES) if known.shape[1] == len(FEATURE_NAMES) else [],
        "mean": mean.tolist(),
        "scale": scale.tolist(),
        "cholesky": cholesky.tolist(),
        "shrinkage": shrinkage,
        "check": float(np.quantile(left_out, CHECK_QUANTILE)),
        "fail": FAIL_FACTOR * float(left_out.max()),
        "num_scans": len(known),
        "num_subjects": len(present),
    }


def _moments(features: Array) -> tuple[Array, Array, Array, float]:
    """Mean (F,), scale (F,), lower Cholesky factor (F, F) of the shrunk correlations, and how much they were shrunk."""
    mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), FLOOR)
    covariance, shrinkage = shrunk_covariance((features - mean) / scale)
    return mean, scale, np.linalg.cholesky(covariance + FLOOR * np.eye(len(mean))), shrinkage


def shrunk_covariance(values: Array) -> tuple[Array, float]:
    """Covariance (F, F) of centred values (N, F), drawn towards its mean variance on the diagonal, and the share drawn.

    Ledoit & Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", J. Multivar. Anal. 88(2),
    2004, doi 10.1016/S0047-259X(03)00096-4: the share that makes the expected squared error least.
    """
    num, dimension = values.shape
    sample = values.T @ values / num
    variance = np.trace(sample) / dimension
    distance = np.sum((sample - variance * np.eye(dimension)) ** 2)
    noise = (np.sum((values**2).T @ values**2) / num - np.sum(sample**2)) / num
    share = float(min(noise, distance) / distance) if distance > 0 else 1.0
    return (1 - share) * sample + share * variance * np.eye(dimension), share


def _distances(features: Array, mean: Array, scale: Array, cholesky: Array) -> Array:
    """Mahalanobis distances (N,) of features (N, F) over the root of F: about 1 for scans like the reference's."""
    white = solve_triangular(cholesky, ((features - mean) / scale).T, lower=True)
    return np.asarray(np.sqrt((white**2).mean(axis=0)))


def distance(features: Array, reference: Mapping[str, Any]) -> tuple[float, float]:
    """Distance of features (F,) from a reference of `fit_reference`, and the limit above which to check.

    InputError where the reference was made of other features.
    """
    mean = np.asarray(reference["mean"], np.float64)
    if features.shape != mean.shape:
        raise InputError(
            f"reference: made of {len(mean)} features, this retseg has {features.shape[-1]}; "
            "run `retseg calibrate` again"
        )
    if not np.isfinite(features).all():
        return float("inf"), float(reference["check"])
    scale, cholesky = np.asarray(reference["scale"]), np.asarray(reference["cholesky"])
    return float(_distances(features[None], mean, scale, cholesky)[0]), float(reference["check"])


def strangest(features: Array, reference: Mapping[str, Any]) -> str:
    """Which feature (F,) by itself is farthest from the reference, with its sd, in words."""
    deviations = (features - np.asarray(reference["mean"])) / np.asarray(reference["scale"])
    place = int(np.argmax(np.abs(deviations)))
    names = reference["feature_names"]
    return f"{names[place] if names else f'feature {place}'} at {deviations[place]:+.1f} sd"


def look_at_distance(features: Array, reference: Mapping[str, Any]) -> tuple[Finding, ...]:
    """What the distance of a scan says, from the features (T, F) of its windows or (F,) of one: their median.

    Nothing where the reference holds no distances.
    """
    windows = np.atleast_2d(features)
    if "mean" not in reference or not windows.size:
        return ()
    seen = np.median(windows, axis=0)
    value, limit = distance(seen, reference)
    if value <= limit:
        return ()
    level: Level = "fail" if value > reference["fail"] else "check"
    limit = float(reference["fail"]) if level == "fail" else limit
    most = strangest(seen, reference) if np.isfinite(seen).all() else "the network gives nan"
    reason = (
        f"distance from the training data {value:.2f}, expected at most {limit:.2f} (most unusual: {most}); "
        "look at the surfaces before using them"
    )
    return (Finding(level, "unlike the training data", reason),)
