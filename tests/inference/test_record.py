import os
from pathlib import Path

import numpy as np

from retseg.bscan import Spacing
from retseg.data.readers.volume import RawBScan, ScanVolume
from retseg.inference.predicted import Finding, PredictedScan
from retseg.inference.record import (
    VolumeRecord,
    load_record,
    recorded_names,
    relative,
    save_record,
    scan_row,
    source_stamp,
)
from tests.inference.drawn import draw, surfaces


def done(spacing: Spacing, *findings: Finding) -> tuple[ScanVolume, PredictedScan]:
    rows = surfaces(6)
    rows[:, 0] = np.nan
    scan = PredictedScan(
        "s1", 0, draw(surfaces(6), 40), rows, np.where(np.isfinite(rows), 0.5, np.nan),
        np.where(np.isfinite(rows[0]), 0.75, np.nan), spacing, findings,
    )  # fmt: skip
    return ScanVolume("f/s1", Path("f/s1.png"), "PNG", (0,), lambda _: RawBScan(scan.image), 1, spacing), scan


def test_a_row_tells_thickness_in_um_and_whose_scale_it_is():
    row = scan_row(*done(Spacing(4.0, 12.0, "user")), 0.5)
    assert row["NFL (um)"] == 12
    assert row["total retina (um)"] == 84
    assert row["scale_source"] == "user"
    assert (row["columns"], row["columns_with_retina"], row["confidence"], row["mean_row_sd_px"]) == (6, 5, 0.75, 0.5)


def test_an_unknown_scale_gives_pixels_and_no_microns():
    row = scan_row(*done(Spacing()), 0.5)
    assert row["NFL (px)"] == 3
    assert not [name for name in row if "(um)" in name]
    assert row["axial_um"] is None


def test_a_row_tells_the_verdict_with_its_reasons():
    dark, cut = Finding("check", "contrast", "contrast 1.2, expected 2"), Finding("fail", "cut", "retina is cut")
    row = scan_row(*done(Spacing(), dark, cut), 0.5)
    assert row["verdict"] == "fail"
    assert row["reasons"] == "check: contrast 1.2, expected 2; fail: retina is cut"
    assert row["rules"] == "contrast cut"


def record(stamp: str) -> VolumeRecord:
    return VolumeRecord("f/s1", stamp, ({"scan": "s1", "verdict": "pass"},), ("f/s1_mask.png",), ("a notice",))


def test_a_record_comes_back_as_it_was(tmp_path: Path):
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "s1_mask.png").touch()
    save_record(tmp_path, record("abc"))
    assert load_record(tmp_path, "f/s1", "abc") == record("abc")


def test_what_is_not_whole_is_not_done(tmp_path: Path):
    save_record(tmp_path, record("abc"))
    assert load_record(tmp_path, "f/s1", "abc") is None, "a file of it is missing"
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "s1_mask.png").touch()
    assert load_record(tmp_path, "f/s1", "abd") is None, "of another source"
    assert load_record(tmp_path, "f/s2", "abc") is None
    path = tmp_path / "records" / "f" / "s1.json"
    path.write_text(path.read_text()[:-9])
    assert load_record(tmp_path, "f/s1", "abc") is None, "half written"


def test_a_changed_source_has_another_stamp(tmp_path: Path):
    path = tmp_path / "scan.png"
    path.write_bytes(b"1234")
    before = source_stamp(path)
    assert source_stamp(path) == before
    os.utime(path, ns=(1, 1))
    assert source_stamp(path) != before
    folder = source_stamp(tmp_path)
    (tmp_path / "next.png").touch()
    assert source_stamp(tmp_path) != folder


def test_paths_are_kept_below_the_folder(tmp_path: Path):
    assert relative([tmp_path / "a" / "b.csv"], tmp_path) == ("a/b.csv",)


def test_a_record_that_a_kill_left_half_written_is_of_no_volume(tmp_path: Path):
    save_record(tmp_path, record("abc"))
    (tmp_path / "records" / "f" / ".s2.json.77.part.json").write_text("{")
    assert recorded_names(tmp_path) == {"f/s1"}
