"""Curves of a network that sees one thing: a pixel above 0.5 is the layer. 32 x 48 pixels; the layer: rows 10 to 13."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from retseg.anatomy import IGNORE
from retseg.errors import InputError
from retseg.explain.faithfulness import Target, area, faithfulness_curves, mean_curves
from retseg.explain.perturbation import Deletion, Road

HEIGHT, WIDTH, SIZE, LAYER = 32, 48, 32 * 48, 4 * 48
SHARES = (0, 24 / SIZE, 96 / SIZE, LAYER / SIZE, 2 * LAYER / SIZE)


class Bright(nn.Module):
    """Logits of background and layer: the layer where the image is above 0.5. Counts what it is shown."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.seen = []

    def forward(self, image):
        self.seen.append(len(image))
        assert not self.training
        return torch.cat([0.5 - image, image - 0.5], dim=1)


@dataclass
class Blackout:
    """Removed pixels are 0: nothing is left of the layer there."""

    name: str = "blackout"
    keeps_hottest: bool = False

    def prepare(self, image, seed):
        return lambda is_hot: torch.where(is_hot == self.keeps_hottest, image, 0)


@pytest.fixture
def net():
    return Bright()


@pytest.fixture
def image():
    image = torch.zeros(2, 1, HEIGHT, WIDTH)
    image[:, :, 10:14] = 1
    return image


def by_column():
    """Heat of the layer's pixels alone, falling from left to right and from its top down: no two are equal."""
    maps = torch.zeros(2, 2, HEIGHT, WIDTH)
    maps[:, 1, 10:14] = torch.arange(LAYER, 0, -1.0).view(WIDTH, 4).T
    return maps


def test_the_perfect_map_has_the_curve_worked_by_hand(net, image):
    curves = faithfulness_curves(net, image, {"perfect": by_column()}, Blackout(), shares=SHARES)["perfect"]
    left = LAYER - np.array([0, 24, 96, LAYER, LAYER])
    expected = 2 * left / (LAYER + left)
    np.testing.assert_allclose(curves.dice[:, 1], [expected, expected])
    # 6, 24, 48 of 48 columns are lost whole; each costs 32 - 10 = 22 rows above, 32 - 14 = 18 rows below.
    errors = 20 * np.array([0, 6, 24, 48, 48]) / 48
    np.testing.assert_allclose(curves.surface_error[:, 1], [errors, errors])
    widths = np.diff(SHARES)
    by_hand = sum(w * (a + b) / 2 for w, a, b in zip(widths, expected[:-1], expected[1:], strict=True)) / SHARES[-1]
    np.testing.assert_allclose(curves.dice_area[:, 1], by_hand)
    assert (curves.unit, curves.reference) == ("px", "unperturbed prediction")


def test_kept_pixels_bring_the_layer_back(net, image):
    curves = faithfulness_curves(net, image, {"": by_column()}, Blackout(keeps_hottest=True), shares=SHARES)[""]
    kept = np.array([0, 24, 96, LAYER, LAYER])
    np.testing.assert_allclose(curves.dice[0, 1], 2 * kept / (LAYER + kept))
    np.testing.assert_allclose(curves.surface_error[0, 1], 20 * (1 - np.array([0, 6, 24, 48, 48]) / 48))


def test_a_random_map_takes_the_layers_share_and_no_more(net, image):
    maps = torch.rand(2, 2, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    curves = faithfulness_curves(net, image, {"": maps}, Blackout(), shares=SHARES)[""]
    left = 1 - np.array(SHARES)
    np.testing.assert_allclose(curves.dice[:, 1].mean(0), 2 * left / (1 + left), atol=0.02)


@pytest.mark.parametrize("keeps_hottest", [False, True])
@pytest.mark.parametrize("measure", ["dice", "surface"])
def test_more_is_more_faithful_whatever_is_kept_and_measured(net, image, keeps_hottest, measure):
    random = torch.rand(2, 2, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    maps = {"perfect": by_column(), "random": random, "wrong": 1e3 - by_column()}
    found = faithfulness_curves(net, image, maps, Blackout(keeps_hottest=keeps_hottest), shares=SHARES)
    perfect, random_one, wrong = (found[name].faithfulness(measure)[0, 1] for name in maps)
    assert perfect > random_one
    assert random_one >= wrong
    assert perfect > wrong + 0.3


def test_plateaus_are_taken_out_at_random_not_from_the_top(net, image):
    maps = torch.zeros(2, 2, HEIGHT, WIDTH)
    maps[:, 1, 10:14] = 1
    maps[:, 1, 0, 0] = 2  # hotter than the layer, and nothing to it
    curves = faithfulness_curves(net, image, {"": maps}, Blackout(), shares=(0, 97 / SIZE), seed=3)[""]
    assert curves.dice[0, 1, 1] == pytest.approx(2 * 96 / (LAYER + 96))
    assert curves.surface_error[0, 1, 1] < 6  # half of every column is left; from the left, half of them would be gone
    again = faithfulness_curves(net, image, {"": maps}, Blackout(), shares=(0, 97 / SIZE), seed=3)[""]
    other = faithfulness_curves(net, image, {"": maps}, Blackout(), shares=(0, 97 / SIZE), seed=4)[""]
    np.testing.assert_array_equal(curves.surface_error, again.surface_error)
    assert (curves.surface_error != other.surface_error).any()


def test_the_true_mask_is_the_reference_where_it_is_given_and_pixels_are_microns(net, image):
    mask = torch.zeros(2, HEIGHT, WIDTH, dtype=torch.int64)
    mask[:, 11:15] = 1  # one row below what the network says
    mask[1, :, 40:] = IGNORE
    curves = faithfulness_curves(
        net, image, {"": by_column()}, Blackout(), mask=mask, axial_um=[4.0, 2.0], shares=(0, 96 / SIZE)
    )[""]
    assert (curves.unit, curves.reference) == ("um", "true mask")
    np.testing.assert_allclose(curves.dice[:, 1, 0], 0.75)
    np.testing.assert_allclose(curves.surface_error[:, 1, 0], [4, 2])
    # Of 48 (40 annotated) columns 24 are lost: 32 - 11 = 21 rows above and 32 - 15 = 17 below; the others are 1 off.
    np.testing.assert_allclose(curves.surface_error[:, 1, 1], [4 * (19 + 1) / 2, 2 * (24 * 19 + 16) / 40])


def test_absent_classes_and_blank_maps_are_nan_and_cost_no_forward_pass(net, image):
    maps = by_column()
    maps[0, 1] = 0
    image[1] = 0  # no layer at all
    curves = faithfulness_curves(net, image, {"": maps}, Blackout(), shares=SHARES)[""]
    assert np.isnan(curves.dice).all()
    assert np.isnan(curves.surface_error).all()
    assert np.isnan(curves.faithfulness()).all()
    assert net.seen == [2]


def test_forward_passes_are_shared_and_bounded(net, image):
    maps = {"one": by_column(), "two": by_column().sqrt()}
    faithfulness_curves(net, image, maps, Blackout(), shares=(*SHARES, 1), batch=3)
    # Unperturbed: both scans. Each scan then: nothing left, once; 2 maps x 4 shares (the layer's map alone has heat).
    assert net.seen == [2] + 2 * [1, 3, 3, 2]


def test_background_has_the_outer_surfaces(net):
    labels = torch.zeros(HEIGHT, WIDTH, dtype=torch.int64)
    labels[10:14], labels[14:20] = 1, 2
    predicted = labels.clone()
    predicted[18:20] = 0
    assert Target(labels, 3, 4.0).score(predicted, 0) == (pytest.approx(2 * 22 / (22 + 24)), 4.0 * (0 + 2) / 2)
    assert Target(labels, 3, 4.0).score(predicted, 1) == (1, 0)
    assert Target(labels, 3, 4.0).score(predicted, 2) == (pytest.approx(2 * 4 / (4 + 6)), 4.0 * (0 + 2) / 2)


def test_a_lost_column_is_never_cheaper_than_the_worst_surface(net):
    labels = torch.zeros(HEIGHT, 4, dtype=torch.int64)
    labels[10:14] = 1
    nothing, wrong = torch.zeros_like(labels), torch.zeros_like(labels)
    wrong[31:] = 1
    target = Target(labels, 2, 1.0)
    assert target.score(nothing, 1)[1] == 20
    assert target.score(wrong, 1)[1] < 20


def test_a_layer_that_vanishes_between_others_lies_where_they_meet(net):
    labels = torch.zeros(HEIGHT, 4, dtype=torch.int64)
    labels[10:14], labels[14:18], labels[18:22] = 1, 2, 3
    predicted = labels.clone()
    predicted[14:18] = 1
    dice, error = Target(labels, 4, 1.0).score(predicted, 2)
    assert (dice, error) == (0, (4 + 0) / 2)


def test_area_is_the_mean_of_the_curve_over_uneven_steps():
    assert area(np.array([0, 0.1, 0.5]), np.array([1, 0.5, 0.5])) == pytest.approx((0.1 * 0.75 + 0.4 * 0.5) / 0.5)


def test_a_baseline_drawn_twice_counts_as_its_mean(net, image):
    found = faithfulness_curves(net, image, {"a": by_column(), "b": 1e3 - by_column()}, Blackout(), shares=SHARES)
    mean = mean_curves([found["a"], found["b"]])
    np.testing.assert_allclose(mean.dice_area, (found["a"].dice_area + found["b"].dice_area) / 2)


def test_the_published_perturbations_run_and_leave_the_network_as_found(image):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Dropout(0.5)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.random.get_rng_state()
    maps = torch.rand(2, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    for perturbation in (Deletion(blur_sd_px=4), Road()):
        curves = faithfulness_curves(net, image, {"": maps}, perturbation, shares=(0, 0.1, 0.3))[""]
        assert np.nanmax(curves.dice[:, :, 0]) == 1
        assert np.nanmin(curves.dice) < 1
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("shares", [(0,), (0, 0.5, 0.4), (-0.1, 1), (0, 1.5)])
def test_shares_that_are_no_curve_are_refused(net, image, shares):
    with pytest.raises(InputError, match="expected at least two, rising, from 0 to 1"):
        faithfulness_curves(net, image, {"": by_column()}, Blackout(), shares=shares)


def test_maps_of_another_size_and_networks_of_more_classes_are_refused(net, image):
    with pytest.raises(InputError, match=r"maps 'deep': shape \(2, 2, 16, 24\), expected that of the logits"):
        faithfulness_curves(net, image, {"deep": torch.rand(2, 2, 16, 24)}, Blackout())
    with pytest.raises(InputError, match="gives 9 classes; surfaces are known between at most 8"):
        faithfulness_curves(nn.Conv2d(1, 9, 1), image, {}, Blackout())
