from pathlib import Path

import pytest

from retseg.bscan import Spacing
from retseg.data.readers.options import ReadOptions, with_options
from retseg.data.readers.volume import ScanVolume
from retseg.geometry.volume_map import BScanDistance

HEADER = Spacing(3.5, 11.0, "file header")


def volume(**fields):
    about = {"numbers": (0, 1), "num_bscans": 2, "spacing": HEADER, "distance": BScanDistance(120.0, "file header")}
    return ScanVolume(name="v", path=Path("v"), format="f", read=lambda number: None, **{**about, **fields})


def test_without_a_word_of_the_user_the_file_is_believed():
    found = with_options(volume(eye="OD", first_bscan="superior"), ReadOptions())
    assert (found.spacing, found.distance.um, found.eye, found.first_bscan) == (HEADER, 120.0, "OD", "superior")
    assert found.notices == ()


def test_the_user_wins_and_a_difference_above_one_per_cent_is_told():
    said = ReadOptions(Spacing(3.53, 12.0, "user"), BScanDistance(240.0, "user"), "OS", "inferior")
    found = with_options(volume(eye="OD", first_bscan="superior", notices=("before",)), said)
    assert found.spacing == Spacing(3.53, 12.0, "user")
    assert (found.distance, found.eye, found.first_bscan) == (BScanDistance(240.0, "user"), "OS", "inferior")
    assert found.notices == (
        "before",
        "lateral pixel size 12 um by user, 11 um by file header; the first is used",
        "distance of B-scans 240 um by user, 120 um by file header; the first is used",
        "eye OS by the user, OD by the file; the user's is used",
        "first B-scan inferior by the user, superior by the file; the user's is used",
    )


@pytest.mark.parametrize(
    ("said", "of_file", "merged"),
    [
        (Spacing(4.0, None, "user"), HEADER, Spacing(4.0, 11.0, "axial by user, lateral by file header")),
        (Spacing(4.0, None, "user"), Spacing(), Spacing(4.0, None, "user")),
        (Spacing(None, None, "user"), HEADER, HEADER),
        (Spacing(4.0, None, "user"), Spacing(3.5, None, "file header"), Spacing(4.0, None, "user")),
    ],
)
def test_each_direction_keeps_who_gave_it(said, of_file, merged):
    assert with_options(volume(spacing=of_file), ReadOptions(said)).spacing == merged


def test_a_single_picture_has_no_distance():
    found = with_options(
        volume(numbers=(0,), num_bscans=1, distance=None), ReadOptions(distance=BScanDistance(9, "user"))
    )
    assert found.distance is None
