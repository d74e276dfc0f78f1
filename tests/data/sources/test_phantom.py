"""The phantom's promises as a source: keys, sizes, determinism, refusals, a second grader, speed."""

import pickle

import numpy as np
import pytest

from retseg.bscan import ScanKey
from retseg.data.sources.phantom import PhantomSource
from retseg.errors import InputError

SMALL = {"num_subjects": 2, "bscans_per_subject": 3, "height": 64, "width": 96}


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


def test_110_scans_take_under_30_seconds(phantom):
    assert phantom.cpu_seconds < 30
