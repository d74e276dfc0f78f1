import numpy as np
import torch

from retseg.anatomy import IGNORE, NUM_CLASSES
from retseg.bscan import Spacing
from retseg.evaluation.record import confusion_counts, measure_scan
from retseg.metrics.overlap import confusion_matrix
from tests.evaluation.drawn import ONE_DEEPER, TRUTH, case, noisy


def test_a_scan_one_pixel_too_deep():
    record = measure_scan(case(ONE_DEEPER))
    assert (record.surface_errors_px == 1).all()
    assert (record.thickness_errors_px == 0).all()
    assert record.axial_um == 4
    confusion = np.zeros((8, 8), int)
    confusion[0, 0], confusion[1, 0], confusion[1, 1], confusion[7, 1], confusion[7, 7] = 10, 5, 5, 5, 5
    confusion[0, 7] = 5
    assert (record.confusion == confusion).all()
    assert record.distance[0].sum() == 15


def test_the_second_grader_is_scored_against_the_same_truth():
    record = measure_scan(case(TRUTH, TRUTH, ONE_DEEPER))
    assert (record.surface_errors_px == 0).all()
    assert (record.ceiling.surface_errors_px == 1).all()
    assert record.ceiling.ceiling is None


def test_what_nobody_annotated_is_in_no_count():
    truth = TRUTH.copy()
    truth[:, 1:] = IGNORE
    record = measure_scan(case(noisy(np.random.default_rng(0), 0.5), truth))
    assert record.confusion.sum() == 7
    assert np.isfinite(record.surface_errors_px).any(axis=0).tolist() == [True, False, False, False, False]
    assert record.topology.columns_without.max() <= 1


def test_nothing_annotated_counts_nothing():
    record = measure_scan(case(TRUTH, np.full_like(TRUTH, IGNORE)))
    assert record.confusion.sum() == 0
    assert not np.isfinite(record.surface_errors_px).any()
    assert record.num_true_columns.sum() == 0


def test_pixels_without_a_prediction_are_told():
    prediction = TRUTH.copy()
    prediction[:, 0] = IGNORE
    record = measure_scan(case(prediction))
    assert record.num_unlabelled == 7
    assert record.confusion.sum() == 28
    assert np.isnan(record.surface_errors_px[:, 0]).all()


def test_one_column_and_an_unknown_scale():
    record = measure_scan(case(ONE_DEEPER[:, :1], TRUTH[:, :1], spacing=Spacing()))
    assert record.confusion.sum() == 7
    assert np.isnan(record.axial_um)
    assert (record.surface_errors_px == 1).all()


def test_counts_are_those_of_the_metric():
    rng = np.random.default_rng(1)
    prediction, truth = rng.integers(0, NUM_CLASSES, (7, 9)), rng.integers(IGNORE, NUM_CLASSES, (7, 9))
    expected = confusion_matrix(torch.from_numpy(prediction), torch.from_numpy(truth), NUM_CLASSES)
    found = confusion_counts(prediction.astype(np.int8), truth.astype(np.int8))
    assert (found == expected.numpy()).all()
