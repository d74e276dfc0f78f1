from itertools import combinations_with_replacement, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retseg.geometry.ordered_path import best_ordered_rows, best_path, ordered_score, smooth_ordered_rows


def random_gains(seed, num_scans, num_surfaces, num_columns, num_rows):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(num_scans, num_surfaces, num_columns, num_rows)))


def peaked_gains(seed, num_surfaces, num_columns, num_rows, noise):
    """Gains (1, S, W, R) that fall with the distance from smooth surfaces, and noise: what a network gives."""
    rng = np.random.default_rng(seed)
    start = np.sort(rng.uniform(0, num_rows - 1, num_surfaces))
    true = start[:, None] + rng.normal(0, 0.3, num_columns).cumsum()
    away = np.abs(np.arange(num_rows) - true[..., None])
    return torch.from_numpy(-away + noise * rng.normal(size=away.shape))[None]


def ordered_tuples(num_surfaces, num_rows):
    """All ordered rows of one column (T, S)."""
    return np.array(list(combinations_with_replacement(range(num_rows), num_surfaces)))


def best_score_of_all(gains, smoothness):
    """Highest score of all ordered surfaces, gains (S, W, R): Viterbi over whole columns, every tuple being a state."""
    num_surfaces, num_columns, num_rows = gains.shape
    tuples = ordered_tuples(num_surfaces, num_rows)
    steps = smoothness * np.abs(tuples[:, None] - tuples[None]).sum(axis=2)
    own = gains[np.arange(num_surfaces)[:, None], :, tuples.T].sum(axis=0)
    best = own[:, 0]
    for column in range(1, num_columns):
        best = own[:, column] + (best[:, None] - steps).max(axis=0)
    return best.max()


def test_the_oracle_agrees_with_trying_every_surface_in_every_column():
    gains = random_gains(0, 1, 2, 3, 4)
    tuples = [torch.from_numpy(one) for one in ordered_tuples(2, 4)]
    every = [torch.stack(choice, dim=1)[None] for choice in product(tuples, repeat=3)]
    best = max(float(ordered_score(gains, rows, 0.7)) for rows in every)
    assert best_score_of_all(gains[0].numpy(), 0.7) == pytest.approx(best)


def test_the_score_is_gains_less_steps():
    gains = torch.arange(24.0, dtype=torch.float64).reshape(1, 2, 3, 4)
    rows = torch.tensor([[[0, 2, 1], [3, 2, 1]]])
    assert ordered_score(gains, rows, 0.5).tolist() == [(0 + 6 + 9) + (15 + 18 + 21) - 0.5 * (2 + 1 + 1 + 1)]


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(2, 6), st.booleans())
def test_each_column_has_the_best_of_all_ordered_rows(seed, num_surfaces, num_rows, has_ties):
    gains = random_gains(seed, 2, num_surfaces, 3, num_rows)
    gains = gains.round() if has_ties else gains
    rows = best_ordered_rows(gains)
    assert rows.shape == (2, num_surfaces, 3)
    assert (rows.diff(dim=1) >= 0).all()
    for scan in range(2):
        found = float(ordered_score(gains[scan : scan + 1], rows[scan : scan + 1], 0.0))
        assert found == pytest.approx(best_score_of_all(gains[scan].numpy(), 0.0))


def test_each_column_has_the_best_of_all_ordered_rows_for_eight_surfaces():
    gains = random_gains(1, 1, 8, 5, 5)
    best = best_score_of_all(gains[0].numpy(), 0.0)
    assert float(ordered_score(gains, best_ordered_rows(gains), 0.0)) == pytest.approx(best)


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(2, 7), st.integers(2, 9), st.floats(0, 3))
def test_a_single_surface_is_best_across_columns(seed, num_columns, num_rows, smoothness):
    gains = random_gains(seed, 1, 1, num_columns, num_rows)
    best = best_score_of_all(gains[0].numpy(), smoothness)
    path = torch.from_numpy(best_path(gains[0].transpose(0, 1).numpy(), smoothness)).T[None]
    assert float(ordered_score(gains, path, smoothness)) == pytest.approx(best)
    smooth = smooth_ordered_rows(gains, smoothness)
    assert float(ordered_score(gains, smooth, smoothness)) == pytest.approx(best)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(2, 4), st.integers(1, 7), st.integers(2, 7), st.floats(0, 3))
def test_more_sweeps_never_lower_the_score_nor_break_the_order(seed, num_surfaces, num_columns, num_rows, smoothness):
    gains = random_gains(seed, 2, num_surfaces, num_columns, num_rows)
    before = ordered_score(gains, best_ordered_rows(gains), smoothness)
    for num_sweeps in range(4):
        rows = smooth_ordered_rows(gains, smoothness, num_sweeps)
        after = ordered_score(gains, rows, smoothness)
        assert (rows.diff(dim=1) >= 0).all()
        assert rows.min() >= 0
        assert rows.max() < num_rows
        assert (after >= before - 1e-9).all()
        before = after


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.floats(0.1, 3))
def test_no_change_of_one_surface_or_one_column_is_better_in_the_end(seed, smoothness):
    gains = random_gains(seed, 1, 3, 4, 4)
    rows = smooth_ordered_rows(gains, smoothness, num_sweeps=50)
    changes = []
    for column, one in product(range(4), ordered_tuples(3, 4)):
        changes.append(rows[0].clone())
        changes[-1][:, column] = torch.from_numpy(one)
    for surface, path in product(range(3), product(range(4), repeat=4)):
        changes.append(rows[0].clone())
        changes[-1][surface] = torch.tensor(path)
    changed = torch.stack([one for one in changes if (one.diff(dim=0) >= 0).all()])
    scores = ordered_score(gains.expand(len(changed), -1, -1, -1), changed, smoothness)
    assert scores.max() <= ordered_score(gains, rows, smoothness)[0] + 1e-5


def class_gains(seed, num_surfaces, num_columns, num_rows, noise):
    """Gains (1, S, W, R) of class probabilities: noisy logits about classes in depth order, some of them absent."""
    rng = np.random.default_rng(seed)
    true = np.sort(rng.integers(0, num_rows, num_surfaces))[:, None] + rng.normal(0, 0.5, num_columns).cumsum()
    depth = (np.arange(num_rows - 1)[:, None] + 0.5 >= true[:, None]).sum(axis=0) % num_surfaces
    is_class = depth == np.arange(num_surfaces)[:, None, None]
    logits = torch.from_numpy(3.0 * is_class + noise * rng.normal(size=is_class.shape))
    logs = logits.log_softmax(dim=0)[None].transpose(2, 3)
    return torch.nn.functional.pad((logs - logs.roll(-1, dims=1)).cumsum(dim=-1), (1, 0))


@pytest.mark.parametrize(
    ("make_gains", "noise", "num_best", "least_share"),
    [
        (peaked_gains, 0.0, 50, 1.0),
        (peaked_gains, 0.5, 50, 1.0),
        (peaked_gains, 2.0, 47, 0.98),
        (class_gains, 1.0, 47, 0.81),
        (class_gains, 2.0, 45, 0.95),
    ],
)
def test_it_is_mostly_the_best_of_all(make_gains, noise, num_best, least_share):
    # How many of 50 (as measured), and what share of the possible rise over single columns is reached in all.
    best, start, found = [], [], []
    for seed in range(50):
        gains = make_gains(seed, 3, 8, 7, noise)
        best.append(best_score_of_all(gains[0].numpy(), 0.5))
        start.append(float(ordered_score(gains, best_ordered_rows(gains), 0.5)))
        found.append(float(ordered_score(gains, smooth_ordered_rows(gains, 0.5, num_sweeps=8), 0.5)))
    missed = np.subtract(best, found)
    assert missed.min() >= -1e-9
    assert (missed < 1e-6).sum() >= num_best
    assert 1 - missed.sum() / np.subtract(best, start).sum() >= least_share - 1e-9


def test_smoothness_straightens_a_spike_of_all_surfaces_at_once():
    # 3 surfaces, 7 columns; one column says, a little louder than nothing, that all lie five rows higher.
    gains = torch.zeros(1, 3, 7, 14, dtype=torch.float64)
    for surface, row in enumerate((7, 9, 11)):
        gains[0, surface, :, row] = 2.0
        gains[0, surface, 3] = 0.0
        gains[0, surface, 3, row - 5] = 1.0
    rough, smooth = best_ordered_rows(gains), smooth_ordered_rows(gains, 0.2)
    assert rough[0, :, 3].tolist() == [2, 4, 6]
    assert smooth[0].tolist() == [[7] * 7, [9] * 7, [11] * 7]


def test_a_scan_does_not_hang_on_those_beside_it():
    gains = random_gains(5, 40, 3, 9, 7).round()  # with ties, among which another sweep could wander
    together = smooth_ordered_rows(gains, 1.0, num_sweeps=8)
    alone = [smooth_ordered_rows(gains[scan : scan + 1], 1.0, num_sweeps=8)[0] for scan in range(40)]
    assert torch.equal(together, torch.stack(alone))
