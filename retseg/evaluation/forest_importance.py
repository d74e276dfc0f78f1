"""Which setting matters where the jobs are no full grid (a random or guided search): Sobol indices of a random forest.

As in functional ANOVA (Hutter, Hoos, Leyton-Brown, ICML 2014) a forest learns the score from the settings, and its
variance is split: each setting is drawn from the jobs' own values, independently of the others. J jobs, F settings.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import sobol_indices

from retseg.errors import InputError
from retseg.evaluation.setting_importance import Importance
from retseg.metrics.statistics import interval

Array = npt.NDArray[Any]
MIN_JOBS_A_SETTING = 10
NUM_TREES, NUM_POINTS = 60, 512


@dataclass(frozen=True)
class ForestImportance:
    """Rows by setting, and the R squared of the forest on jobs that a tree had not seen (out of bag)."""

    rows: list[Importance]
    r_squared: float


@dataclass(frozen=True)
class _Values:
    """The values (J,) that the jobs gave a setting, as a distribution to draw from."""

    ordered: Array

    def ppf(self, quantiles: Array) -> Array:
        """Value below which a share of the jobs lies."""
        places = np.minimum((quantiles * len(self.ordered)).astype(int), len(self.ordered) - 1)
        values: Array = self.ordered[places]
        return values


def forest_importance(
    settings: Sequence[Mapping[str, str]], names: Sequence[str], scores: Array, num_draws: int = 20
) -> ForestImportance:
    """First-order Sobol index of each setting: what it tells alone of the forest's variance; pairs are in none.

    Intervals: 95 % bootstrap over the jobs. InputError where scikit-learn (of the extra `sweep`) is not installed.
    """
    features = np.stack([_codes([job[name] for job in settings]) for name in names], axis=1)
    forest = _forest(features, scores)
    seen = np.isfinite(forest.oob_prediction_)
    residual = ((scores - forest.oob_prediction_)[seen] ** 2).mean()
    whole, random = _shares(forest, features), np.random.default_rng(0)
    draws = []
    for _ in range(num_draws):
        chosen = random.integers(0, len(scores), len(scores))
        draws.append(_shares(_forest(features[chosen], scores[chosen]), features))
    low, high = interval(np.array(draws))
    rows = [Importance(name, *map(float, (whole[i], whole[i], low[i], high[i]))) for i, name in enumerate(names)]
    return ForestImportance(rows, float(1 - residual / scores[seen].var()))


def _forest(features: Array, scores: Array) -> Any:
    try:
        from sklearn.ensemble import RandomForestRegressor
    except ImportError as error:
        raise InputError(
            "scikit-learn is not installed, which tells what matters in jobs that are no full grid; "
            "pip install 'retseg[sweep]'"
        ) from error
    forest = RandomForestRegressor(NUM_TREES, oob_score=True, random_state=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Some inputs do not have OOB scores")  # left out by `seen`
        return forest.fit(features, scores)


def _shares(forest: Any, features: Array) -> Array:
    """First-order indices (F,) of a forest over the values (J, F) of the jobs; 0 for a forest that never varies."""
    dists: list[Any] = [_Values(np.sort(column)) for column in features.T]

    def predicted(points: Array) -> Array:
        values: Array = forest.predict(points.T)
        return values

    found = sobol_indices(func=predicted, n=NUM_POINTS, dists=dists, random_state=np.random.default_rng(0))
    shares: Array = np.clip(np.nan_to_num(found.first_order), 0, 1)
    return shares


def _codes(values: Sequence[str]) -> Array:
    """The values (J,) of a setting as numbers; words by their place in the alphabet (trees can split them any way)."""
    try:
        return np.array([float(value) for value in values])
    except ValueError:
        order = sorted(set(values))
        return np.array([float(order.index(value)) for value in values])
