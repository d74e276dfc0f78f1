"""The table of scores on hand-sized scans, and against scikit-learn and MONAI on the whole path."""

import numpy as np
import pytest
import torch
from monai.metrics import compute_dice, compute_iou
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from retseg.anatomy import CLASS_NAMES, IGNORE, LAYER_NAMES, SURFACE_NAMES
from retseg.bscan import Spacing
from retseg.evaluation.record import measure_scan
from retseg.evaluation.scores import score_table
from tests.evaluation.drawn import ONE_DEEPER, TRUTH, case, noisy


def table(cases, unit="um", num_draws=200):
    rows = score_table([measure_scan(one) for one in cases], unit, num_draws)
    return {(row.score, row.of, row.average): row for row in rows}


@pytest.fixture(scope="module")
def full_masks():
    """Six scans of 30 x 20 with all classes, three subjects, with pixels that nobody annotated; and predictions."""
    rng = np.random.default_rng(0)
    truths, predictions = [], []
    for _ in range(6):
        truth = np.repeat(np.repeat([0, 1, 2, 3, 4, 5, 6, 7, 0, 0], 3)[:, None], 20, axis=1).astype(np.int8)
        predictions.append(noisy(rng, 0.3, truth))
        truth[:, rng.integers(0, 20, 3)] = IGNORE
        truths.append(truth)
    return truths, predictions


@pytest.fixture(scope="module")
def full_cases(full_masks):
    pairs = zip(*full_masks, strict=True)
    return [case(p, t, name=f"s0{i // 2}_b{i:02d}", subject=f"s0{i // 2}") for i, (t, p) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("score", "function"),
    [("dice", f1_score), ("iou", jaccard_score), ("recall", recall_score), ("precision", precision_score)],
)
def test_pooled_scores_are_scikit_learns(full_masks, full_cases, score, function):
    truth, prediction = (np.concatenate([mask.ravel() for mask in masks]) for masks in full_masks)
    known = truth != IGNORE
    truth, prediction = truth[known], prediction[known]
    found = table(full_cases)
    by_class = function(truth, prediction, average=None, labels=range(8))
    for k, name in enumerate(CLASS_NAMES):
        assert found[score, name, "pooled"].value == pytest.approx(by_class[k])
    for of, labels in (("layers", range(1, 8)), ("classes", range(8))):
        for average in ("micro", "macro"):
            expected = function(truth, prediction, average=average, labels=labels)
            assert found[score, of, f"pooled_{average}"].value == pytest.approx(expected)


@pytest.mark.parametrize(("score", "function"), [("dice", compute_dice), ("iou", compute_iou)])
def test_means_over_scans_are_monais(score, function):
    rng = np.random.default_rng(3)
    truths = [np.repeat(np.arange(8)[:, None], 6, axis=1).astype(np.int8) for _ in range(4)]
    predictions = [noisy(rng, 0.3, truth) for truth in truths]
    one_hot = [
        torch.stack([torch.from_numpy(mask == k) for k in range(8)]).float()[None] for mask in (*predictions, *truths)
    ]
    by_scan = function(torch.cat(one_hot[:4]), torch.cat(one_hot[4:])).numpy()
    cases = [
        case(p, t, name=f"s0{i}_b00", subject=f"s0{i}")
        for i, (p, t) in enumerate(zip(predictions, truths, strict=True))
    ]
    found = table(cases)
    assert found[score, "layers", "mean_over_scans"].value == pytest.approx(by_scan[:, 1:].mean(), abs=1e-6)
    assert found[score, "INL", "mean_over_scans"].value == pytest.approx(by_scan[:, 3].mean(), abs=1e-6)
    assert found[score, "layers", "mean_over_subjects"].value == pytest.approx(by_scan[:, 1:].mean(), abs=1e-6)


def test_the_four_averages_differ_as_they_should():
    """Subject a: two perfect scans; subject b: one scan whose NFL is all missed."""
    missed = np.where(TRUTH == 1, 0, TRUTH)
    cases = [case(name="a0", subject="a"), case(name="a1", subject="a"), case(missed, name="b0", subject="b")]
    found = table(cases)
    # NFL: 10 pixels a scan, 20 of 30 found; OS-RPE perfect.
    assert found["dice", "NFL", "pooled"].value == pytest.approx(2 * 20 / (2 * 20 + 10))
    assert found["dice", "layers", "pooled_macro"].value == pytest.approx((0.8 + 1) / 2)
    assert found["dice", "layers", "pooled_micro"].value == pytest.approx(2 * 50 / (2 * 50 + 10))
    assert found["dice", "layers", "mean_over_scans"].value == pytest.approx((1 + 1 + 0.5) / 3)
    assert found["dice", "layers", "mean_over_subjects"].value == pytest.approx((1 + 0.5) / 2)


def test_absent_classes_are_nan_and_left_out():
    found = table([case()])
    assert np.isnan(found["dice", "INL", "pooled"].value)
    assert found["dice", "layers", "pooled_macro"].value == 1
    assert found["recall", "classes", "pooled_macro"].value == 1


def test_one_pixel_of_four_microns_is_four_microns():
    found = table([case(ONE_DEEPER)])
    for name in SURFACE_NAMES:
        assert found["surface_mean_absolute", name, "pooled"].value == 4
        assert found["surface_rms", name, "pooled"].value == 4
        assert found["surface_p95", name, "pooled"].value == 4
        assert found["surface_signed", name, "pooled"].value == 4
        assert found["surface_missing", name, "pooled"].value == 0
    assert found["thickness_mean_absolute", "NFL", "pooled"].value == 0
    assert found["surface_mean_absolute", "ILM", "pooled"].unit == "um"
    in_px = table([case(ONE_DEEPER, spacing=Spacing())], unit="px")
    assert in_px["surface_mean_absolute", "surfaces", "pooled_macro"].value == 1
    assert in_px["surface_mean_absolute", "ILM", "pooled"].unit == "px"


def test_distances_in_um_are_of_scans_whose_scale_is_known():
    """One scan of 4 um, one of 2 um, one of unknown scale, each one pixel too deep: the mean of 4 and 2."""
    sizes = (Spacing(4.0), Spacing(2.0), Spacing())
    found = table([case(ONE_DEEPER, name=f"s_{i}", spacing=size) for i, size in enumerate(sizes)])
    assert found["surface_mean_absolute", "ILM", "pooled"].value == pytest.approx(3)
    assert found["surface_missing", "ILM", "pooled"].value == 0


def test_surfaces_that_were_not_found_are_counted():
    nothing = TRUTH.copy()
    nothing[:, :2] = 0
    found = table([case(nothing)])
    assert found["surface_missing", "BM", "pooled"].value == pytest.approx(2 / 5)
    assert found["surface_mean_absolute", "BM", "pooled"].value == 0


def test_one_subject_has_no_interval():
    found = table([case(name="a0", subject="a"), case(ONE_DEEPER, name="a1", subject="a")])
    assert all(np.isnan(row.low) and np.isnan(row.high) and row.num_subjects == 1 for row in found.values())


def test_intervals_are_over_subjects_not_scans(full_cases):
    found = table(full_cases, num_draws=500)
    row = found["dice", "layers", "pooled_macro"]
    assert row.low < row.value < row.high
    assert row.num_subjects == 3
    assert np.isnan(found["dice", "layers", "mean_over_scans"].low)
    by_subject = [table(full_cases[2 * i : 2 * i + 2])["dice", "layers", "pooled_macro"].value for i in range(3)]
    assert min(by_subject) == pytest.approx(row.low, abs=1e-3), "three subjects: 1 of 27 draws is one subject alone"
    assert max(by_subject) == pytest.approx(row.high, abs=1e-3)


def test_ceiling_and_where_a_score_stands_to_it():
    """The second grader is one pixel off; the prediction is perfect, the same as the second, or two pixels off."""
    two = np.roll(TRUTH, 2, axis=0)
    for prediction, place in ((TRUTH, "above"), (ONE_DEEPER, "at"), (two, "below")):
        cases = [case(prediction, TRUTH, ONE_DEEPER, name=f"s{i}_b00", subject=f"s{i}") for i in range(3)]
        found = table(cases)
        row = found["dice", "layers", "pooled_macro"]
        assert row.ceiling == pytest.approx(0.5)
        assert row.standing == place
        assert found["surface_mean_absolute", "BM", "pooled"].standing == place
        assert found["surface_mean_absolute", "BM", "pooled"].ceiling == 4
        assert found["surface_signed", "BM", "pooled"].standing == "", "neither more nor less is better"


def test_a_ceiling_of_some_scans_is_compared_on_these_scans():
    """Scans without second labels are perfect: they must not lift the score above the ceiling."""
    pairs = [case(ONE_DEEPER, TRUTH, ONE_DEEPER, name=f"s{i}_b00", subject=f"s{i}") for i in range(2)]
    alone = [case(name=f"s{i}_b01", subject=f"s{i}") for i in range(2)]
    row = table(pairs + alone)["dice", "layers", "pooled_macro"]
    assert row.value > row.ceiling
    assert row.standing == "at"


def test_every_layer_and_surface_has_its_rows(full_cases):
    found = table(full_cases)
    for name in (*LAYER_NAMES, "background"):
        assert {a for s, of, a in found if s == "dice" and of == name} == {
            "pooled", "mean_over_scans", "mean_over_subjects"
        }  # fmt: skip
    assert {a for s, of, a in found if (s, of) == ("iou", "layers")} == {
        "pooled_micro", "pooled_macro", "mean_over_scans", "mean_over_subjects"
    }  # fmt: skip
