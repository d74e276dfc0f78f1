"""Ranks and their correlation against scipy."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from retseg.explain.ranks import average_ranks, rank_correlation


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=30), st.randoms(use_true_random=False))
def test_rank_correlation_is_scipys_for_any_values(left, random):
    right = [random.randint(-3, 3) for _ in left]
    found = rank_correlation(torch.tensor(left), torch.tensor(right))
    if len(set(left)) == 1 or len(set(right)) == 1:
        assert found.isnan()
    else:
        assert found == pytest.approx(spearmanr(left, right).statistic, abs=1e-12)


def test_equal_values_share_the_mean_of_their_ranks():
    assert average_ranks(torch.tensor([[5.0, 1.0, 5.0, 0.0, 5.0]])).tolist() == [[3, 1, 3, 0, 3]]


@given(st.lists(st.lists(st.integers(-2, 2), min_size=7, max_size=7), min_size=1, max_size=4))
def test_every_row_is_ranked_by_itself_as_scipy_does(rows):
    assert average_ranks(torch.tensor(rows)).tolist() == [(rankdata(row) - 1).tolist() for row in rows]
