"""The random phantom's promises: determinism, order, exact surfaces, variety, refusals."""

import pickle

import numpy as np
import pytest

from retseg.anatomy import NUM_SURFACES
from retseg.bscan import ScanKey
from retseg.data.sources import random_appearance
from retseg.data.sources.phantom_anatomy import Grid
from retseg.data.sources.random_anatomy import bump, curves, draw_retina
from retseg.data.sources.random_appearance import render, tissue
from retseg.data.sources.random_noise import MOTTLE_PX, WIDTHS_PX, NoiseBank
from retseg.data.sources.random_phantom import RandomPhantomSource
from retseg.errors import InputError

SMALL = {"num_subjects": 3, "bscans_per_subject": 8, "height": 96, "width": 80}


@pytest.fixture(scope="module")
def source():
    return RandomPhantomSource(**SMALL)


@pytest.fixture(scope="module")
def scans(source):
    return [source.read(key) for key in source.keys]


def test_a_scan_carries_its_key_size_and_spacing(source, scans):
    assert [scan.key for scan in scans] == list(source.keys)
    assert list(source.keys) == sorted(source.keys)
    for scan in scans:
        assert (scan.image.shape, scan.image.dtype) == ((96, 80), np.uint8)
        assert (scan.surface_rows.shape, scan.surface_rows.dtype) == ((NUM_SURFACES, 80), np.float32)
        assert (scan.fluid.shape, scan.fluid.dtype, scan.mask) == ((96, 80), np.bool_, None)
        assert 750 - 1e-6 <= scan.spacing.axial_um * 96 <= 1150 + 1e-6
        assert 3500 - 1e-6 <= scan.spacing.lateral_um * 80 <= 8500 + 1e-6
        assert scan.spacing.source == "phantom"


def test_same_key_same_bytes_in_any_order_from_any_copy(source, scans):
    other = pickle.loads(pickle.dumps(RandomPhantomSource(**SMALL)))
    for scan in reversed(scans):
        again = other.read(scan.key)
        for field in ("image", "surface_rows", "fluid"):
            assert getattr(again, field).tobytes() == getattr(scan, field).tobytes()
    longer = RandomPhantomSource(**{**SMALL, "num_subjects": 9}).read(scans[10].key)
    assert longer.image.tobytes() == scans[10].image.tobytes()


def test_the_typical_pixel_lies_in_the_middle_of_all(source, scans):
    typical = source.typical_spacing
    for name in ("axial_um", "lateral_um"):
        logs = [np.log(getattr(scan.spacing, name) / getattr(typical, name)) for scan in scans]
        assert abs(np.mean(logs)) < 0.15


def test_seeds_and_scans_differ(scans):
    assert len({scan.image.tobytes() for scan in scans}) == len(scans)
    assert RandomPhantomSource(**SMALL, seed=1).read(scans[0].key).image.tobytes() != scans[0].image.tobytes()


def test_surfaces_are_in_order_and_inside_the_image():
    source = RandomPhantomSource(num_subjects=3, bscans_per_subject=40, height=128, width=64)
    for key in source.keys:
        rows = source.read(key).surface_rows
        assert np.isfinite(rows).all()
        assert (np.diff(rows, axis=0) > 0).all()
        assert rows.min() >= 0
        assert rows.max() <= 128


def test_fluid_lies_within_the_retina_in_about_half_of_the_scans():
    source = RandomPhantomSource(num_subjects=3, bscans_per_subject=40, height=128, width=64)
    with_fluid = 0
    for key in source.keys:
        scan = source.read(key)
        rows = np.arange(128)[:, None]
        is_retina = (rows >= scan.surface_rows[0] - 1) & (rows < scan.surface_rows[-1] + 1)
        assert not (scan.fluid & ~is_retina).any()
        with_fluid += scan.fluid.any()
    assert 36 <= with_fluid <= 80


def test_the_depth_coordinate_names_the_tissue_of_every_pixel():
    grid = Grid(32, 6, 30.0, 10.0)
    rows = np.linspace(4, 25, NUM_SURFACES)[:, None] + np.linspace(0, 2, 6)
    kind = tissue(grid, rows).kind
    expected = (np.arange(32)[:, None, None] + 0.5 > rows.T).sum(axis=2)
    np.testing.assert_array_equal(kind, expected)


def test_brightness_steps_at_the_surfaces_that_are_given(monkeypatch):
    """But for the bloom, the mean over columns of a bright layer's edges lies where its surface is."""
    monkeypatch.setattr(random_appearance, "BLOOM_UM", {})
    grid = Grid(256, 256, 4.0, 20.0)
    noise = NoiseBank(0, (256, 256))
    errors = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        retina = draw_retina(rng, grid)
        image = render(rng, grid, retina, noise, 0.0).astype(float)
        top = retina.surfaces_um[0] / grid.axial_um
        columns = np.flatnonzero((top > 8) & (np.diff(retina.surfaces_um[:2], axis=0)[0] > 24))
        if columns.size < 100 or (image[:3] == 255).any():
            continue
        near = np.stack([np.interp(top[c] + np.arange(-6, 7), np.arange(256) + 0.5, image[:, c]) for c in columns])
        profile = near.mean(axis=0)
        errors.append(float(np.argmax(np.diff(profile)) - 5.5))
    assert len(errors) > 10
    assert abs(np.median(errors)) <= 0.5


def test_contrast_is_wider_with_more_spread():
    def levels(spread):
        source = RandomPhantomSource(num_subjects=2, bscans_per_subject=30, height=96, width=64, spread=spread)
        values = []
        for key in source.keys:
            scan = source.read(key)
            upper, lower = scan.surface_rows[6].astype(int) + 1, scan.surface_rows[7].astype(int)
            inside = [scan.image[u:b, c].mean() for c, (u, b) in enumerate(zip(upper, lower, strict=True)) if b > u]
            values.append(np.mean(inside) if inside else np.nan)
        return np.nanstd(values)

    assert levels(2.0) > 1.3 * levels(0.0)


def test_curves_have_unit_sd_and_the_length_asked_for():
    grid = Grid(64, 400, 4.0, 10.0)
    values = curves(np.random.default_rng(0), 400, grid, 400.0)
    np.testing.assert_allclose(values.std(axis=0), 1, atol=0.12)
    near = (values[:, :-4] * values[:, 4:]).mean()
    far = (values[:, :-200] * values[:, 200:]).mean()
    assert near > 0.9
    assert abs(far) < 0.05
    assert bump(grid, 0.0, 100.0).max() == pytest.approx(1, abs=0.01)


def test_noise_has_unit_sd_and_the_grain_of_its_kind():
    bank = NoiseBank(0, (200, 180))
    correlations = []
    for kind in range(len(WIDTHS_PX)):
        noise = np.stack([bank.grain(np.random.default_rng(seed), kind) for seed in range(20)])
        assert noise.std() == pytest.approx(1, abs=0.05)
        correlations.append((noise[:, 1:] * noise[:, :-1]).mean())
    assert correlations[0] == pytest.approx(0, abs=0.02)
    assert correlations[3] == pytest.approx(np.exp(-1 / (4 * 1.5**2)), abs=0.05)
    for kind in range(len(MOTTLE_PX)):
        assert bank.mottle(np.random.default_rng(0), kind).shape == (200, 180)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_subjects": 0}, "num_subjects"),
        ({"height": 8}, "height is 8, expected 64 to 2048"),
        ({"width": 5000}, "width"),
        ({"spread": -1}, "spread"),
        ({"seed": 1.5}, "seed is 1.5, expected a whole number"),
    ],
)
def test_options_out_of_range_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        RandomPhantomSource(**{**SMALL, **options})


@pytest.mark.parametrize(
    "key", [ScanKey(2, "s001", 0), ScanKey(1, "s01", 0), ScanKey(1, "s004", 0), ScanKey(1, "s001", 8)]
)
def test_unknown_scans_are_refused(source, key):
    with pytest.raises(InputError, match="no scan"):
        source.read(key)
