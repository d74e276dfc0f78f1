import numpy as np
import torch

from retseg.geometry.decoding import likeliest_surfaces
from retseg.inference.answer import Answer, column_confidence, combined, row_spread
from tests.inference.drawn import draw, surfaces


def one_hot(rows: np.ndarray, num_rows: int) -> torch.Tensor:
    classes = torch.from_numpy(draw(rows, num_rows) // 28).long()
    return torch.nn.functional.one_hot(classes, 8).permute(2, 0, 1)[None].float()


def answer(rows: list[list[float]], sd: float = 1.0) -> Answer:
    array = np.array(rows, np.float32)
    is_known = np.isfinite(array)
    return Answer(array, np.where(is_known, sd, np.nan), np.where(is_known.all(0), 0.5, np.nan), np.zeros((1, 0)))


def test_a_certain_mask_has_the_spread_of_rounding_alone():
    rows = torch.from_numpy(surfaces(6))[None]
    np.testing.assert_allclose(row_spread(one_hot(rows[0].numpy(), 50), rows).numpy(), (1 / 12) ** 0.5, rtol=1e-5)


def test_spread_is_that_of_a_mixture_of_masks():
    # Half of the probability 2 rows up, half 2 rows down: a standard deviation of 2 px for every surface.
    high, low = surfaces(5, first_row=10, thickness=6), surfaces(5, first_row=14, thickness=6)
    mixed = (one_hot(high, 70) + one_hot(low, 70)) / 2
    spread = row_spread(mixed, torch.from_numpy((high + low) / 2)[None]).numpy()
    np.testing.assert_allclose(spread, (4 + 1 / 12) ** 0.5, rtol=1e-3)  # the background is shared out softly


def test_spread_at_the_border_of_the_image_counts_nothing_beyond_it():
    rows = surfaces(4, first_row=0)
    spread = row_spread(one_hot(rows, 21), torch.from_numpy(rows)[None]).numpy()
    np.testing.assert_allclose(spread, (1 / 12) ** 0.5, rtol=1e-5)


def test_no_surface_no_spread_and_no_confidence():
    probabilities = torch.zeros(1, 8, 30, 4)
    probabilities[:, 0] = 1
    rows = likeliest_surfaces(probabilities)
    assert row_spread(probabilities, rows).isnan().all()
    assert column_confidence(probabilities, rows).isnan().all()


def test_confidence_is_the_mean_probability_of_the_class_given():
    rows = surfaces(5)
    certain = one_hot(rows, 50)
    uniform = torch.full_like(certain, 1 / 8)
    mixed = 0.6 * certain + 0.4 * uniform
    found = column_confidence(mixed, torch.from_numpy(rows)[None])
    np.testing.assert_allclose(found.numpy(), 0.6 + 0.4 / 8, rtol=1e-5)


def test_variance_of_several_answers_is_within_plus_between():
    found = combined([answer([[10, 20]], sd=1.0), answer([[14, 20]], sd=3.0)])
    np.testing.assert_allclose(found.rows, [[12, 20]])
    np.testing.assert_allclose(found.sd, [[(5 + 4) ** 0.5, 5**0.5]], rtol=1e-6)


def test_a_column_is_known_where_half_of_the_answers_know_it():
    nan = float("nan")
    found = combined([answer([[10, nan, nan]]), answer([[12, 20, nan]]), answer([[14, 22, 30]])])
    np.testing.assert_allclose(found.rows, [[12, 21, nan]])  # of two, the middle
    assert np.isnan(found.confidence[2])


def test_one_answer_that_is_far_off_does_not_drag_the_others_along():
    found = combined([answer([[10.0]]), answer([[11.0]]), answer([[90.0]])])
    assert found.rows == [[11.0]]
    assert found.sd > 40  # but it is told


def test_combined_surfaces_stay_in_order():
    rng = np.random.default_rng(0)
    many = [answer(np.sort(rng.uniform(0, 40, (8, 9)), axis=0).tolist()) for _ in range(5)]
    assert (np.diff(combined(many).rows, axis=0) >= 0).all()
