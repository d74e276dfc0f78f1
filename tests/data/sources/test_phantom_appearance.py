"""What the phantom looks like, against figures measured on the 110 annotated Duke DME scans."""

import numpy as np
import pytest

from retseg.anatomy import LAYER_NAMES
from retseg.data.sources.phantom_anatomy import Grid
from retseg.data.sources.phantom_appearance import (
    SPECKLE_AXIAL,
    SPECKLE_LATERAL,
    coverage,
    paint_brightness,
    speckle,
    with_shoulder,
)

AXIAL_UM = 3.87


def test_painting_conserves_what_the_surfaces_say_below_a_pixel():
    """One gray level per layer: a column's sum is the sum of thickness times level, exactly."""
    grid = Grid(height=12, width=2, axial_um=4, lateral_um=10)
    rows = np.array([[2.25, 2], [3.5, 3], [4.0, 4], [5.1, 5], [6.6, 6], [7, 7], [8.2, 8], [9.9, 9]])
    levels = np.array([10.0, 100, 90, 70, 80, 50, 120, 150, 60])
    image = paint_brightness(grid, rows, np.broadcast_to(levels[:, None, None], (9, 12, 2)))
    assert image[2] == pytest.approx([0.25 * 10 + 0.75 * 100, 100])
    thickness = np.diff(np.concatenate([np.zeros((1, 2)), rows, np.full((1, 2), 12.0)]), axis=0)
    assert image.sum(axis=0) == pytest.approx((levels[:, None] * thickness).sum(axis=0), rel=1e-6)


def test_a_pixel_belongs_to_the_class_that_fills_most_of_it(phantom):
    """Painted shares and `paint_mask` agree on every pixel of a scan."""
    grid, rows = phantom.source.grid, phantom.rows[27].astype(float)
    edges = np.concatenate([np.zeros((1, 500)), rows, np.full((1, 500), 216.0)])
    shares = np.stack([coverage(grid, edges[k], edges[k + 1]) for k in range(9)])
    largest = shares.argmax(axis=0)
    is_clear = shares.max(axis=0) > 0.501
    assert is_clear.mean() > 0.99
    assert np.array_equal((largest % 8)[is_clear], phantom.masks[27][is_clear])  # 8, below the retina, is class 0 again


def test_surfaces_show_in_the_image_where_they_are_said_to_be(phantom):
    """The steepest step of mean brightness over columns is at the rounded row: ILM, ISM/ISE and BM."""
    offsets = np.arange(-5, 6)
    for surface, sign in ((0, 1), (5, 1), (7, -1)):
        profile = np.zeros(offsets.size)
        for image, rows in zip(phantom.images, phantom.rows, strict=True):
            nearest = np.rint(rows[surface]).astype(int)
            profile += image[nearest + offsets[:, None], np.arange(500)].mean(axis=1)
        # Between rows r - 1 and r lies the surface that `paint_mask` rounds to r.
        assert offsets[1:][np.argmax(sign * np.diff(profile))] == 0, surface


def test_brightness_of_each_layer(phantom):
    """Duke's means within 8 %, and sd within a layer of one image within 20 %, fluid left out."""
    means, sds = [135, 97, 72, 82, 53, 121, 154], [25, 16, 14, 19, 13, 29, 28]
    for layer in range(7):
        inside = (phantom.masks == layer + 1) & ~phantom.fluid
        assert phantom.images[inside].mean() == pytest.approx(means[layer], rel=0.08), LAYER_NAMES[layer]
        within = np.mean([image[where].std() for image, where in zip(phantom.images, inside, strict=True)])
        assert within == pytest.approx(sds[layer], rel=0.2), LAYER_NAMES[layer]


def test_vitreous_choroid_and_fluid(phantom):
    depth = np.arange(216)[:, None]
    vitreous = phantom.images[depth < phantom.rows[:, :1] - 4]
    assert vitreous.mean() == pytest.approx(24, rel=0.1)
    assert vitreous.std() == pytest.approx(13, rel=0.15)
    assert (vitreous == 0).mean() == pytest.approx(0.14, abs=0.01)
    below_um = (depth - phantom.rows[:, 7:]) * AXIAL_UM
    near = (below_um > 0) & (below_um < 60 * AXIAL_UM)
    assert phantom.images[near].mean() == pytest.approx(61, rel=0.1)
    assert phantom.images[below_um >= 60 * AXIAL_UM].mean() == pytest.approx(33, rel=0.15)
    assert phantom.images[phantom.fluid].mean() == pytest.approx(2 * 24, rel=0.1)


def test_the_brightest_layer_clips_as_seldom_as_in_duke(phantom):
    """Of the OS-RPE's pixels 0.09 % are 255 in Duke, and a hundredth are above 240."""
    brightest = phantom.images[(phantom.masks == 7) & ~phantom.fluid]
    assert 0.0003 < (brightest == 255).mean() < 0.0015
    assert np.percentile(brightest, 99) == pytest.approx(240, abs=5)


def test_the_shoulder_leaves_the_dark_alone_and_keeps_the_order_of_the_bright():
    levels = np.arange(0.0, 300, 5)
    pressed = with_shoulder(levels)
    assert np.array_equal(pressed[levels <= 190], levels[levels <= 190])
    assert (np.diff(pressed) > 0).all()
    assert pressed[levels == 260] == pytest.approx(190 + 70 * 0.761594)  # tanh(1)
    assert with_shoulder(np.array([1e6])) == pytest.approx(260)  # beyond it all is white


def test_gain_between_images(phantom):
    retina = np.array([image[mask > 0].mean() for image, mask in zip(phantom.images, phantom.masks, strict=True)])
    assert retina.std() / retina.mean() == pytest.approx(0.15, abs=0.03)


def autocorrelation(noise, axis, where=None):
    """At lags 1, 2, 3 along an axis, over pairs of pixels that are both in `where`."""
    noise = np.moveaxis(noise if where is None else np.where(where, noise, np.nan), axis, 0)
    return [np.nanmean(noise[:-lag] * noise[lag:]) / np.nanmean(noise**2) for lag in (1, 2, 3)]


def test_speckle_has_the_measured_grain():
    noise = speckle(np.random.default_rng(0), (800, 800), SPECKLE_AXIAL, SPECKLE_LATERAL)
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert autocorrelation(noise, axis=0) == pytest.approx([0.80, 0.45, 0.26], abs=0.02)
    assert autocorrelation(noise, axis=1) == pytest.approx([0.63, 0.22, 0.03], abs=0.02)
    assert (noise**3).mean() == pytest.approx(0, abs=0.05)
    assert (noise**4).mean() == pytest.approx(3, abs=0.1)


def test_speckle_of_the_images(phantom):
    """In the GCL-IPL of scans without fluid, against a local mean of 4 layers' worth of columns."""
    relative_sds, axial, lateral = [], [], []
    for image, mask, fluid in zip(phantom.images, phantom.masks, phantom.fluid, strict=True):
        if fluid.any():
            continue
        inside = (mask == 2) & (np.roll(mask, 2, axis=0) == 2) & (np.roll(mask, -2, axis=0) == 2)
        columns = [
            np.where(inside, image, 0)[:, i : i + 25].sum() / inside[:, i : i + 25].sum() for i in range(0, 500, 25)
        ]
        noise = image / np.repeat(columns, 25) - 1
        inside &= np.abs(noise) < 0.8  # shadows and foci
        relative_sds.append(noise[inside].std())
        axial.append(autocorrelation(noise, 0, inside))
        lateral.append(autocorrelation(noise, 1, inside))
    assert len(relative_sds) > 20
    assert 0.11 < np.median(relative_sds) < 0.17
    assert np.mean(axial, axis=0) == pytest.approx([0.80, 0.45, 0.26], abs=0.08)
    assert np.mean(lateral, axis=0) == pytest.approx([0.63, 0.22, 0.03], abs=0.15)
