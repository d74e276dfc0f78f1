"""Scores of fluid worked by hand: three subjects, five scans of 4 x 6 pixels of 10 um x 100 um, 50 um apart."""

import numpy as np
import pytest
import torch
from monai.metrics import DiceMetric

from retseg.bscan import Spacing
from retseg.evaluation.fluid_record import FluidCase, measure_fluid
from retseg.evaluation.fluid_scores import ALL_SIZES, EMPTY_IS_1, FLUID, FluidScan, fluid_scores, volumes
from retseg.metrics.statistics import resample_weights

SPACING = Spacing(10.0, 100.0, "test")  # 1000 um2 a pixel
DISTANCE_UM = 50.0
NAN = np.nan


def plane(*pixels):
    """A mask with these pixels (row, column) set."""
    mask = np.zeros((4, 6), np.int8)
    for row, column in pixels:
        mask[row, column] = 1
    return mask


BLOCK = [(r, c) for r in range(2) for c in range(3)]
"""Six pixels in a corner: 6000 um2, a medium lesion."""
SPECK = [(3, 5)]
"""1000 um2, a small one."""

SCANS = [
    # name, subject, found, drawn
    ("s01_b00_g1", "s01", plane(*BLOCK[:3]), plane(*BLOCK)),  # 3 hits, 3 misses: Dice 2/3
    ("s01_b01_g1", "s01", plane(*SPECK), plane()),  # a false alarm: Dice 0
    ("s02_b00_g1", "s02", plane(*BLOCK, *SPECK), plane(*BLOCK, *SPECK)),  # Dice 1
    ("s02_b01_g1", "s02", plane(), plane()),  # empty
    ("s03_b00_g1", "s03", plane(), plane(*SPECK)),  # missed: Dice 0
]


def scans(rows=SCANS, second=None, spacing=SPACING):
    return [
        FluidScan(name, subject, name[-2:], measure_fluid(FluidCase(found == 1, drawn, second), spacing))
        for name, subject, found, drawn in rows
    ]


def table(found, distance_um=DISTANCE_UM, num_draws=300):
    return {(row.score, row.of, row.average): row for row in fluid_scores(found, distance_um, num_draws)}


def test_overlap_by_hand():
    rows = table(scans())
    # pooled: hits 3 + 7, false alarms 1, misses 3 + 1
    assert rows["dice", FLUID, "pooled"].value == pytest.approx(20 / 25)
    assert rows["iou", FLUID, "pooled"].value == pytest.approx(10 / 15)
    assert rows["recall", FLUID, "pooled"].value == pytest.approx(10 / 14)
    assert rows["precision", FLUID, "pooled"].value == pytest.approx(10 / 11)
    assert rows["dice", FLUID, "mean_over_scans"].value == pytest.approx((2 / 3 + 0 + 1 + 0) / 4)
    assert rows["dice", FLUID, EMPTY_IS_1].value == pytest.approx((2 / 3 + 0 + 1 + 1 + 0) / 5)
    assert rows["dice", FLUID, "mean_over_subjects"].value == pytest.approx((6 / 10 + 1 + 0) / 3)
    counts = [rows[f"scans_{kind}", FLUID, "count"].value for kind in ("empty", "all_missed", "false_alarm")]
    assert counts == [1, 1, 1]


def test_lesions_by_hand_of_all_sizes_and_by_size():
    rows = table(scans())
    # drawn: two blocks and two specks; the first block is half covered (a hit) and has IoU 1/2 (no pair)
    assert rows["lesions_drawn", ALL_SIZES, "count"].value == 4
    assert rows["lesion_recall_covered", ALL_SIZES, "pooled"].value == pytest.approx(3 / 4)
    assert rows["lesion_recall_paired", ALL_SIZES, "pooled"].value == pytest.approx(2 / 4)
    assert rows["lesion_recall_covered", "medium", "pooled"].value == 1
    assert rows["lesion_recall_covered", "small", "pooled"].value == pytest.approx(1 / 2)
    # found: half a block (3000 um2, small), a speck that is none, a block and a speck that are
    assert rows["lesions_found", ALL_SIZES, "count"].value == 4
    assert rows["lesion_precision_covered", ALL_SIZES, "pooled"].value == pytest.approx(3 / 4)
    assert rows["lesions_found", "small", "count"].value == 3
    assert rows["lesion_precision_covered", "small", "pooled"].value == pytest.approx(2 / 3)
    assert rows["lesions_drawn", "large", "count"].value == 0
    assert np.isnan(rows["lesion_recall_covered", "large", "pooled"].value)


def test_volumes_by_hand():
    found = {volume.subject: (volume.true_mm3, volume.found_mm3) for volume in volumes(scans(), DISTANCE_UM)}
    mm3_a_px = 1000 * 50e-9
    assert found["s01"] == pytest.approx((6 * mm3_a_px, 4 * mm3_a_px))
    assert found["s02"] == pytest.approx((7 * mm3_a_px, 7 * mm3_a_px))
    assert found["s03"] == pytest.approx((1 * mm3_a_px, 0))
    rows = table(scans())
    assert rows["volume_signed", FLUID, "mean_over_subjects"].value == pytest.approx(-mm3_a_px)
    assert rows["volume_absolute", FLUID, "mean_over_subjects"].value == pytest.approx(mm3_a_px)
    assert rows["volume_signed", FLUID, "mean_over_subjects"].unit == "mm3"


def test_two_graders_of_a_subject_are_two_volumes():
    again = [(name.replace("_g1", "_g2"), *rest) for name, *rest in SCANS]
    measured = volumes(scans([*SCANS, *again]), DISTANCE_UM)
    expected = [(subject, grader) for subject in ("s01", "s02", "s03") for grader in ("g1", "g2")]
    assert [(volume.subject, volume.grader) for volume in measured] == expected


def test_without_distance_or_scale_there_is_no_volume_and_without_scale_no_size():
    signed = ("volume_signed", FLUID, "mean_over_subjects")
    assert np.isnan(table(scans(), NAN)[signed].value)
    rows = table(scans(spacing=Spacing()))
    assert np.isnan(rows[signed].value)
    assert rows["lesions_drawn", "small", "count"].value == 0
    assert rows["lesions_drawn", ALL_SIZES, "count"].value == 4
    assert rows["dice", FLUID, "pooled"].value == pytest.approx(20 / 25)


def test_intervals_are_of_subjects_with_all_their_scans():
    """Every draw again, by MONAI on the scans that the drawn subjects have."""
    rows = table(scans())
    draws = resample_weights(3, 300)
    pooled, means = [], []
    for weights in draws:
        drawn = [row for row in SCANS for _ in range(weights[int(row[1][1:]) - 1])]
        found, truth = (torch.from_numpy(np.stack([row[k] for row in drawn])).float()[:, None] for k in (2, 3))
        metric = DiceMetric(include_background=True, ignore_empty=False, reduction="none")
        pooled.append(float(metric(found.reshape(1, 1, -1, 6), truth.reshape(1, 1, -1, 6))))
        means.append(float(metric(found, truth).mean()))
    for average, values in (("pooled", pooled), (EMPTY_IS_1, means)):
        row = rows["dice", FLUID, average]
        assert (row.low, row.high) == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])), abs=1e-6)
        assert row.num_subjects == 3


def test_one_subject_has_no_interval():
    row = table(scans(SCANS[:2]))["dice", FLUID, "pooled"]
    assert row.value == pytest.approx(6 / 10)
    assert np.isnan([row.low, row.high]).all()


def test_the_ceiling_is_the_second_grader_on_the_same_scans():
    rows = table(scans(second=plane(*BLOCK)))
    row = rows["dice", FLUID, "pooled"]
    # the second grader draws the block in every scan: 6 + 6 hits, 6 x 3 false alarms, 2 specks missed
    assert row.ceiling == pytest.approx(24 / (24 + 18 + 2))
    assert row.standing in ("at", "above")
    assert rows["volume_signed", FLUID, "mean_over_subjects"].standing == ""
    alike = table(scans([(n, s, plane(*BLOCK), d) for n, s, _, d in SCANS], second=plane(*BLOCK)))
    for key in (("dice", FLUID, "pooled"), ("volume_absolute", FLUID, "mean_over_subjects")):
        assert alike[key].value == alike[key].ceiling
        assert alike[key].standing == "at"


def test_a_larger_volume_error_than_the_second_graders_is_below():
    rows = [(name, subject, plane(), plane(*BLOCK)) for name, subject, *_ in SCANS]
    row = table(scans(rows, second=plane(*BLOCK)))["volume_absolute", FLUID, "mean_over_subjects"]
    assert row.ceiling == 0
    assert row.standing == "below"
