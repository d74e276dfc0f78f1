from dataclasses import replace

import numpy as np

from retseg.anatomy import IGNORE
from retseg.bscan import BScan, ScanKey, Spacing
from retseg.data.fluid_labels import fluid_labels
from retseg.evaluation.fluid_record import FluidCase, measure_fluid

SPACING = Spacing(4.0, 10.0, "test")
DRAWN = np.array([[1, 1, 0, 0, 0], [1, 1, 0, 0, IGNORE], [0, 0, 0, 0, IGNORE]], np.int8)
FOUND = np.array([[0, 1, 1, 0, 0], [0, 1, 1, 0, 1], [0, 0, 0, 0, 1]], bool)


def test_counts_areas_and_lesions_of_a_scan():
    record = measure_fluid(FluidCase(FOUND, DRAWN, num_outside=7), SPACING)
    assert record.counts.tolist() == [2, 2, 2]
    assert (record.true_px, record.found_px) == (4, 4)
    assert (record.pixel_um2, record.num_outside) == (40, 7)
    assert (record.drawn.area_px.tolist(), record.found.area_px.tolist()) == ([4], [4])
    assert record.drawn.is_covered.tolist() == [True]
    assert record.ceiling is None


def test_an_unknown_scale_is_nan_in_either_direction():
    for spacing in (Spacing(), Spacing(4.0, None, "user"), Spacing(None, 10.0, "user")):
        assert np.isnan(measure_fluid(FluidCase(FOUND, DRAWN), spacing).pixel_um2)


def test_nobody_looked_or_nothing_was_sought():
    assert measure_fluid(None, SPACING) is None
    assert measure_fluid(FluidCase(FOUND, np.full(FOUND.shape, IGNORE, np.int8)), SPACING) is None


def test_the_second_grader_is_the_ceiling_where_both_looked():
    second = np.roll(np.where(DRAWN == IGNORE, 0, DRAWN), 1, axis=1).astype(np.int8)  # columns 1 and 2
    second[0] = IGNORE
    record = measure_fluid(FluidCase(FOUND, DRAWN, second), SPACING)
    assert record.counts.tolist() == [2, 2, 2]
    assert record.ceiling.counts.tolist() == [1, 1, 1]
    assert record.ceiling.ceiling is None
    nobody = np.full(FOUND.shape, IGNORE, np.int8)
    assert measure_fluid(FluidCase(FOUND, DRAWN, nobody), SPACING).ceiling is None


def test_truth_of_a_bscan_in_the_columns_that_are_scored():
    fluid = np.array([[True, False, True]])
    scan = BScan(ScanKey(1, "s01", 0), np.zeros((1, 3), np.uint8), fluid=fluid)
    assert fluid_labels(scan).tolist() == [[1, 0, 1]]
    assert fluid_labels(scan, np.array([False, True, True])).tolist() == [[IGNORE, 0, 1]]
    rows = np.array([[np.nan, np.nan, 1.0]] * 8, np.float32)  # layers in the last column alone
    assert fluid_labels(replace(scan, surface_rows=rows)).tolist() == [[1, IGNORE, 1]]
    mask = np.array([[IGNORE, 0, IGNORE]], np.int8)
    assert fluid_labels(replace(scan, mask=mask)).tolist() == [[1, 0, 1]]
    assert fluid_labels(replace(scan, mask=mask), np.array([False, True, True])).tolist() == [[IGNORE, 0, 1]]
    unknown = BScan(ScanKey(1, "s01", 0), np.zeros((1, 3), np.uint8))
    assert fluid_labels(unknown, np.ones(3, bool)).tolist() == [[IGNORE] * 3]
