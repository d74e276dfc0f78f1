from itertools import combinations_with_replacement

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retseg.anatomy import NUM_CLASSES
from retseg.bscan import BScan, ScanKey
from retseg.data.transforms import resize
from retseg.errors import InputError
from retseg.geometry.decoding import (
    FLOOR,
    expected_surfaces,
    has_retina,
    likeliest_surfaces,
    rows_on_grid,
    split_background,
)
from retseg.geometry.surfaces import depth_classes, paint_mask, trace_surfaces

DECODERS = {
    "expected": expected_surfaces,
    "likeliest": likeliest_surfaces,
    "likeliest, whole rows": lambda probabilities: likeliest_surfaces(probabilities, is_subpixel=False),
    "smooth": lambda probabilities: likeliest_surfaces(probabilities, smoothness=0.5),
}


def one_hot(mask):
    """Probabilities (1, 8, H, W) of a mask (H, W)."""
    return torch.from_numpy((mask[None] == np.arange(NUM_CLASSES)[:, None, None]).astype(np.float32))[None]


def covered(rows, num_rows, dtype=torch.float64):
    """Probabilities (1, 8, H, W) that are the shares of each pixel that classes cover, from exact rows (8, W)."""
    edges = np.concatenate([np.zeros((1, rows.shape[1])), rows, np.full((1, rows.shape[1]), num_rows)])
    pixel = np.arange(num_rows)[None, :, None]
    shares = np.clip(np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel), 0, None)
    return torch.from_numpy(np.concatenate([shares[:1] + shares[-1:], shares[1:-1]]))[None].to(dtype)


def random_probabilities(seed, shape=(2, 8, 9, 4), sharpness=2.0):
    logits = sharpness * np.random.default_rng(seed).normal(size=shape)
    return torch.from_numpy(logits).softmax(dim=1)


def random_rows(seed, num_columns, num_rows, is_whole=True):
    """Ordered rows (8, W) whose retina is at least a pixel thick."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, num_rows, (8, num_columns)) if is_whole else rng.uniform(0, num_rows - 2, (8, num_columns))
    rows = np.sort(rows, axis=0)
    rows[-1] = np.maximum(rows[-1], rows[0] + (1 if is_whole else 2))
    return rows


def test_background_is_divided_above_from_below():
    mask = np.array([[0, 0], [1, 0], [7, 0], [0, 7], [0, 0]])
    depth = split_background(one_hot(mask))[0]
    assert depth[0].tolist() == [[1, 1], [0, 1], [0, 1], [0, 0], [0, 0]]
    assert depth[8].tolist() == [[0, 0], [0, 0], [0, 0], [1, 0], [1, 1]]


def test_a_soft_division_by_hand():
    # One column, layer mass 0.2, 0.8, 0.6 at rows 0 to 2: row 1 has m = 0.2 / 0.8 = 0.25.
    probabilities = torch.zeros(1, 8, 3, 1, dtype=torch.float64)
    probabilities[0, 3, :, 0] = torch.tensor([0.2, 0.8, 0.6])
    probabilities[0, 0] = 1 - probabilities[0, 3]
    below = 0.25**3 * (10 - 15 * 0.25 + 6 * 0.25**2)
    depth = split_background(probabilities)[0, :, :, 0]
    assert depth[0].tolist() == pytest.approx([0.8, 0.2 * (1 - below), 0.0])
    assert depth[8].tolist() == pytest.approx([0.0, 0.2 * below, 0.4])


def test_the_division_is_the_chance_that_most_of_five_draws_lie_above():
    share = 0.3
    chance = sum(
        np.prod([share if bit else 1 - share for bit in bits]) for bits in np.ndindex(2, 2, 2, 2, 2) if sum(bits) >= 3
    )
    assert share**3 * (10 - 15 * share + 6 * share**2) == pytest.approx(chance)


@given(st.integers(0, 2**32))
def test_sums_are_kept_and_the_share_below_never_falls(seed):
    probabilities = random_probabilities(seed)
    depth = split_background(probabilities)
    assert depth.shape == (2, 9, 9, 4)
    assert torch.allclose(depth.sum(dim=1), probabilities.sum(dim=1))
    assert torch.allclose(depth[:, 0] + depth[:, 8], probabilities[:, 0])
    assert torch.equal(depth[:, 1:8], probabilities[:, 1:])
    assert depth.min() >= 0
    assert ((depth[:, 8] / probabilities[:, 0]).diff(dim=1) >= -1e-12).all()


@given(st.integers(0, 2**32))
def test_a_mask_is_divided_as_its_depth_classes_say(seed):
    mask = paint_mask(random_rows(seed, 5, 12), 12)
    expected = one_hot(depth_classes(mask))[0]
    depth = split_background(one_hot(mask))[0]
    assert torch.equal(depth[1:8], expected[1:8])
    assert np.array_equal(depth[8].numpy() == 1, depth_classes(mask) == NUM_CLASSES)


@given(st.integers(0, 2**32))
def test_expected_surfaces_are_running_sums_of_depth_classes(seed):
    probabilities = random_probabilities(seed)
    rows = split_background(probabilities).sum(dim=2).cumsum(dim=1)[:, :-1]
    assert torch.allclose(expected_surfaces(probabilities), rows)


@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_an_ordered_mask_comes_back(name, seed):
    rows = random_rows(seed, 6, 14)
    mask = paint_mask(rows, 14)
    decode = DECODERS[name] if name != "smooth" else lambda one: likeliest_surfaces(one, smoothness=0.1)
    found = decode(one_hot(mask))[0].numpy()
    assert np.array_equal(found, rows)
    assert np.array_equal(found, trace_surfaces(mask))
    assert np.array_equal(paint_mask(found, 14), mask)


@given(st.integers(0, 2**32))
def test_expected_surfaces_of_antialiased_masks_are_exact_below_a_pixel(seed):
    rows = random_rows(seed, 5, 16, is_whole=False)
    assert expected_surfaces(covered(rows, 16))[0].numpy() == pytest.approx(rows, abs=1e-9)


@given(st.integers(0, 2**32))
def test_likeliest_surfaces_of_antialiased_masks_are_half_a_pixel_off_at_most(seed):
    # Layers of two pixels or more, so that a pixel is cut by one surface at most.
    rng = np.random.default_rng(seed)
    rows = 1 + rng.uniform(2, 4, (8, 5)).cumsum(axis=0)
    probabilities = covered(rows, 36)
    whole = likeliest_surfaces(probabilities, is_subpixel=False)[0].numpy()
    assert np.array_equal(whole, np.rint(rows))
    assert np.abs(likeliest_surfaces(probabilities)[0].numpy() - rows).max() <= 0.5


@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=40)
@given(st.integers(0, 2**32), st.floats(0.1, 8))
def test_surfaces_never_cross_and_stay_inside(name, seed, sharpness):
    rows = DECODERS[name](random_probabilities(seed, sharpness=sharpness).float())
    known = rows.isfinite().all(dim=1)
    assert torch.equal(known, rows.isfinite().any(dim=1))
    rows = rows.transpose(1, 2)[known]
    assert (rows.diff(dim=1) >= 0).all()
    assert ((rows >= 0) & (rows <= 9 + 1e-4)).all()


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.floats(0.3, 20))
def test_likeliest_surfaces_are_the_best_of_all_ordered_ones(seed, sharpness):
    # Every ordered mask of 4 classes on 6 rows, and its likelihood pixel by pixel.
    probabilities = random_probabilities(seed, (1, 4, 6, 2), sharpness)
    probabilities[:, 0] *= 0.4
    logs = probabilities[0].clamp_min(FLOOR).log().numpy()
    found = likeliest_surfaces(probabilities, is_subpixel=False)[0].numpy()
    for column in range(2):
        likelihoods = {}
        for rows in combinations_with_replacement(range(7), 4):
            depth = sum(np.arange(6) >= row for row in rows)
            likelihoods[rows] = logs[depth % 4, np.arange(6), column].sum()
        assert likelihoods[tuple(found[:, column])] == pytest.approx(max(likelihoods.values()))


def test_a_mask_out_of_order_gets_the_ordered_one_with_the_fewest_changes():
    # 1 1 7 1 2 2 3 4 5 6 7: the first 7 becomes 1.
    column = np.array([0, 1, 1, 7, 1, 2, 2, 3, 4, 5, 6, 7, 0])
    rows = likeliest_surfaces(one_hot(column[:, None]))[0].numpy()
    assert paint_mask(rows, 13)[:, 0].tolist() == [0, 1, 1, 1, 1, 2, 2, 3, 4, 5, 6, 7, 0]


def test_a_surface_lies_where_two_classes_are_equally_likely():
    # log ratios of background over layer 1 at pixel centres 1.5 and 2.5: log 3 and -log 9, so zero at 1.5 + 1/3.
    probabilities = torch.full((1, 8, 5, 1), FLOOR, dtype=torch.float64)
    probabilities[0, 0, :, 0] = torch.tensor([1, 0.75, 0.1, FLOOR, 1])
    probabilities[0, 1, :, 0] = torch.tensor([FLOOR, 0.25, 0.9, 1, FLOOR])
    rows = likeliest_surfaces(probabilities)[0, :, 0]
    assert rows.tolist() == pytest.approx([1.5 + 1 / 3, *[4.0] * 7], abs=1e-5)


def test_surfaces_on_one_edge_move_together():
    # Classes 1 and 3 meet below row 3; 2 is nowhere: its two surfaces lie where 1 and 3 are equally likely.
    mask = np.array([0, 1, 1, 3, 3, 0])[:, None]
    probabilities = one_hot(mask)
    probabilities[0, [1, 3], 2, 0] = torch.tensor([0.6, 0.4])
    rows = likeliest_surfaces(probabilities)[0, :, 0]
    assert rows[1] == rows[2]
    share = np.log(1.5) / (np.log(1.5) - np.log(FLOOR))
    assert rows[1] == pytest.approx(2.5 + share, abs=1e-5)


@pytest.mark.parametrize("name", DECODERS)
def test_columns_without_retina_and_with_nan_have_no_surfaces(name):
    mask = np.array([[0, 0, 0], [1, 0, 1], [2, 0, 2], [0, 0, 0]])
    probabilities = one_hot(mask)
    probabilities[0, 5, 1, 1], probabilities[0, 0, 1, 1] = 0.45, 0.55
    probabilities[0, 4, 3, 2] = torch.nan
    rows = DECODERS[name](probabilities)[0]
    assert has_retina(probabilities).tolist() == [[True, False, True]]
    assert rows.isfinite().all(dim=0).tolist() == [True, False, False]
    assert rows.isnan().any(dim=0).tolist() == [False, True, True]
    assert rows[:, 0].tolist() == [1, 2, *[3] * 6]


def test_smoothness_removes_a_spike_also_beside_columns_without_surfaces():
    mask = np.zeros((12, 7), int)
    mask[5:8] = 1
    probabilities = one_hot(mask)
    probabilities[0, :2, 2:5, 5] = torch.tensor([0.4, 0.6])[:, None]
    probabilities[0, 6, 3, 6] = torch.nan
    rough = likeliest_surfaces(probabilities, is_subpixel=False)[0]
    smooth = likeliest_surfaces(probabilities, smoothness=1.0, is_subpixel=False)[0]
    assert rough[0, :6].tolist() == [5, 5, 5, 5, 5, 2]
    assert smooth[0, :6].tolist() == [5] * 6
    assert (smooth[1:, :6] == 8).all()
    assert smooth[:, 6].isnan().all()


def test_columns_without_retina_do_not_pull_at_their_neighbours():
    # Column 0 is surely empty, column 1 a little likelier to be, the others are surely not.
    mask = np.zeros((12, 5), int)
    mask[5:8, 1:] = 1
    probabilities = one_hot(mask)
    probabilities[0, :2, 5:8, 1] = torch.tensor([[0.6, 0.4, 0.6], [0.4, 0.6, 0.4]])
    rows = likeliest_surfaces(probabilities, smoothness=10.0, is_subpixel=False)[0]
    assert rows[:, 0].isnan().all()
    assert rows[0, 1:].tolist() == [5] * 4
    assert (rows[1:, 1:] == 8).all()


@pytest.mark.parametrize("smoothness", [-0.1, float("nan"), float("inf")])
def test_a_smoothness_below_zero_or_without_end_is_refused(smoothness):
    with pytest.raises(InputError, match=r"^smoothness is .*: expected nats a row of step, 0 or more$"):
        likeliest_surfaces(random_probabilities(0), smoothness=smoothness)


def test_expected_surfaces_can_be_differentiated():
    probabilities = one_hot(paint_mask(random_rows(3, 4, 10), 10)).requires_grad_()
    expected_surfaces(probabilities).sum().backward()
    assert probabilities.grad.isfinite().all()
    assert probabilities.grad.abs().sum() > 0


def test_rows_scale_as_edges_and_columns_about_their_centres():
    # 4 x 2 to 8 x 4: columns 0.5 and 1.5 of the old grid lie at 1 and 3 of the new one.
    rows = np.array([[1.0, 3.0]], np.float32)
    assert rows_on_grid(rows, (4, 2), (8, 4)).tolist() == [[2.0, 3.0, 5.0, 6.0]]


def test_rows_come_to_their_place_in_the_scan():
    rows = np.array([[1.0, 3.0]], np.float32)
    whole = rows_on_grid(rows, (4, 2), (4, 2), (10, 1), 5)
    assert np.array_equal(whole, [[np.nan, 11, 13, np.nan, np.nan]], equal_nan=True)
    assert rows_on_grid(rows, (4, 2), (4, 2), (-1, -1), 1).tolist() == [[2.0]]
    assert np.array_equal(rows_on_grid(rows, (4, 2), (4, 2), (0, 1)), [[np.nan, 1, 3]], equal_nan=True)


@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 20), st.integers(1, 20))
def test_rows_on_another_grid_are_those_of_a_resized_scan(seed, height, old_width, new_width):
    rng = np.random.default_rng(seed)
    rows = rng.uniform(0, 30, (8, old_width)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    scan = BScan(ScanKey(1, "s01", 0), np.zeros((30, old_width), np.uint8), surface_rows=rows)
    resized = resize(scan, height, new_width).surface_rows
    found = rows_on_grid(rows, (30, old_width), (height, new_width))
    assert found.dtype == np.float32
    assert np.array_equal(found, resized, equal_nan=True)
