"""Changes of gray values: of the size that they say, labels untouched, values within 0..1."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from retseg.data.augmentation import (
    Blur,
    Compose,
    Contrast,
    Gain,
    Gamma,
    LowerResolution,
    Noise,
    Shadow,
    Speckle,
    ToneCurve,
)
from retseg.data.augmentation.smoothing import smoothed
from retseg.data.augmentation.tone import looked_up, rising_curves
from retseg.errors import InputError
from tests.data.augmentation.scans import batch_of, layered

STEPS = {
    "gain": Gain(),
    "contrast": Contrast(),
    "gamma": Gamma(),
    "tone_curve": ToneCurve(),
    "speckle": Speckle(),
    "noise": Noise(),
    "blur": Blur(probability=1),
    "lower_resolution": LowerResolution(probability=0.5),
    "shadow": Shadow(probability=1),
    "all": Compose([Gain(), Contrast(), Gamma(), ToneCurve(), Speckle(), Noise(), Blur(), LowerResolution(), Shadow()]),
}
each = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())


def flat(value, num=300, height=20, width=24):
    """Scans of one gray level."""
    return batch_of(torch.full((num, 1, height, width), value), torch.zeros(num, height, width, dtype=torch.long))


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@each
def test_only_the_image_changes_and_stays_within_0_to_1(step):
    batch = layered()
    batch["image"] = torch.rand_like(batch["image"]).round()  # black and white: the most that a scan can hold
    before = batch["image"].clone()
    changed = step(batch)
    assert torch.equal(batch["image"], before)
    for name in batch:
        if name != "image":
            assert changed[name] is batch[name]
    assert changed["image"].shape == before.shape
    assert changed["image"].min() >= 0
    assert changed["image"].max() <= 1


@each
def test_scans_differ_and_a_seed_settles_all_of_it(step):
    batch = layered()
    batch["image"] = batch["image"][:1].repeat(len(batch["image"]), 1, 1, 1)
    results = []
    for number in (1, 1, 2):
        torch.manual_seed(number)
        results.append(step(batch)["image"])
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert not torch.equal(results[0], batch["image"])
    assert not all(torch.equal(results[0][0], scan) for scan in results[0])


@pytest.mark.parametrize(
    "step",
    [
        Gain(0),
        Contrast(1),
        Gamma(1),
        ToneCurve(0),
        ToneCurve(probability=0),
        Speckle(0),
        Speckle(probability=0),
        Noise(0),
        Noise(probability=0),
        Blur(probability=0),
        Blur(0, 0, 1),
        LowerResolution(probability=0),
        LowerResolution(1, 1, 1),
        Shadow(probability=0),
    ],
)
def test_an_amount_or_a_probability_of_nothing_is_nothing(step):
    batch = layered()
    assert torch.allclose(step(batch)["image"], batch["image"], atol=1e-6)


def test_gain_is_a_factor():
    factor = Gain(0.3)(flat(0.5))["image"][:, 0, 0, 0] / 0.5
    assert 0.7 <= factor.min() < 0.72
    assert 1.28 < factor.max() <= 1.3


def test_contrast_scales_deviations_from_the_mean():
    image = 0.5 + 0.1 * torch.tensor([-1.0, 1.0]).view(1, 1, 2, 1).expand(300, 1, 2, 3)
    changed = Contrast(1.5)(batch_of(image, torch.zeros(300, 2, 3, dtype=torch.long)))["image"]
    assert torch.allclose(changed.mean(dim=(1, 2, 3)), torch.tensor(0.5), atol=1e-6)
    factor = (changed[:, 0, 1, 0] - 0.5) / 0.1
    assert 1 / 1.5 <= factor.min() < 0.7
    assert 1.45 < factor.max() <= 1.5001


def test_gamma_is_a_power():
    power = Gamma(1.5)(flat(0.5))["image"][:, 0, 0, 0].log() / torch.tensor(0.5).log()
    assert 1 / 1.5 <= power.min() < 0.7
    assert 1.45 < power.max() <= 1.5001
    ends = batch_of(torch.tensor([0.0, 1.0]).view(1, 1, 2, 1), torch.zeros(1, 2, 1, dtype=torch.long))
    assert Gamma()(ends)["image"].flatten().tolist() == [0, 1]


def test_a_curve_is_looked_up_as_numpy_does():
    curves, image = rising_curves(3, 5), torch.rand(3, 1, 7, 9)
    image[:, :, 0, :2] = torch.tensor([0.0, 1.0])
    found = looked_up(image, curves)
    for curve, before, after in zip(curves, image, found, strict=True):
        np.testing.assert_allclose(after, np.interp(before, np.linspace(0, 1, 6), curve), atol=1e-5)


def test_a_tone_curve_keeps_the_order_of_gray_levels():
    ramp = torch.linspace(0, 1, 64).view(1, 1, 64, 1).expand(300, 1, 64, 2)
    curves = ToneCurve(most=1)(batch_of(ramp, torch.zeros(300, 64, 2, dtype=torch.long)))["image"][:, 0, :, 0]
    assert (curves.diff(dim=1) >= -1e-6).all()
    assert curves[:, 0].abs().max() == 0
    assert torch.allclose(curves[:, -1], torch.tensor(1.0))
    assert (curves - ramp[:, 0, :, 0]).abs().amax(dim=1).median() > 0.05


def test_smoothing_has_the_variance_of_its_sigma_and_is_close_to_a_gaussian():
    point = torch.zeros(4, 61, 3)
    point[:, 30, 1] = 1
    sigma = torch.tensor([0.0, 0.6, 1.0, 1.7]).view(-1, 1, 1)
    spread = smoothed(point, sigma, 1.7, dim=1)[:, :, 1]
    offset = torch.arange(61) - 30.0
    assert torch.allclose(spread.sum(dim=1), torch.tensor(1.0), atol=1e-5)
    assert torch.allclose((spread * offset**2).sum(dim=1), sigma.flatten() ** 2, atol=1e-3)
    for found, width in zip(spread[2:], sigma.flatten()[2:], strict=True):
        gaussian = ndimage.gaussian_filter1d(point[0, :, 1].numpy(), width.item())
        assert abs(found.numpy() - gaussian).max() < 0.04  # its peak is 0.4 and 0.23


def test_smoothing_repeats_the_edges_and_goes_along_its_dimension_alone():
    level = torch.full((2, 9, 7), 0.3)
    sigma = torch.ones(2, 1, 1)
    for dim in (1, 2):
        assert torch.allclose(smoothed(level, sigma, 1.0, dim), level, atol=1e-6)
    stripes = torch.arange(7.0).remainder(2).expand(2, 9, 7)
    assert torch.allclose(smoothed(stripes, sigma, 1.0, 1), stripes)
    assert smoothed(stripes, sigma, 1.0, 2)[:, :, 2:5].std() < 0.1 * stripes.std()


def test_speckle_multiplies_by_noise_of_its_strength_and_grain():
    scans = Speckle(most=0.2, axial_px=1.5, lateral_px=0)(flat(0.5, num=100, height=64, width=64))["image"][:, 0]
    relative = scans / 0.5 - 1
    strength = relative.std(dim=(1, 2))
    assert strength.max() == pytest.approx(0.2, rel=0.1)
    assert strength.mean() == pytest.approx(0.1, rel=0.2)
    dark = Speckle(most=0.2)(flat(0.0, num=2))["image"]
    assert dark.abs().max() == 0
    grains = relative / strength.view(-1, 1, 1)
    axial, lateral = (grains[:, 1:] * grains[:, :-1]).mean(dim=(1, 2)), (grains[..., 1:] * grains[..., :-1]).mean()
    assert axial.max() > 0.75
    assert axial.min() < 0.2
    assert abs(lateral) < 0.02


def test_noise_is_white_and_of_its_strength():
    scans = Noise(0.1)(flat(0.5, num=100, height=64, width=64))["image"][:, 0] - 0.5
    strength = scans.std(dim=(1, 2))
    assert strength.max() == pytest.approx(0.1, rel=0.1)
    assert strength.mean() == pytest.approx(0.05, rel=0.2)
    grains = scans / strength.view(-1, 1, 1)
    assert abs((grains[:, 1:] * grains[:, :-1]).mean()) < 0.01
    assert abs(grains.mean()) < 0.01


def test_lower_resolution_averages_over_a_coarser_grid():
    """Factor 2 in depth exactly, where the draw is the highest: pairs of rows become one."""
    stripes = torch.arange(16.0).remainder(2).view(1, 1, 16, 1).expand(40, 1, 16, 8)
    found = [LowerResolution(3, 1, 0.5)(batch_of(stripes, stripes[:, 0].long()))["image"] for _ in range(30)]
    spreads = torch.cat([image.std(dim=(1, 2, 3)) for image in found]) / stripes.std()
    assert (spreads > 0.999).float().mean() == pytest.approx(0.5, abs=0.1)
    assert spreads.min() < 0.5
    across = torch.arange(8.0).remainder(2).expand(40, 1, 16, 8)
    kept = LowerResolution(3, 1, 1)(batch_of(across, across[:, 0].long()))["image"]
    assert torch.allclose(kept, across, atol=1e-6)


def test_shadows_are_dark_bands_from_a_row_downwards():
    scans = Shadow(bands=1, width_px=4, most=0.6, probability=0.5)(flat(1.0, num=400, height=40, width=60))["image"]
    light = scans[:, 0]
    is_shaded = light.amin(dim=(1, 2)) < 0.999
    assert is_shaded.float().mean() == pytest.approx(0.5, abs=0.12)
    assert torch.equal(light[:, 0], torch.ones_like(light[:, 0]))  # nothing above the first row that a band can have
    assert (light.diff(dim=1) <= 1e-6).all()
    assert light.min() == pytest.approx(0.4, abs=0.05)
    lowest = light[is_shaded][:, -1]
    width = (lowest < (1 + lowest.amin(dim=1, keepdim=True)) / 2).sum(dim=1).float()
    assert width.max() <= 2.355 * 4 + 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gain(2), r"augmentation.most: 2, expected a number from 0 to 1"),
        (lambda: Gamma(0.5), r"augmentation.most: 0.5, expected a factor of 1"),
        (lambda: ToneCurve(knots=1), r"augmentation.knots: 1, expected 2 or more steps"),
        (lambda: Blur(axial_px=-1), r"augmentation.axial_px: -1, expected 0 px \(nothing\) or more"),
        (lambda: Shadow(bands=0), r"augmentation.bands: 0, expected 1 or more"),
        (lambda: LowerResolution(axial=0.5), r"augmentation.axial: 0.5, expected a factor"),
    ],
)
def test_refuses_wrong_settings(make, message):
    with pytest.raises(InputError, match=message):
        make()
