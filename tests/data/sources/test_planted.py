"""Planted evidence: nothing but the planted pixels depends on the coins, and `evidence` is exactly those pixels."""

import pickle

import numpy as np
import pytest

from retseg.bscan import ScanKey
from retseg.data.sources.phantom import PhantomSource
from retseg.data.sources.planted import PlantedCornerSource, PlantedLineSource
from retseg.errors import InputError
from retseg.geometry.surfaces import paint_mask

ISE, OS_RPE = 6, 7
PHANTOM = PhantomSource(num_subjects=3, bscans_per_subject=4, height=108, width=90)
SOURCES = {"line": PlantedLineSource, "corner": PlantedCornerSource}
SMALL = {"line": {"offset_px": 9, "thickness_px": 2}, "corner": {"mark_px": (10, 16)}}
both = pytest.mark.parametrize("kind", ["line", "corner"])


def make(kind, **options):
    return SOURCES[kind](PHANTOM, **{**SMALL[kind], **options})


def mask_of(scan):
    return paint_mask(scan.surface_rows, scan.shape[0])


@both
def test_outside_the_evidence_every_pixel_is_the_phantoms(kind):
    source = make(kind)
    for key in source.keys:
        plain, scan, evidence = PHANTOM.read(key), source.read(key), source.evidence(key, ISE)
        if kind == "corner":
            evidence = evidence | source.decoy(key)
        assert np.array_equal(scan.image[~evidence], plain.image[~evidence])
        assert (scan.image[evidence] > plain.image[evidence]).all()
        assert scan.image.dtype == plain.image.dtype


@both
def test_without_its_evidence_a_scan_does_not_depend_on_the_coins(kind):
    """The ablated twin under two draws of the coins: the same pixels, other labels. So no network beats chance."""
    one, other = (make(kind, strength_gray=0, seed=seed) for seed in (0, 1))
    differs = []
    for key in one.keys:
        first, second = one.read(key), other.read(key)
        assert first.image.tobytes() == second.image.tobytes() == PHANTOM.read(key).image.tobytes()
        differs.append((mask_of(first) != mask_of(second)).any())
    assert np.mean(differs) > 0.25


@both
def test_flipped_coins_swap_the_classes_and_the_planted_pixels(kind):
    source, flipped = make(kind), make(kind, is_flipped=True)
    for key in source.keys:
        mask, other = mask_of(source.read(key)), mask_of(flipped.read(key))
        assert np.array_equal(mask == ISE, other == OS_RPE)
        assert np.array_equal(mask == OS_RPE, other == ISE)
        hidden = source.evidence(key, OS_RPE)
        assert np.array_equal(hidden, flipped.evidence(key, ISE))
        assert (flipped.read(key).image[hidden] > source.read(key).image[hidden]).all()


@both
def test_coins_are_fair_and_independent_of_the_eye_and_the_place(kind):
    """Over 800 scans: share of ISE, and its correlation with the subject's parity, the B-scan, and the neighbour."""
    many = PhantomSource(num_subjects=40, bscans_per_subject=20, height=108, width=60)
    source = SOURCES[kind](many, **SMALL[kind] | ({"mark_px": (10, 15)} if kind == "corner" else {}))
    coin = source._coin if kind == "corner" else lambda key: source._coins(key)[30]
    shown = np.array([coin(key) for key in source.keys], float)
    assert abs(shown.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(shown))
    for known in (
        [int(key.subject[1:]) % 2 for key in source.keys],
        [key.bscan for key in source.keys],
        np.roll(shown, 1),
    ):
        assert abs(np.corrcoef(shown, known)[0, 1]) < 4 / np.sqrt(len(shown))


@both
def test_labels_are_the_phantoms_but_for_the_band(kind):
    source = make(kind)
    for key in source.keys:
        plain, scan = mask_of(PHANTOM.read(key)), mask_of(source.read(key))
        band = np.isin(plain, (ISE, OS_RPE))
        assert np.array_equal(np.isin(scan, (ISE, OS_RPE)), band)
        assert np.array_equal(scan[~band], plain[~band])
        rows = source.read(key).surface_rows
        assert (np.diff(rows, axis=0) >= 0).all()


def test_the_line_lies_at_its_distance_below_the_columns_of_ise_and_nowhere_else():
    source = make("line")
    seen = set()
    for key in source.keys:
        scan = source.read(key)
        mask, shown, hidden = mask_of(scan), source.evidence(key, ISE), source.evidence(key, OS_RPE)
        is_ise = (mask == ISE).any(axis=0)
        seen |= set(is_ise.tolist())
        assert np.array_equal(is_ise, ~(mask == OS_RPE).any(axis=0))
        assert np.array_equal(shown.any(axis=0), is_ise)
        assert np.array_equal(hidden.any(axis=0), ~is_ise)
        assert ((shown | hidden).sum(axis=0) == 2).all()
        below_bm = (shown | hidden).argmax(axis=0) - np.rint(scan.surface_rows[7])
        assert (below_bm == 9).all()
    assert seen == {True, False}


def test_segments_are_as_wide_as_promised():
    source = PlantedLineSource(PhantomSource(num_subjects=2, bscans_per_subject=4))
    for key in source.keys:
        changes = np.flatnonzero(np.diff(source._coins(key).astype(int))) + 1
        assert (np.diff(np.r_[0, changes]) >= 40).all()


def test_the_default_line_is_20_px_below_bm_and_inside_every_scan():
    source = PlantedLineSource(PhantomSource(num_subjects=3, bscans_per_subject=2))
    for key in source.keys:
        line = source.evidence(key, ISE) | source.evidence(key, OS_RPE)
        assert (line.sum(axis=0) == 3).all()
        assert (line.argmax(axis=0) == np.rint(source.read(key).surface_rows[7]) + 20).all()


def test_the_corner_is_marked_in_the_scans_of_ise_alone():
    source = make("corner")
    corner = np.zeros((108, 90), bool)
    corner[:10, :16] = True
    marked = []
    for key in source.keys:
        classes = set(np.unique(mask_of(source.read(key)))) & {ISE, OS_RPE}
        marked.append(classes == {ISE})
        assert classes == {ISE if source.evidence(key, ISE).any() else OS_RPE}
        wanted = ISE if marked[-1] else OS_RPE
        assert np.array_equal(source.evidence(key, wanted), corner)
        assert not source.evidence(key, ISE + OS_RPE - wanted).any()
    assert set(marked) == {True, False}


def test_the_decoy_is_the_mark_in_the_opposite_corner_whatever_the_label():
    """Its coin is fair, independent of the label's, and not turned over with it."""
    many = PhantomSource(num_subjects=40, bscans_per_subject=20, height=108, width=60)
    source, flipped = (PlantedCornerSource(many, (10, 15), is_flipped=flip) for flip in (False, True))
    shown = np.array([source._coin(key) for key in source.keys])
    decoys = [source.decoy(key) for key in source.keys]
    there = np.array([decoy.any() for decoy in decoys])
    assert all(np.array_equal(decoy, source._corner()[::-1, ::-1]) for decoy in decoys if decoy.any())
    assert abs(there.mean() - 0.5) < 4 * 0.5 / np.sqrt(800)
    assert abs(np.corrcoef(shown, there)[0, 1]) < 4 / np.sqrt(800)
    assert not any((decoy & source._corner()).any() for decoy in decoys)
    assert all(np.array_equal(flipped.decoy(key), decoy) for key, decoy in zip(source.keys, decoys, strict=True))


@both
def test_a_scan_depends_on_its_key_alone(kind):
    source, copy = make(kind), pickle.loads(pickle.dumps(make(kind)))
    for key in reversed(source.keys):
        assert source.read(key).image.tobytes() == copy.read(key).image.tobytes()
        assert np.array_equal(source.evidence(key, ISE), copy.evidence(key, ISE))


@both
def test_a_source_says_that_its_labels_are_planted(kind):
    assert (make(kind).label_origin, make(kind).name) == ("exact", f"phantom with a planted {kind}")
    assert "coins, not anatomy" in make(kind).notices[0]
    assert "ablated" in make(kind, strength_gray=0).notices[0]
    assert make(kind).keys == PHANTOM.keys


@both
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength_gray": -1.0}, "strength_gray is -1.0, expected 0"),
        ({"strength_gray": 256.0}, "strength_gray is 256.0, expected 0"),
        ({"seed": -1}, "seed is -1, expected 0"),
    ],
)
def test_wrong_options_are_refused(kind, options, message):
    with pytest.raises(InputError, match=message):
        make(kind, **options)


@pytest.mark.parametrize("options", [{"offset_px": 0}, {"thickness_px": 0}, {"offset_px": 11}])
def test_a_line_that_has_no_room_is_refused(options):
    assert make("line", offset_px=10).offset_px == 10
    with pytest.raises(InputError, match="12 together, the rows that 108 leave below BM; lower offset_px"):
        make("line", **options)


@pytest.mark.parametrize("mark_px", [(10,), (0, 16), (28, 16), (10, 23)])
def test_a_mark_that_is_no_corner_is_refused(mark_px):
    with pytest.raises(InputError, match=r"1 to a quarter of \(108, 90\)"):
        make("corner", mark_px=mark_px)


@both
def test_wrong_keys_classes_and_two_graders_are_refused(kind):
    source = make(kind)
    with pytest.raises(InputError, match="s04_b00_g1"):
        source.read(ScanKey(1, "s04", 0))
    with pytest.raises(InputError, match="no scan s04_b00_g1; "):
        source.evidence(ScanKey(1, "s04", 0), ISE)
    with pytest.raises(InputError, match=r"no evidence is planted for class 5; ask for 6 \(ISE\) and 7 \(OS-RPE\)"):
        source.evidence(source.keys[0], 5)
    with pytest.raises(InputError, match="set num_graders=1"):
        SOURCES[kind](PhantomSource(num_graders=2))
