"""Fluid from a network that finds it by brightness, so that it can be worked out by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from retseg.bscan import Spacing
from retseg.data.readers.volume import RawBScan, ScanVolume
from retseg.errors import InputError
from retseg.inference.gate import GatedPredictor
from retseg.inference.members import members_of
from retseg.inference.network import ScanNetwork, of_module
from retseg.inference.outputs import choose_outputs, fit_to_networks
from retseg.inference.predictor import Member, ScanPredictor, View
from tests.inference.drawn import by_brightness, card, draw, network, surfaces

UM = Spacing(4.0, 12.0, "user")
FLUID_LEVEL = 250
"""Gray level that no layer is drawn with."""


def seeking(images):
    """Logits of the layers, and fluid: 0.9 where the image is as bright as fluid, 0.1 elsewhere."""
    return by_brightness(images), torch.where(images[:, 0] * 255 > 230, 0.9, 0.1)


def fluid_network(**given: object) -> ScanNetwork:
    return ScanNetwork(card(gives_fluid=True, **given), by_brightness, "drawn", with_fluid=seeking)


def predictor(*views: View, **given: object) -> ScanPredictor:
    return ScanPredictor(tuple(Member(fluid_network(**given), view) for view in views or (View(),)))


def drawn_scan(height, width, first_row=10.0):
    """Layers with a block of fluid of 4 x 9 pixels in them; the image, and where the fluid is."""
    image = draw(surfaces(width, first_row), height)
    fluid = np.zeros((height, width), bool)
    fluid[int(first_row) + 8 : int(first_row) + 12, width // 3 : width // 3 + 9] = True
    image[fluid] = FLUID_LEVEL
    return image, fluid


@pytest.mark.parametrize(("height", "width", "first_row"), [(40, 48, 5), (64, 130, 12), (97, 61, 30)])
def test_fluid_of_any_size_comes_back_on_the_scans_own_pixels(height, width, first_row):
    image, fluid = drawn_scan(height, width, first_row)
    found = predictor().answer(image, UM).fluid
    assert found.shape == (height, width)
    np.testing.assert_array_equal(found >= 0.5, fluid)
    assert found.max() == pytest.approx(0.9, abs=1e-6)


@pytest.mark.parametrize("view", [View(is_mirrored=True), View(shift=0.1), View(is_mirrored=True, shift=-0.1)])
def test_every_view_finds_it_in_the_same_place(view):
    image, fluid = drawn_scan(80, 130, 20)
    np.testing.assert_array_equal(predictor(view).answer(image, UM).fluid >= 0.5, fluid)


def test_where_no_window_looked_there_is_none():
    image, _ = drawn_scan(97, 48, 30)
    found = predictor(size=(40, 48)).answer(image, UM).fluid
    seen = np.flatnonzero(found.any(axis=1))
    assert len(seen) == 40
    assert (found[seen] > 0).all()


def test_fluid_of_several_is_the_mean_of_those_that_seek_it():
    image, fluid = drawn_scan(40, 48, 5)
    unsure = replace(fluid_network(), with_fluid=lambda images: (by_brightness(images), 0 * images[:, 0] + 0.3))
    members = tuple(Member(one) for one in (network(), fluid_network(), unsure))
    found = ScanPredictor(members).answer(image, UM).fluid
    np.testing.assert_allclose(found[fluid], 0.6, atol=1e-6)
    np.testing.assert_allclose(found[~fluid], 0.2, atol=1e-6)
    assert ScanPredictor((Member(network()),)).answer(image, UM).fluid is None


class WithDropout(nn.Module):
    """A plain convolution behind dropout, with fluid."""

    gives = ("fluid",)

    def __init__(self):
        super().__init__()
        self.drop, self.conv = nn.Dropout(0.5), nn.Conv2d(1, 9, 1)

    def outputs(self, image):
        logits = self.conv(self.drop(image))
        return type("Outputs", (), {"logits": logits[:, :8], "fluid": logits[:, 8]})

    def forward(self, image):
        return self.outputs(image).logits


def test_samples_of_dropout_draw_the_same_masks_for_layers_and_fluid():
    torch.manual_seed(0)
    base = of_module(card(gives_fluid=True), WithDropout().eval())
    first, *samples = (member.network for member in members_of((base,), num_dropout=2))
    images = torch.rand(2, 1, 40, 48)
    for sample in samples:
        logits, fluid = sample.with_fluid(images)
        torch.testing.assert_close(logits, sample.forward(images))
        assert not torch.equal(fluid, first.with_fluid(images)[1])
    assert not torch.equal(samples[0].with_fluid(images)[1], samples[1].with_fluid(images)[1])


def test_the_card_and_the_network_agree():
    module = WithDropout()
    with pytest.raises(AssertionError):
        of_module(card(), module)
    logits, fluid = of_module(card(gives_fluid=True), module).with_fluid(torch.rand(1, 1, 4, 6))
    assert (logits.shape, fluid.shape) == ((1, 8, 4, 6), (1, 4, 6))
    assert 0 < fluid.min() < fluid.max() < 1


def test_a_scan_that_fails_before_the_network_has_no_fluid_known():
    image, fluid = drawn_scan(97, 61, 30)
    white = np.full((97, 61), 255, np.uint8)
    volume = ScanVolume("v", Path("v.mat"), "drawn", (0, 1), lambda n: RawBScan([image, white][n]), 2, UM)
    gated = GatedPredictor(predictor(), {}, is_forced=False)
    assert gated.predict(volume, 1).fluid is None
    forced = replace(gated, is_forced=True)
    np.testing.assert_array_equal(forced.predict(volume, 0).fluid, fluid)


def test_fluid_is_written_by_networks_that_seek_it_and_refused_by_others():
    plain, seeks = network(), fluid_network()
    usual, everything = choose_outputs(None, None), choose_outputs(["all"], None)
    for outputs, words in ((usual, None), (everything, ["all"])):
        assert "fluid" in fit_to_networks(outputs, words, [plain, seeks]).kinds
        assert fit_to_networks(outputs, words, [plain]).kinds == outputs.kinds - {"fluid"}
    words = ["mask, fluid"]
    assert fit_to_networks(choose_outputs(words, None), words, [seeks]).kinds == {"mask", "fluid"}
    with pytest.raises(InputError, match=r"--save fluid: drawn seeks no fluid; train with model=with_fluid"):
        fit_to_networks(choose_outputs(words, None), words, [plain])
