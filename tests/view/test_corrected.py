from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retseg.bscan import Array, ScanKey, Spacing
from retseg.data.sources.hdf5 import Hdf5Source
from retseg.data.sources.hdf5_convert import convert
from retseg.data.sources.phantom import PhantomSource
from retseg.errors import InputError
from retseg.geometry.surfaces import paint_mask
from retseg.inference.predicted import Finding, PredictedScan
from retseg.view.corrected import (
    LabelWords,
    check_label_folder,
    corrected_scan,
    label_scan,
    moved,
    read_surfaces,
    write_label,
)
from retseg.view.refusal import Refusal

ROWS, COLUMNS = 40, 5
WORDS = LabelWords("s07", 4, "OD", only_corrected=False)


def flat(columns: int = COLUMNS) -> Array:
    """Eight flat surfaces in rows 4, 8 .. 32."""
    return np.repeat(np.arange(4, 36, 4, dtype=np.float32)[:, None], columns, axis=1)


def scan(rows: Array | None = None) -> PredictedScan:
    surfaces = flat() if rows is None else rows
    image = np.arange(ROWS * COLUMNS, dtype=np.uint8).reshape(ROWS, COLUMNS)
    sure = np.full(COLUMNS, 0.9, np.float32)
    found = (Finding("check", "room", "little room"),)
    return PredictedScan(
        "eye", 0, image, surfaces, np.full_like(surfaces, 0.4), sure, Spacing(4.0, 12.0, "user"), found
    )


def lists(rows: Array) -> list[list[float | None]]:
    return [[None if np.isnan(row) else float(row) for row in one] for one in rows]


def test_surfaces_come_as_they_are_sent():
    rows = flat()
    rows[:, 2] = np.nan
    read = read_surfaces(lists(rows), (ROWS, COLUMNS))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, rows)


def changed(surface: int, column: int, row: float | None) -> list[list[float | None]]:
    content = lists(flat())
    content[surface][column] = row
    return content


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "surfaces: expected lists of numbers and nulls; reload the page"),
        ([["a"] * COLUMNS] * 8, "surfaces: expected lists of numbers and nulls; reload the page"),
        ([[10**400] * COLUMNS] * 8, "surfaces: expected lists of numbers and nulls; reload the page"),
        ([[1.0, 2.0], [3.0]], "surfaces: expected lists of numbers and nulls; reload the page"),
        (lists(flat(4)), "surfaces: (8, 4), expected (8, 5) for this scan; reload the page"),
        (lists(flat()[:7]), "surfaces: (7, 5), expected (8, 5) for this scan; reload the page"),
        (changed(3, 2, None), "surfaces: column 2 knows some and not others; draw all eight there, or none"),
        (changed(0, 1, -1.0), "surfaces: rows -1..32, expected 0..40; undo the last move"),
        (changed(7, 1, float("inf")), "surfaces: rows 4..inf, expected 0..40; undo the last move"),
        (
            changed(3, 1, 11.9),
            "surfaces: INL/OPL lies above IPL/INL in column 1; surfaces never cross: undo the last move",
        ),
    ],
)
def test_surfaces_that_cannot_be_are_refused(content: Any, words: str):
    with pytest.raises(InputError) as refused:
        read_surfaces(content, (ROWS, COLUMNS))
    assert str(refused.value) == words


def test_what_comes_back_as_it_was_is_no_correction():
    rows = flat() + np.float32(0.1234567)
    found = scan(rows)
    assert corrected_scan(found, read_surfaces(lists(rows), (ROWS, COLUMNS))) is found


def test_what_was_moved_is_no_longer_the_networks():
    rows = flat()
    rows[2, 1:3] += 1.5
    found = corrected_scan(scan(), rows)
    np.testing.assert_array_equal(found.surface_rows, rows)
    assert np.argwhere(np.isnan(found.row_sd)).tolist() == [[2, 1], [2, 2]]
    assert np.flatnonzero(np.isnan(found.confidence)).tolist() == [1, 2]
    assert found.verdict == "check"
    assert found.findings[-1].reason == (
        "surfaces corrected by hand in 2 columns: verdict, sd and confidence are of the network's"
    )


def test_a_label_holds_all_columns_or_those_that_were_corrected():
    rows = flat()
    rows[2, 1:3] += 1.5
    everything = label_scan(scan(), rows, WORDS)
    assert everything.surface_rows is not None
    np.testing.assert_array_equal(everything.surface_rows, rows)
    assert (everything.key, everything.eye) == (ScanKey(1, "s07", 4), "OD")
    assert everything.spacing == Spacing(4.0, 12.0, "user")
    some = label_scan(scan(), rows, replace(WORDS, only_corrected=True))
    assert some.surface_rows is not None
    assert np.flatnonzero(np.isfinite(some.surface_rows).all(axis=0)).tolist() == [1, 2]
    assert (paint_mask(some.surface_rows, ROWS)[:, [0, 3, 4]] == -1).all()


def test_a_label_of_nothing_is_refused():
    with pytest.raises(InputError, match=r"^label: no surface was moved, so nothing would be annotated; correct the"):
        label_scan(scan(), flat(), replace(WORDS, only_corrected=True))
    nothing = np.full((8, COLUMNS), np.nan, np.float32)
    with pytest.raises(InputError, match=r"^label: no column has surfaces, so nothing would be annotated"):
        label_scan(scan(nothing), nothing, WORDS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("s07", "label: expected subject, bscan, eye, only_corrected; reload the page"),
        ({"subject": "../x"}, "subject '../x': expected letters, digits, '_', '-' and '.', at most 64; name one"),
        ({"subject": ""}, "subject '': expected letters, digits, '_', '-' and '.', at most 64; name one"),
        ({"subject": "s" * 65}, f"subject {'s' * 65!r}: expected letters, digits"),
        ({"subject": "s", "bscan": -1}, "B-scan -1: expected its number in the volume, from 0"),
        ({"subject": "s", "bscan": None}, "B-scan None: expected its number in the volume, from 0"),
        ({"subject": "s", "bscan": True}, "B-scan True: expected its number in the volume, from 0"),
        ({"subject": "s", "bscan": 1, "eye": "left"}, "eye 'left': expected OD, OS or nothing"),
    ],
)
def test_words_of_a_label_that_cannot_be_are_refused(content: Any, words: str):
    with pytest.raises(InputError) as refused:
        LabelWords.from_json(content)
    assert str(refused.value).startswith(words)


def test_a_label_file_is_whole_and_replaced_only_on_demand(tmp_path: Path):
    label = label_scan(scan(), flat(), WORDS)
    path = write_label(label, tmp_path / "labels", ("a notice",))
    assert [one.name for one in (tmp_path / "labels").iterdir()] == ["s07_b04_g1.h5"]
    source = Hdf5Source(tmp_path / "labels")
    assert source.notices == ("a notice",)
    np.testing.assert_array_equal(source.read(label.key).surface_rows, flat())
    other = label_scan(scan(), flat() + 1, WORDS)
    with pytest.raises(Refusal, match=r"^s07_b04_g1.h5: is there already in .*; replace it, or change subject or B-sc"):
        write_label(other, tmp_path / "labels", ())
    np.testing.assert_array_equal(Hdf5Source(path).read(label.key).surface_rows, flat())
    write_label(other, tmp_path / "labels", (), overwrite=True)
    np.testing.assert_array_equal(Hdf5Source(path).read(label.key).surface_rows, flat() + 1)


def test_a_label_that_cannot_be_written_says_where(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        InputError, match=r"file/labels: cannot be written \(Not a directory\); choose another with --la"
    ):
        write_label(label_scan(scan(), flat(), WORDS), tmp_path / "file" / "labels", ())


def test_a_folder_of_other_scans_is_refused(tmp_path: Path):
    check_label_folder(tmp_path / "new")
    write_label(label_scan(scan(), flat(), WORDS), tmp_path / "labels", ())
    check_label_folder(tmp_path / "labels")
    convert(PhantomSource(num_subjects=1, bscans_per_subject=1, height=64, width=64), tmp_path / "phantom")
    with pytest.raises(InputError, match=r"phantom: holds phantom with exact labels, which train apart; name another"):
        check_label_folder(tmp_path / "phantom")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"--labels .*file: is a file; name a folder"):
        check_label_folder(tmp_path / "file")


def test_a_surface_that_appears_counts_as_moved():
    before = np.full((8, COLUMNS), np.nan, np.float32)
    assert moved(scan(before), flat()).all()
