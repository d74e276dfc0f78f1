import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics

from retseg.geometry.surfaces import trace_surfaces
from retseg.metrics.boundary import summarise_errors, surface_errors_px, thickness_errors_px

NAN = np.nan

# 5 rows x 7 columns. The found NFL (1) starts a row too deep in columns 2 and 3, its last column has no layer.
TRUE_MASK = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1, 1, 1],
        [2, 2, 2, 2, 2, 2, 2],
        [0, 0, 0, 0, 0, 0, 0],
    ]
)
FOUND_MASK = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 1, 1, 0],
        [1, 1, 1, 1, 1, 1, 0],
        [2, 2, 2, 2, 2, 1, 0],
        [0, 0, 0, 0, 2, 2, 0],
    ]
)


def random_rows(seed=0, columns=30):
    rng = np.random.default_rng(seed)
    return np.sort(rng.integers(0, 40, (8, columns)), axis=0).astype(np.float32)


def test_by_hand_on_two_masks_positive_is_deeper():
    errors = surface_errors_px(trace_surfaces(FOUND_MASK), trace_surfaces(TRUE_MASK))
    assert errors[0] == pytest.approx([0, 0, 1, 1, 0, 0, NAN], nan_ok=True)  # ILM
    assert errors[1] == pytest.approx([0, 0, 0, 0, 0, 1, NAN], nan_ok=True)  # NFL/GCL
    assert errors[7] == pytest.approx([0, 0, 0, 0, 1, 1, NAN], nan_ok=True)  # BM
    thickness = thickness_errors_px(trace_surfaces(FOUND_MASK), trace_surfaces(TRUE_MASK))
    assert thickness[0] == pytest.approx([0, 0, -1, -1, 0, 1, NAN], nan_ok=True)  # NFL
    assert thickness[1] == pytest.approx([0, 0, 0, 0, 1, 0, NAN], nan_ok=True)  # GCL-IPL
    assert thickness[6] == pytest.approx([0] * 6 + [NAN], nan_ok=True)  # OS-RPE, of no thickness in both


def test_summaries_by_hand():
    summary = summarise_errors(np.array([[3, -4, NAN, 0, -3], [NAN] * 5, [2, NAN, NAN, NAN, NAN]]))
    assert list(summary) == ["mean_absolute", "rms", "p95", "signed"]
    assert summary["mean_absolute"] == pytest.approx([2.5, NAN, 2], nan_ok=True)
    assert summary["rms"] == pytest.approx([np.sqrt(34 / 4), NAN, 2], nan_ok=True)
    assert summary["p95"] == pytest.approx([3 + 0.85, NAN, 2], nan_ok=True)  # 0 3 3 4: 0.85 of the way to the last
    assert summary["signed"] == pytest.approx([-1, NAN, 2], nan_ok=True)


def test_summaries_agree_with_scikit_learn_and_torch():
    errors = surface_errors_px(random_rows(0), random_rows(1))
    summary = summarise_errors(errors)
    true, found = random_rows(1).T, random_rows(0).T
    assert summary["mean_absolute"] == pytest.approx(
        sklearn_metrics.mean_absolute_error(true, found, multioutput="raw_values")
    )
    assert summary["rms"] == pytest.approx(
        sklearn_metrics.root_mean_squared_error(true, found, multioutput="raw_values")
    )
    assert summary["p95"] == pytest.approx(torch.from_numpy(errors).abs().quantile(0.95, dim=1).numpy())
    assert summary["signed"] == pytest.approx((found - true).mean(axis=0))


@pytest.mark.filterwarnings("ignore")  # MONAI's own deprecations
def test_microns_agree_with_monai_whatever_the_lateral_spacing():
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    axial_um = 3.87
    found, true = random_rows(0), random_rows(1)
    # One class a surface, one pixel a column; columns a metre apart, so that the nearest pixel is in the same column.
    masks = [torch.from_numpy(np.arange(40)[None, :, None] == rows[:, None])[None].float() for rows in (found, true)]
    options = {"include_background": True, "spacing": [axial_um, 1e6]}
    mean = compute_average_surface_distance(*masks, **options)[0]
    p95 = compute_hausdorff_distance(*masks, percentile=95, directed=True, **options)[0]
    summary = summarise_errors(surface_errors_px(found, true) * axial_um)
    assert summary["mean_absolute"] == pytest.approx(mean.numpy(), rel=1e-5)
    assert summary["p95"] == pytest.approx(p95.numpy(), rel=1e-5)


def test_an_unknown_surface_leaves_its_two_layers_open():
    true = np.arange(8, dtype=np.float32)[:, None] + np.zeros((1, 2), np.float32)
    found = true + np.array([[1, 2]], np.float32)
    found[3, 1] = NAN
    assert np.isnan(surface_errors_px(found, true)).sum(axis=1).tolist() == [0, 0, 0, 1, 0, 0, 0, 0]
    assert np.isnan(thickness_errors_px(found, true)).sum(axis=1).tolist() == [0, 0, 1, 1, 0, 0, 0]


def test_true_surfaces_that_cross_have_no_thickness_found_ones_are_held_to_the_truth():
    ordered, crossed = np.array([[2.0], [5]]), np.array([[5.0], [2]])
    assert np.isnan(thickness_errors_px(ordered, crossed)).all()
    assert thickness_errors_px(crossed, ordered).tolist() == [[-6]]


def test_one_column_and_none():
    assert summarise_errors(np.array([[-2.0]]))["signed"].tolist() == [-2]
    assert all(np.isnan(values).all() for values in summarise_errors(np.empty((8, 0))).values())


def test_half_a_million_columns_of_float32_lose_nothing():
    errors = np.full((1, 500_000), 0.1, np.float32)
    assert summarise_errors(errors)["signed"][0] == pytest.approx(np.float64(np.float32(0.1)), rel=1e-9)
