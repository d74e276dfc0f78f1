import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sklearn_metrics

from retseg.anatomy import CLASS_NAMES, IGNORE
from retseg.geometry.surfaces import trace_surfaces
from retseg.metrics.misclassification import (
    DISTANCE_EDGES_PX,
    MAP_COLUMNS,
    MAP_ROWS,
    error_map,
    errors_by_distance,
    neighbour_confusion,
    over_and_under,
)

NAN = np.nan

# 5 rows x 7 columns. The last column has no surface and the one before was not annotated.
TRUTH = np.array(
    [
        [0, 0, 0, 0, 0, -1, 0],
        [0, 0, 0, 0, 0, -1, 0],
        [1, 1, 1, 1, 1, -1, 0],
        [1, 1, 1, 1, 1, -1, 0],
        [1, 1, 1, 1, -1, -1, 0],
    ]
)
PREDICTION = np.array(
    [
        [0, 0, 0, 7, 0, 0, 0],
        [0, 1, 0, 0, 0, 0, 1],
        [1, 1, 1, 1, 1, 1, 0],
        [1, 1, 2, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 1, 0],
    ]
)
# The ILM alone is known, at row 2: the layer goes on below the image's border.
ROWS = np.full((8, 7), NAN)
ROWS[0, :5] = 2


def random_scan(seed=0, shape=(60, 37)):
    """Prediction, truth and true rows of fractional surfaces with gaps, many pixels wrong."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.uniform(-5, shape[0] + 5, (8, shape[1])), axis=0)
    rows[rng.random(rows.shape) < 0.3] = NAN
    rows[:, rng.random(shape[1]) < 0.2] = NAN
    truth = rng.integers(-1, 8, shape)
    return np.where(rng.random(shape) < 0.5, truth.clip(0), rng.integers(0, 8, shape)), truth, rows


def test_distances_by_hand():
    wrong, annotated = errors_by_distance(PREDICTION, TRUTH, ROWS)
    # centres of rows 0..4 lie 1.5, 0.5, 0.5, 1.5, 2.5 px from row 2; four columns of five pixels, one of four
    assert annotated.tolist() == [10, 10, 4, 0, 0, 0, 0, 0, 0, 0]
    assert wrong.tolist() == [1, 2, 0, 0, 0, 0, 0, 0, 0, 0]


def test_a_bin_holds_its_lower_edge_and_the_last_has_no_end():
    truth = np.zeros((60, 1), np.int8)
    rows = np.full((8, 1), NAN)
    rows[7] = 0.5  # pixel centres lie whole pixels from it: 0, 1, ... 59
    _, annotated = errors_by_distance(truth, truth, rows)
    assert annotated.tolist() == [1, 1, 1, 1, 2, 2, 4, 4, 8, 36]


@pytest.mark.parametrize("seed", range(4))
def test_distances_agree_with_a_histogram_of_brute_force(seed):
    prediction, truth, rows = random_scan(seed)
    distances, is_wrong = [], []
    for row, column in zip(*np.nonzero(truth != IGNORE), strict=True):
        known = [surface for surface in rows[:, column] if surface == surface]
        if known:
            distances.append(min(abs(row + 0.5 - surface) for surface in known))
            is_wrong.append(prediction[row, column] != truth[row, column])
    wrong, annotated = errors_by_distance(prediction, truth, rows)
    assert annotated.tolist() == np.histogram(distances, DISTANCE_EDGES_PX)[0].tolist()
    assert wrong.tolist() == np.histogram(np.array(distances)[is_wrong], DISTANCE_EDGES_PX)[0].tolist()


def test_error_map_by_hand():
    wrong, annotated = error_map(PREDICTION, TRUTH, ROWS)
    assert annotated.shape == (MAP_ROWS, MAP_COLUMNS) == (60, 50)
    # rows 0 and 1 lie up to 4 px above the ILM, rows 2 to 4 up to 4 px below; column 0 of 7 is centred on 1/14 of 50
    assert (annotated[9, 3], annotated[10, 3]) == (2, 3)
    assert annotated[9].sum() == 2 * 5
    assert annotated[10].sum() == 3 * 5 - 1
    assert annotated.sum() == 24
    assert np.argwhere(wrong).tolist() == [[9, 10], [9, 25], [10, 17]]


@pytest.mark.parametrize(("seed", "shape"), [(0, (60, 37)), (1, (300, 1)), (2, (300, 120))])
def test_error_map_agrees_with_a_histogram(seed, shape):
    prediction, truth, rows = random_scan(seed, shape)
    row, column = np.nonzero((truth != IGNORE) & np.isfinite(rows[0]))
    depth, position = row + 0.5 - rows[0, column], (column + 0.5) / shape[1]
    edges = (np.arange(-40, 201, 4), np.arange(51) / 50)
    is_wrong = (prediction != truth)[row, column]
    wrong, annotated = error_map(prediction, truth, rows)
    assert np.array_equal(annotated, np.histogram2d(depth, position, edges)[0])
    assert np.array_equal(wrong, np.histogram2d(depth[is_wrong], position[is_wrong], edges)[0])


def test_one_column_lies_in_the_middle_of_the_map():
    truth = np.array([0, 1, 0])[:, None]
    assert np.argwhere(error_map(truth, truth, trace_surfaces(truth))[1])[:, 1].tolist() == [25, 25]


@pytest.mark.parametrize("measure", [errors_by_distance, error_map])
def test_nothing_annotated_counts_nothing(measure):
    prediction, nobody = np.ones((5, 7), np.int8), np.full((5, 7), IGNORE, np.int8)
    assert measure(prediction, nobody, trace_surfaces(nobody)).sum() == 0
    assert measure(prediction, nobody, ROWS).sum() == 0


@given(
    arrays(np.int8, (5, 7), elements=st.integers(0, 7)),
    arrays(np.int8, (5, 7), elements=st.integers(-1, 7)),
)
def test_both_count_every_annotated_pixel_of_the_columns_that_they_can_place(prediction, truth):
    rows = trace_surfaces(truth)
    for measure, known in ((errors_by_distance, np.isfinite(rows).any(axis=0)), (error_map, np.isfinite(rows[0]))):
        wrong, annotated = measure(prediction, truth, rows)
        is_counted = (truth != IGNORE) & known
        assert annotated.sum() == is_counted.sum()
        assert wrong.sum() == (is_counted & (prediction != truth)).sum()
        assert (wrong <= annotated).all()


CONFUSION = np.zeros((8, 8), np.int64)
CONFUSION[0] = [90, 3, 1, 0, 0, 0, 0, 4]  # background: 3 px to NFL below it, 4 px to OS-RPE above it
CONFUSION[1] = [2, 50, 6, 0, 0, 1, 0, 0]  # NFL: 2 px up to background, 6 px down to GCL-IPL
CONFUSION[3] = [0, 0, 0, 20, 0, 0, 0, 0]  # INL: all right
CONFUSION[7] = [5, 0, 0, 0, 0, 0, 3, 30]  # OS-RPE: 3 px up to ISE, 5 px down to background


def test_neighbours_by_hand():
    shares = neighbour_confusion(CONFUSION)
    assert list(shares) == ["all", *CLASS_NAMES]
    assert shares["all"] == pytest.approx({"num_wrong": 25, "above": 9 / 25, "below": 14 / 25, "elsewhere": 2 / 25})
    assert shares["background"] == pytest.approx({"num_wrong": 8, "above": 4 / 8, "below": 3 / 8, "elsewhere": 1 / 8})
    assert shares["NFL"] == pytest.approx({"num_wrong": 9, "above": 2 / 9, "below": 6 / 9, "elsewhere": 1 / 9})
    assert shares["OS-RPE"] == pytest.approx({"num_wrong": 8, "above": 3 / 8, "below": 5 / 8, "elsewhere": 0})


def test_nothing_wrong_has_no_shares():
    assert neighbour_confusion(CONFUSION)["INL"] == pytest.approx(
        {"num_wrong": 0, "above": NAN, "below": NAN, "elsewhere": NAN}, nan_ok=True
    )
    assert np.isnan(neighbour_confusion(np.zeros((8, 8), int))["all"]["below"])


def test_over_and_under_by_hand_absent_class_is_nan():
    over, under = over_and_under(CONFUSION)
    assert over[[0, 1, 3, 7]] == pytest.approx([7 / 98, 3 / 59, 0, 4 / 38])
    assert under[[0, 1, 3, 7]] == pytest.approx([8 / 98, 9 / 59, 0, 8 / 38])
    assert np.isnan(over[[2, 4, 5, 6]]).all()  # predicted here and there, true nowhere
    assert np.isnan(under[[2, 4, 5, 6]]).all()


def test_over_and_under_follow_from_scikit_learns_precision_and_recall():
    prediction, truth, _ = random_scan()
    pixels = truth[truth != IGNORE], prediction[truth != IGNORE]
    confusion = sklearn_metrics.confusion_matrix(*pixels)
    recall = sklearn_metrics.recall_score(*pixels, average=None)
    precision = sklearn_metrics.precision_score(*pixels, average=None)
    over, under = over_and_under(torch.from_numpy(confusion))
    assert under == pytest.approx(1 - recall)
    assert over == pytest.approx(recall * (1 - precision) / precision)
