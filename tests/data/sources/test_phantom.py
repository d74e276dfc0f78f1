"""The phantom against figures measured on the 110 annotated Duke DME scans, and against its own promises."""

import pickle
import time

import numpy as np
import pytest

from retseg.anatomy import LAYER_NAMES
from retseg.bscan import ScanKey
from retseg.data.sources.phantom import PhantomSource
from retseg.data.sources.phantom_anatomy import Grid, draw_eye, healthy_thickness_um, moved_within_bounds
from retseg.data.sources.phantom_appearance import (
    SPECKLE_AXIAL,
    SPECKLE_LATERAL,
    coverage,
    paint_brightness,
    speckle,
)
from retseg.data.sources.phantom_lesions import Cyst, fluid_extents_um, swollen_thickness_um
from retseg.errors import InputError
from retseg.geometry.surfaces import paint_mask

AXIAL_UM = 3.87
SMALL = {"num_subjects": 2, "bscans_per_subject": 3, "height": 64, "width": 96}


class PhantomSet:
    """The 110 scans of the default phantom, stacked, with their masks."""

    def __init__(self):
        start = time.process_time()
        self.source = PhantomSource()
        self.scans = [self.source.read(key) for key in self.source.keys]
        self.cpu_seconds = time.process_time() - start
        self.images = np.stack([scan.image for scan in self.scans])  # (110, H, W)
        self.rows = np.stack([scan.surface_rows for scan in self.scans])  # (110, 8, W)
        self.fluid = np.stack([scan.fluid for scan in self.scans])
        self.masks = np.stack([paint_mask(rows, 216) for rows in self.rows])
        depth = np.arange(216)[:, None]
        self.is_vitreous = depth < self.rows[:, :1] - 4
        self.below_um = (depth - self.rows[:, 7:]) * AXIAL_UM


@pytest.fixture(scope="module")
def phantom():
    return PhantomSet()


# --- the source as a source ---


def test_keys_are_the_sorted_scans_of_the_default_set():
    keys = PhantomSource().keys
    assert len(keys) == 110
    assert list(keys) == sorted(keys)
    assert (keys[0].name, keys[-1].name) == ("s01_b00_g1", "s10_b10_g1")
    assert len(PhantomSource(num_graders=2).keys) == 220


def test_a_scan_carries_its_key_size_spacing_and_eye():
    source = PhantomSource()
    scan = source.read(source.keys[5])
    assert (scan.key, scan.image.shape, scan.image.dtype) == (source.keys[5], (216, 500), np.uint8)
    assert (scan.surface_rows.shape, scan.surface_rows.dtype) == ((8, 500), np.float32)
    assert (scan.fluid.shape, scan.fluid.dtype, scan.mask) == ((216, 500), np.bool_, None)
    assert scan.spacing.axial_um == pytest.approx(3.87)
    assert scan.spacing.lateral_um == pytest.approx(11.33)
    assert (source.name, source.label_origin, scan.spacing.source) == ("phantom", "exact", "phantom")


def test_both_eyes_occur_and_a_subject_keeps_one():
    source = PhantomSource(**SMALL)
    eyes = [source.read(key).eye for key in source.keys]
    assert len(set(eyes[:3])) == len(set(eyes[3:])) == 1
    assert set(eyes) == {"OD", "OS"}


def test_fewer_pixels_keep_the_field_of_view_and_given_spacing_sets_it():
    small = PhantomSource(height=108, width=100).spacing
    assert (small.axial_um, small.lateral_um) == (pytest.approx(2 * 3.87), pytest.approx(5 * 11.33))
    full = PhantomSource(height=496, width=768, spacing_um=(3.87, 11.33)).spacing
    assert (full.axial_um, full.lateral_um) == (3.87, 11.33)


def test_same_key_same_bytes_in_any_order_from_any_copy():
    source = PhantomSource(**SMALL)
    forwards = {key: source.read(key) for key in source.keys}
    other = pickle.loads(pickle.dumps(PhantomSource(**SMALL)))
    for key in reversed(source.keys):
        again = other.read(key)
        for field in ("image", "surface_rows", "fluid"):
            assert getattr(again, field).tobytes() == getattr(forwards[key], field).tobytes()


def test_a_scan_does_not_depend_on_how_many_subjects_there_are():
    key = ScanKey(1, "s02", 1)
    more = PhantomSource(**{**SMALL, "num_subjects": 5}).read(key)
    assert np.array_equal(PhantomSource(**SMALL).read(key).image, more.image)


@pytest.mark.parametrize(
    ("options", "key"),
    [({"seed": 1}, ScanKey(1, "s01", 0)), ({}, ScanKey(1, "s02", 0)), ({}, ScanKey(1, "s01", 1))],
    ids=["seed", "subject", "bscan"],
)
def test_another_seed_subject_or_bscan_is_another_scan(options, key):
    first = PhantomSource(**SMALL).read(ScanKey(1, "s01", 0))
    second = PhantomSource(**SMALL, **options).read(key)
    assert (first.image != second.image).mean() > 0.5
    assert np.abs(first.surface_rows - second.surface_rows).max() > 0.5


def test_reading_leaves_the_global_random_state_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is what is tested
    source = PhantomSource(**SMALL)
    source.read(source.keys[0])
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_subjects": 0}, "phantom: num_subjects is 0, expected 1 to 99"),
        ({"bscans_per_subject": -1}, "phantom: bscans_per_subject is -1, expected 1 to 100"),
        ({"height": 31}, "phantom: height is 31, expected 32 to 4096"),
        ({"width": 15}, "phantom: width is 15, expected 16 to 4096"),
        ({"seed": -3}, "phantom: seed is -3, expected 0 to"),
        ({"seed": 1.5}, "phantom: seed is 1.5, expected a whole number"),
        ({"num_graders": 3}, "phantom: num_graders is 3, expected 1 to 2"),
        ({"spacing_um": (3.87,)}, "spacing_um is [3.87], expected two positive sizes, axial, lateral"),
        ({"spacing_um": (3.87, float("nan"))}, "expected two positive sizes"),
        ({"bscan_spacing_um": float("nan")}, "bscan_spacing_um is nan"),
        ({"height": 100, "spacing_um": (3.87, 11.33)}, "100 rows of 3.87 um are 387 um, a retina needs 750"),
    ],
)
def test_wrong_options_are_refused_in_one_line(options, message):
    with pytest.raises(InputError) as refusal:
        PhantomSource(**options)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "key",
    [
        ScanKey(1, "s03", 0),
        ScanKey(1, "s1", 0),
        ScanKey(1, "x01", 0),
        ScanKey(1, "", 0),
        ScanKey(1, "s01", 3),
        ScanKey(1, "s01", -1),
        ScanKey(2, "s01", 0),
        ScanKey(0, "s01", 0),
    ],
)
def test_unknown_keys_are_refused(key):
    with pytest.raises(InputError, match=r"no scan .*; it has subjects s01\.\.s02, B-scans 0\.\.2, graders 1\.\.1"):
        PhantomSource(**SMALL).read(key)


# --- surfaces ---


def test_surfaces_are_in_strict_order_and_in_the_image(phantom):
    assert np.isfinite(phantom.rows).all()
    assert np.diff(phantom.rows, axis=1).min() > 0.5
    assert phantom.rows.min() > 2
    assert phantom.rows.max() < 216 - 10


@pytest.mark.parametrize(
    "options", [{"height": 32, "width": 16}, {"height": 300, "width": 40, "spacing_um": (2.6, 99)}]
)
def test_surfaces_are_in_order_at_other_sizes(options):
    source = PhantomSource(num_subjects=4, bscans_per_subject=5, num_graders=2, **options)
    for key in source.keys:
        rows = source.read(key).surface_rows
        assert np.diff(rows, axis=0).min() > 0
        assert rows.min() > 0
        assert rows.max() < options["height"]


def test_whatever_moves_surfaces_their_order_is_kept():
    surfaces = np.array([[10.0, 10], [12, 11], [20, 30]])
    moved = moved_within_bounds(surfaces, np.array([[1e6, 1e6], [-1e6, 0.0], [-1e6, 0]]))
    # Bounds are 0.4 of the thinner neighbour: 0.8, 0.8, 3.2 in the first column, 0.4 in the second.
    assert moved == pytest.approx(np.array([[10.8, 10.4], [11.2, 11.0], [16.8, 30.0]]))


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


def test_mean_thickness_of_each_layer(phantom):
    """Duke's means within 10 %, and its 5th and 95th percentiles within 15 % or 1 px, fluid included."""
    mean_px = [10.1, 19.1, 9.5, 8.2, 28.1, 8.1, 6.7]
    ranges_px = [(5, 18), (10, 30), (5, 17), (4, 12), (15, 60), (6, 10), (6, 8)]
    thickness = np.diff(phantom.rows, axis=1)
    assert thickness.mean(axis=(0, 2)) == pytest.approx(mean_px, rel=0.1), LAYER_NAMES
    assert thickness.sum(axis=1).mean() == pytest.approx(90, rel=0.05)
    for layer, (low, high) in enumerate(ranges_px):
        found = np.percentile(thickness[:, layer], [5, 95])
        assert found == pytest.approx([low, high], rel=0.15, abs=1), LAYER_NAMES[layer]


def test_tilt_and_bowl_of_the_lower_boundary(phantom):
    place = (np.arange(500) - 249.5) / 500
    fits = np.array([np.polyfit(place, rows[7], 2) for rows in phantom.rows])
    bowl, tilt = -fits[:, 0] / 4, fits[:, 1]
    assert tilt.std() == pytest.approx(25, rel=0.2)
    assert (bowl.mean(), bowl.std()) == (pytest.approx(23, rel=0.15), pytest.approx(14, rel=0.2))


def test_column_to_column_steps_without_the_domes_over_cysts(phantom):
    """A robust sd (median of absolute steps): Duke's .22 .33 .33 .5 .5 .16 .16 .16 within 0.1 px."""
    steps = np.abs(np.diff(phantom.rows, axis=2))
    robust_sd = np.median(steps, axis=(0, 2)) / 0.6745
    assert robust_sd == pytest.approx([0.22, 0.33, 0.33, 0.5, 0.5, 0.16, 0.16, 0.16], abs=0.1)


@pytest.mark.parametrize("subject", [0, 1, 7])
def test_foveal_thickness_is_exact_in_the_middle_and_the_pit_is_gone_far_off(subject):
    eye = draw_eye(seed=0, subject=subject)
    at_fovea = healthy_thickness_um(eye, np.array([eye.fovea_x_um]), 0.0)
    assert at_fovea.sum() == pytest.approx(eye.fovea_thickness_um)
    assert (at_fovea > 5).all()
    gcl_near, gcl_far = (healthy_thickness_um(eye, np.array([eye.fovea_x_um]), y)[1, 0] for y in (0.0, 2460.0))
    assert gcl_near < 0.7 * gcl_far


def test_foveal_thickness_spans_the_range_over_ten_subjects():
    found = np.sort([draw_eye(seed=0, subject=subject).fovea_thickness_um for subject in range(10)])
    assert found[0] >= 193
    assert found[-1] <= 392
    assert found[0] < 215
    assert found[-1] > 360


# --- lesions ---


def test_share_of_scans_with_fluid(phantom):
    has_fluid = phantom.fluid.any(axis=(1, 2))
    assert 73 <= has_fluid.sum() <= 85  # 78 of 110
    assert phantom.fluid.mean() == pytest.approx(0.029, rel=0.25)


def test_fluid_lies_in_the_retina_mostly_in_onl_then_inl(phantom):
    classes = phantom.masks[phantom.fluid]
    assert (classes > 0).all()
    share = np.bincount(classes, minlength=8) / classes.size  # of pixels: cysts of the ONL are the larger ones
    assert 0.6 < share[5] < 0.95
    assert 0.03 < share[3] < 0.25
    assert share[[1, 6, 7]].max() < 0.01


def test_a_cyst_pushes_its_layer_apart_and_lies_within_it():
    grid = Grid(height=216, width=101, axial_um=4, lateral_um=10)
    healthy = np.full((7, 101), 40.0)
    cyst = Cyst(layer=4, x_um=0, width_um=200, height_um=150, depth_share=0.5)
    thickness = swollen_thickness_um(np.random.default_rng(0), grid, healthy, (cyst,))
    assert (thickness > 0).all()
    assert thickness[4, 50] > 150
    assert thickness[5:] == pytest.approx(healthy[5:])
    surfaces = np.concatenate([np.zeros((1, 101)), thickness.cumsum(axis=0)])
    upper, lower = fluid_extents_um(np.random.default_rng(0), grid, surfaces, (cyst, cyst))
    assert ((upper >= surfaces[4]) & (lower <= surfaces[5])).all()
    assert (lower[0] <= upper[1] + 1e-9).all()  # two at one place stack, and do not overlap
    assert (lower - upper)[:, :39].max() == 0  # 100 um to either side and no farther


# --- appearance ---


def test_brightness_of_each_layer(phantom):
    """Duke's means within 8 %, and sd within a layer of one image within 20 %, fluid left out."""
    means, sds = [135, 97, 72, 82, 53, 121, 154], [25, 16, 14, 19, 13, 29, 28]
    for layer in range(7):
        inside = (phantom.masks == layer + 1) & ~phantom.fluid
        assert phantom.images[inside].mean() == pytest.approx(means[layer], rel=0.08), LAYER_NAMES[layer]
        within = np.mean([image[where].std() for image, where in zip(phantom.images, inside, strict=True)])
        assert within == pytest.approx(sds[layer], rel=0.2), LAYER_NAMES[layer]


def test_vitreous_choroid_and_fluid(phantom):
    vitreous = phantom.images[phantom.is_vitreous]
    assert vitreous.mean() == pytest.approx(24, rel=0.1)
    assert vitreous.std() == pytest.approx(13, rel=0.15)
    assert (vitreous == 0).mean() == pytest.approx(0.14, abs=0.01)
    near = (phantom.below_um > 0) & (phantom.below_um < 60 * AXIAL_UM)
    assert phantom.images[near].mean() == pytest.approx(61, rel=0.1)
    assert phantom.images[phantom.below_um >= 60 * AXIAL_UM].mean() == pytest.approx(33, rel=0.15)
    assert phantom.images[phantom.fluid].mean() == pytest.approx(2 * 24, rel=0.1)


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


def test_110_scans_take_under_30_seconds(phantom):
    assert phantom.cpu_seconds < 30


# --- the second grader ---


def test_the_second_grader_sees_the_same_pixels_a_little_differently():
    source = PhantomSource(num_subjects=2, bscans_per_subject=5, num_graders=2)
    distances = []
    for key in source.keys[:10]:
        first, second = source.read(key), source.read(ScanKey(2, key.subject, key.bscan))
        assert np.array_equal(first.image, second.image)
        assert np.diff(second.surface_rows, axis=0).min() > 0
        assert not (second.fluid & ~first.fluid).any()
        distances.append(np.abs(first.surface_rows - second.surface_rows).mean())
    assert 0.4 < np.mean(distances) < 1.5


def test_grader_one_is_the_truth_whether_or_not_there_is_a_second():
    key = ScanKey(1, "s01", 1)
    alone, beside = PhantomSource(**SMALL).read(key), PhantomSource(**SMALL, num_graders=2).read(key)
    assert np.array_equal(alone.surface_rows, beside.surface_rows)
