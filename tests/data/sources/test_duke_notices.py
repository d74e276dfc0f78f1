"""What the Duke reader leaves out, sets to unknown or only counts, and that it says so; strict refuses it."""

import numpy as np
import pytest

from retseg.bscan import ScanKey
from retseg.data.sources.duke import DukeSource
from retseg.geometry.surfaces import paint_mask
from tests.data.sources.conftest import duke_refusal


def test_notices_count_scans_left_out_gaps_and_missing_subjects(tmp_path, duke_files):
    layers = duke_files.arrays()["manualLayers1"]
    layers[2:4, 10:13, 4] = np.nan
    duke_files.write(tmp_path, 1, manualLayers1=layers)
    duke_files.write(tmp_path, 2)
    notices = DukeSource(tmp_path, expected_subjects=4).notices
    assert notices == (
        f"subjects 03, 04 of 4 are missing: no Subject_XX.mat in {tmp_path}",
        "all 2 files: images (24, 40, 7), the official files have (496, 768, 61)",
        "manualLayers1: 3 (Subject_01.mat 3) columns with some surfaces known and some not",
        "grader 1: 10 (5 in each file) B-scans without annotation left out",
        "grader 2: 12 (6 in each file) B-scans without annotation left out",
    )


def test_file_without_fluid_is_read_with_a_notice(tmp_path, duke_files):
    duke_files.write(tmp_path, 1, manualFluid1=None)
    source = DukeSource(tmp_path)
    assert source.read(ScanKey(1, "s01", 2)).fluid is None
    assert "Subject_01.mat: no manualFluid1, fluid unknown for grader 1" in source.notices


def test_crossing_surfaces_are_counted_get_no_class_and_strict_refuses_them(tmp_path, duke_files):
    layers = duke_files.arrays()["manualLayers1"]
    layers[3, 10:15, 4] = layers[1, 10:15, 4] - 1  # INL/OPL above NFL/GCL in five columns
    duke_files.write(tmp_path, 1)
    path = duke_files.write(tmp_path, 2, manualLayers1=layers)
    source = DukeSource(tmp_path)
    said = "manualLayers1: 5 (Subject_02.mat 5) columns have surfaces that cross, pixels between them get no class"
    assert said in source.notices
    mask = paint_mask(source.read(ScanKey(1, "s02", 4)).surface_rows, 24)
    assert (mask[:, 10:15] == -1).any(axis=0).all()
    assert not (mask[:, 15:35] == -1).any()
    line = duke_refusal(tmp_path, strict=True)
    assert line.startswith(f"{path}, manualLayers1, B-scan 4, INL/OPL, column 10: surfaces that cross")
    assert "data.source.strict=true" in line


def test_crossing_is_seen_across_a_gap(tmp_path, duke_files):
    layers = duke_files.arrays()["manualLayers1"]
    layers[1, 10, 4] = np.nan
    layers[2, 10, 4] = layers[0, 10, 4] - 1  # the neighbour between them is unknown
    duke_files.write(tmp_path, 1, manualLayers1=layers)
    assert any("1 (Subject_01.mat 1) columns have surfaces that cross" in line for line in DukeSource(tmp_path).notices)


@pytest.mark.parametrize(("row", "kept"), [(0.4, False), (0.5, True), (24.4, True), (24.5, False), (900, False)])
def test_rows_outside_the_image_become_unknown_and_strict_refuses_them(tmp_path, duke_files, row, kept):
    layers = duke_files.arrays()["manualLayers1"]
    surface = 0 if row < 1 else 7
    layers[surface, 20, 2] = row  # 1-based; pixel rows 1 .. 24 reach from 0.5 to 24.5
    path = duke_files.write(tmp_path, 1, manualLayers1=layers)
    source = DukeSource(tmp_path)
    found = source.read(ScanKey(1, "s01", 2)).surface_rows[surface, 20]
    said = "manualLayers1: 1 (Subject_01.mat 1) columns have rows outside the image, set to unknown"
    assert (found == np.float32(row - 1)) if kept else np.isnan(found)
    assert (said in source.notices) is not kept
    if not kept:
        assert duke_refusal(tmp_path, strict=True).startswith(f"{path}, manualLayers1, B-scan 2, ")


def test_min_columns_leaves_out_scans_with_fewer(tmp_path, duke_files):
    layers = duke_files.arrays()["manualLayers1"]
    layers[:, 6:, 4] = np.nan  # one annotated column stays
    duke_files.write(tmp_path, 1, manualLayers1=layers)
    assert [key.bscan for key in DukeSource(tmp_path, graders=[1], min_columns=1).keys] == [2, 4]
    assert [key.bscan for key in DukeSource(tmp_path, graders=[1], min_columns=2).keys] == [2]
    assert "no B-scan has 31 annotated columns" in duke_refusal(tmp_path, graders=[1], min_columns=31)
