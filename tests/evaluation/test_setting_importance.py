"""Shares of variance against conditional means, scipy's one-way test, and functions whose shares are known."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from retseg.evaluation.setting_importance import NOISE, OTHERS, grid_array, grid_importance


def jobs_of(shape, num_seeds, score):
    names = [f"s{i}" for i in range(len(shape))]
    settings, scores = [], []
    for place in itertools.product(*map(range, shape)):
        for seed in range(num_seeds):
            settings.append({name: str(level) for name, level in zip(names, place, strict=True)})
            scores.append(score(place, seed))
    return settings, names, np.array(scores, dtype=float)


def rows_of(shape, num_seeds, score):
    settings, names, scores = jobs_of(shape, num_seeds, score)
    return {row.of: row for row in grid_importance(grid_array(settings, names, scores), names)}


def test_a_known_function_has_its_analytic_shares():
    """a + 2 b + a b on {-1, 1}^2: effects are orthogonal with variances 1, 4 and 1."""
    rows = rows_of((2, 2), 1, lambda place, _: (a := 2 * place[0] - 1) + 2 * (b := 2 * place[1] - 1) + a * b)
    assert {name: row.share for name, row in rows.items()} == pytest.approx(
        {"s0": 1 / 6, "s1": 4 / 6, "s0 x s1": 1 / 6, NOISE: 0}
    )
    assert all(np.isnan(row.p) for row in rows.values()), "without seeds nobody knows how sure this is"


def test_what_takes_three_settings_is_told_apart():
    rows = rows_of((2, 2, 2), 1, lambda place, _: np.prod([2 * level - 1 for level in place]))
    assert rows[OTHERS].share == pytest.approx(1)


def test_shares_are_variances_of_conditional_means_and_add_up_to_1():
    random = np.random.default_rng(0)
    table = random.normal(size=(3, 4, 2, 3))
    settings, names, scores = jobs_of((3, 4, 2), 3, lambda place, seed: table[(*place, seed)])
    rows = {row.of: row for row in grid_importance(grid_array(settings, names, scores), names)}
    frame, variance = pd.DataFrame(settings).assign(y=scores), scores.var()

    def told_by(*by):
        return frame.groupby(list(by))["y"].transform("mean").var(ddof=0) / variance

    for name in names:
        assert rows[name].share == pytest.approx(told_by(name))
    for one, other in itertools.combinations(names, 2):
        assert rows[f"{one} x {other}"].share == pytest.approx(told_by(one, other) - told_by(one) - told_by(other))
    assert rows[NOISE].share == pytest.approx(1 - told_by(*names))
    assert sum(row.share for row in rows.values()) == pytest.approx(1)


def test_p_of_a_single_setting_is_that_of_the_one_way_test():
    random = np.random.default_rng(1)
    table = random.normal(size=(4, 5)) + np.arange(4)[:, None]
    rows = rows_of((4,), 5, lambda place, seed: table[place[0], seed])
    assert rows["s0"].p == pytest.approx(stats.f_oneway(*table).pvalue)


def test_the_interval_holds_the_true_share_in_95_of_100_sweeps():
    """Effects of variance 1 (three levels) and 0, noise of variance 1: the true share is 1/2, and 0."""
    random, held, none = np.random.default_rng(2), 0, 0
    effect = np.array([-1, 0, 1]) * np.sqrt(1.5)
    for _ in range(200):
        noise = random.normal(size=(3, 2, 4))
        rows = rows_of((3, 2), 4, lambda place, seed, noise=noise: effect[place[0]] + noise[(*place, seed)])
        held += rows["s0"].low <= 0.5 <= rows["s0"].high
        none += rows["s1"].low == 0
    assert 184 <= held <= 199, held
    assert none >= 190, none


def test_more_noise_less_sure():
    random = np.random.default_rng(3)
    noise = random.normal(size=(3, 3))
    small, large = (
        rows_of((3,), 3, lambda place, seed, s=s: place[0] + s * noise[place[0], seed])["s0"] for s in (0.1, 2)
    )
    assert small.low > 0.5 > large.low
    assert small.p < 0.001 < large.p


def test_an_uneven_grid_is_none():
    settings, names, scores = jobs_of((2, 2), 2, lambda place, seed: seed)
    assert grid_array(settings[:-1], names, scores[:-1]) is None
    assert grid_array(settings[:-2], names, scores[:-2]) is None
