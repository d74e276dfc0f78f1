import numpy as np
import pytest
import torch

from retseg.anatomy import CLASS_NAMES
from retseg.evaluation.case import NetworkSums
from retseg.evaluation.network_scores import network_scores
from retseg.evaluation.record import measure_scan
from retseg.evaluation.temperature import cross_fitted, fixed
from retseg.metrics.calibration import (
    TEMPERATURES,
    UNSCALED,
    CalibrationSums,
    best_temperature_index,
    calibration_sums,
    expected_calibration_error,
)
from retseg.metrics.overlap import OverlapScores, confusion_matrix
from tests.evaluation.drawn import TRUTH, case


def network(logits, mask=TRUTH):
    """What a network with these logits (C, H, W) leaves of a scan."""
    classes = torch.from_numpy(mask).long()[None]
    overlap = OverlapScores(CLASS_NAMES)
    overlap.update(logits[None], classes)
    confusion = confusion_matrix(logits.argmax(dim=0)[None], classes, 8)
    calibration = calibration_sums(logits[None], classes, stride=1)[0]
    return NetworkSums(confusion, float(overlap.true_probability), int(overlap.num_pixels), calibration)


@pytest.fixture(scope="module")
def logits():
    """Of four scans (4, C, H, W): right by 2 on average, with noise that grows from scan to scan."""
    generator = torch.Generator().manual_seed(0)
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(TRUTH).long(), 8).permute(2, 0, 1).float()
    noise = torch.arange(1, 5).view(4, 1, 1, 1) * torch.randn(4, *one_hot.shape, generator=generator)
    return 2 * one_hot + noise


@pytest.fixture(scope="module")
def records(logits):
    """The four scans, of four subjects."""
    return [measure_scan(case(name=f"s{i}_b00", subject=f"s{i}", network=network(logits[i]))) for i in range(4)]


def rows(records, scaling, num_draws=200):
    return {(row.score, row.of): row for row in network_scores(records, scaling, num_draws)}


def test_papers_scores_are_those_that_training_logs(records, logits):
    overlap = OverlapScores(CLASS_NAMES)
    overlap.update(logits, torch.from_numpy(TRUTH).long().expand(4, -1, -1))
    expected, found = overlap.compute(), rows(records, fixed(4, None, "none"))
    assert found["paper_accuracy", "classes"].value == pytest.approx(float(expected["accuracy"]))
    assert found["paper_dice_micro_soft", "classes"].value == pytest.approx(float(expected["dice_micro_soft"]))
    assert found["paper_iou_micro_soft", "classes"].value == pytest.approx(float(expected["iou_micro_soft"]))
    assert found["paper_recall", "NFL"].value == pytest.approx(float(expected["accuracy/NFL"]))


def test_an_absent_class_counts_zero_in_table_2_and_is_told():
    logits = torch.nn.functional.one_hot(torch.from_numpy(TRUTH).long(), 8).permute(2, 0, 1).float()
    without = np.where(TRUTH == 1, 7, TRUTH)
    logits_without = torch.nn.functional.one_hot(torch.from_numpy(without).long(), 8).permute(2, 0, 1).float()
    scans = [
        measure_scan(case(name="a", network=network(logits))),
        measure_scan(case(without, without, name="b", network=network(logits_without, without))),
    ]
    found = rows(scans, fixed(2, None, "none"))
    assert found["paper_iou_per_scan", "NFL"].value == 0.5
    assert found["paper_absent_scans", "NFL"].value == 1
    assert found["paper_iou_per_scan", "INL"].value == 0
    assert found["paper_absent_scans", "INL"].value == 2
    assert found["paper_iou_per_scan", "OS-RPE"].value == 1


def test_calibration_error_is_the_metrics(records):
    total = CalibrationSums.nothing()
    for record in records:
        total = total + record.network.calibration
    found = rows(records, fixed(4, 10, "elsewhere"))
    for place, suffix in enumerate(("", "_layers")):
        plain, scaled = (expected_calibration_error(total, index, place) for index in (UNSCALED, 10))
        assert found[f"ece{suffix}", "all"].value == pytest.approx(plain)
        assert found[f"ece{suffix}_scaled", "all"].value == pytest.approx(scaled)
    assert found["temperature", "all"].value == TEMPERATURES[10]
    assert found["ece", "all"].low <= found["ece", "all"].value


def test_no_subject_helps_to_choose_its_own_temperature(records):
    scaling = cross_fitted(records)
    for place in range(4):
        total = CalibrationSums.nothing()
        for other in range(4):
            if other != place:
                total = total + records[other].network.calibration
        assert scaling.of_scans[place] == best_temperature_index(total)
    assert len(set(scaling.of_scans)) > 1
    assert scaling.temperature == TEMPERATURES[scaling.overall]


def test_one_subject_has_no_scaled_error(records):
    scaling = cross_fitted(records[:1])
    assert scaling.of_scans == (None,)
    assert "one validation subject" in scaling.fitted_on
    found = rows(records[:1], scaling)
    assert ("ece", "all") in found
    assert ("ece_scaled", "all") not in found
    assert ("temperature", "all") in found, "it serves other scans"


def test_without_a_network_there_are_no_such_rows():
    scans = [measure_scan(case())]
    assert network_scores(scans, fixed(1, None, "none")) == []
    assert cross_fitted(scans).overall is None
