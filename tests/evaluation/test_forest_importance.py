"""Sobol indices of a forest against shares that are known."""

import sys

import numpy as np
import pytest

from retseg.errors import InputError
from retseg.evaluation.forest_importance import forest_importance

NAMES = ["lr", "width", "loss"]


def searched(num_jobs, score):
    random = np.random.default_rng(0)
    settings = [
        {
            "lr": repr(10 ** random.uniform(-4, -2)),
            "width": repr(random.uniform(1, 2)),
            "loss": "ab"[random.integers(2)],
        }
        for _ in range(num_jobs)
    ]
    return settings, NAMES, np.array([score(job, random) for job in settings])


def test_shares_of_a_random_search_are_near_the_analytic_ones():
    """2 log10(lr) + 2 width, the first uniform over 2, the second over 1: variances 4/3 and 1/3; the loss has none."""
    found = forest_importance(
        *searched(60, lambda job, _: 2 * np.log10(float(job["lr"])) + 2 * float(job["width"])), num_draws=10
    )
    assert found.r_squared > 0.8
    shares = {row.of: row for row in found.rows}
    assert shares["lr"].share == pytest.approx(0.8, abs=0.1)
    assert shares["width"].share == pytest.approx(0.2, abs=0.1)
    assert shares["loss"].share < 0.03
    assert shares["lr"].low > shares["width"].high, "the order is sure"


def test_a_forest_that_knows_nothing_says_so():
    assert forest_importance(*searched(30, lambda _, random: random.normal()), num_draws=1).r_squared < 0.1


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(InputError, match=r"scikit-learn is not installed.*pip install 'retseg\[sweep\]'"):
        forest_importance([dict.fromkeys(NAMES, "1")], NAMES, np.zeros(1))
