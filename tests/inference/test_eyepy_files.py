"""Volumes read back by eyepy: heights, scales and thickness are those that were written."""

import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retseg.anatomy import SURFACE_NAMES
from retseg.bscan import Spacing
from retseg.errors import InputError
from retseg.geometry.thickness import mean_thickness, thickness_profile
from retseg.geometry.volume_map import BScanDistance
from retseg.inference.eyepy_files import write_eyepy
from retseg.inference.predicted import PredictedScan, PredictedVolume
from tests.inference.drawn import draw, surfaces

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of eyepy's own dependencies
    eyepy: Any = pytest.importorskip("eyepy", reason="of the extra `vendor`")

UM = Spacing(4.0, 12.0, "file header")
HEIGHT, WIDTH = 40, 50


def volume(numbers=(0, 1, 2), num_bscans: int = 3, spacing: Spacing = UM, **given) -> PredictedVolume:
    """B-scans of 50 columns, 60 um apart, the retina thicker from scan to scan, unknown in the first column."""
    scans = []
    for number in numbers:
        rows = surfaces(WIDTH, 5.25, 2.0 + 0.5 * number, 0.05)
        image = draw(rows, HEIGHT)
        rows[:, 0] = np.nan
        scans.append(PredictedScan(f"eye_b{number}", number, image, rows, 0 * rows, 0 * rows[0], spacing))
    fields = {"distance": BScanDistance(60.0, "user"), "eye": "OS", "first_bscan": "inferior"} | given
    return PredictedVolume("eye", Path("eye.mat"), tuple(scans), num_bscans, spacing, **fields)


def loaded(made: PredictedVolume, folder: Path) -> tuple[Any, list[str]]:
    """What eyepy reads of the file, and the notices of writing it."""
    notices = write_eyepy(made, lambda ending: folder / f"eye{ending}")
    return eyepy.EyeVolume.load(folder / "eye.eye"), notices


def test_where_the_clock_was_never_set_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("time.time", lambda: 86400.0)
    with pytest.raises(InputError, match=r"no \.eye: the clock says 1970, .* set the clock"):
        loaded(volume(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_images_heights_scales_and_eye_come_back(tmp_path: Path):
    made = volume()
    found, notices = loaded(made, tmp_path)
    assert notices == []
    assert list(found.layers) == list(SURFACE_NAMES)
    for scan in made.scans:
        np.testing.assert_array_equal(found.data[scan.number], scan.image)
        for name, rows in zip(SURFACE_NAMES, scan.surface_rows, strict=True):
            np.testing.assert_array_equal(found.layers[name].data[scan.number], rows)
            np.testing.assert_array_equal(found[scan.number].layers[name].data, rows)
    assert found.scale == pytest.approx((0.06, 0.004, 0.012))
    assert (found.scale_unit, found.laterality) == ("mm", "OS")
    assert found.meta["retseg_scale_source"] == "file header"


def test_its_thickness_is_ours(tmp_path: Path):
    made = volume()
    found, _ = loaded(made, tmp_path)
    thickness_um = (found.layers["BM"].data - found.layers["ILM"].data) * found.scale_y * 1e3
    for scan in made.scans:
        profile = thickness_profile(scan.surface_rows, scan.spacing)
        np.testing.assert_allclose(thickness_um[scan.number], profile.of("total retina"), rtol=1e-6)
        assert np.nanmean(thickness_um[scan.number]) == pytest.approx(mean_thickness(profile)[0][7])
        assert profile.of("total retina")[5] == pytest.approx(7 * (2 + 0.5 * scan.number) * 4)


def test_missing_bscans_keep_their_places(tmp_path: Path):
    made = volume((1, 4), 6)
    found, notices = loaded(made, tmp_path)
    assert notices == [".eye: 4 of 6 B-scans were not at hand, black and without layers there"]
    assert found.shape == (6, HEIGHT, WIDTH)
    known = np.isfinite(found.layers["BM"].data).any(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(known), [1, 4])
    np.testing.assert_array_equal(found.layers["BM"].data[4], made.scans[1].surface_rows[7])
    places = [found.meta["bscan_meta"][number]["start_pos"][1] for number in range(6)]
    # eyepy counts from the top of the picture, and its first B-scan is the lowest.
    np.testing.assert_allclose(places, [0.3, 0.24, 0.18, 0.12, 0.06, 0.0], atol=1e-12)
    assert not found.data[[0, 2, 3, 5]].any()


@pytest.mark.parametrize(
    ("first_bscan", "order"), [("inferior", [0, 1, 2]), ("superior", [2, 1, 0]), (None, [0, 1, 2])]
)
def test_its_first_bscan_is_the_inferior_one(tmp_path: Path, first_bscan, order):
    made = volume(first_bscan=first_bscan)
    found, _ = loaded(made, tmp_path)
    assert [meta["retseg_bscan"] for meta in found.meta["bscan_meta"]] == order
    for place, number in enumerate(order):
        np.testing.assert_array_equal(found.data[place], made.scans[number].image)
        np.testing.assert_array_equal(found.layers["BM"].data[place], made.scans[number].surface_rows[7])


def test_its_picture_from_the_front_is_on_square_pixels_with_bscans_where_they_are(tmp_path: Path):
    found, _ = loaded(volume(), tmp_path)
    front = found.localizer
    assert front.shape == (11, WIDTH)  # 2 distances of 60 um at 12 um a pixel
    assert (front.scale_x, front.scale_y, front.laterality) == (0.012, 0.012, "OS")
    means = found.data.mean(axis=1)
    np.testing.assert_allclose(front.data[[0, 5, 10]], means[::-1], rtol=1e-6)
    # Row 1 of the projection, whose first row is the last B-scan, is row 5 of the picture.
    np.testing.assert_allclose(found.localizer_transform.params @ [7, 1, 1], [7, 5, 1])


@pytest.mark.parametrize("given", [{"spacing": Spacing(None, 12.0, "user")}, {"distance": None}])
def test_an_unknown_size_gives_pixels(tmp_path: Path, given):
    found, notices = loaded(volume(**given), tmp_path)
    assert notices == [".eye: all sizes are 1 px: not all of rows, columns and B-scans have a known size"]
    assert (found.scale, found.scale_unit) == ((1, 1, 1), "px")


def test_a_single_picture_is_a_volume_of_one(tmp_path: Path):
    found, _ = loaded(volume((0,), 1, is_raster=False, eye=None), tmp_path)
    assert found.shape == (1, HEIGHT, WIDTH)
    assert found.laterality == "unknown"


def test_no_box_no_file(tmp_path: Path):
    made = volume()
    odd = replace(made.scans[0], image=made.scans[0].image[:-1])
    for other, why in (
        (replace(made, scans=(odd, *made.scans[1:])), "the B-scans differ in size"),
        (volume(is_raster=False), "the B-scans are not parallel, so they are no box"),
    ):
        assert write_eyepy(other, lambda ending: tmp_path / f"eye{ending}") == [f"no .eye: {why}"]
    assert not list(tmp_path.iterdir())


def test_without_eyepy_the_extra_is_named(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "eyepy", None)
    with pytest.raises(InputError, match=r"eyepy: not installed.*pip install 'retseg\[vendor\]'"):
        write_eyepy(volume(), lambda ending: tmp_path / f"eye{ending}")
