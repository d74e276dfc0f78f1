from functools import reduce
from operator import add

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from sklearn.calibration import calibration_curve
from torchmetrics.functional.classification import multiclass_calibration_error

from retseg.anatomy import IGNORE
from retseg.metrics.calibration import (
    GROUPS,
    NUM_BINS,
    TEMPERATURES,
    UNSCALED,
    CalibrationSums,
    best_temperature_index,
    calibration_sums,
    expected_calibration_error,
    reliability,
)

ROUNDING = 1e-6  # torchmetrics adds in float32
SOME = (0, UNSCALED, len(TEMPERATURES) - 1)


def batch(seed=0, true_temperature=1.0, shape=(3, 30, 44)):
    """Logits (N, 8, H, W) and masks (N, H, W) drawn from them at a temperature; a tenth of the pixels not annotated."""
    generator = torch.Generator().manual_seed(seed)
    logits = 1.5 * torch.randn(shape[0], 8, *shape[1:], generator=generator)
    chances = (logits / true_temperature).softmax(dim=1).movedim(1, -1).reshape(-1, 8)
    mask = torch.multinomial(chances, 1, generator=generator).view(shape)
    mask[torch.rand(shape, generator=generator) < 0.1] = IGNORE
    return logits, mask


def pooled(logits, mask, stride=1):
    return reduce(add, calibration_sums(logits, mask, stride), CalibrationSums.nothing())


def logits_of(*probabilities):
    """Logits (1, C, 1, W) whose softmax is each of the probabilities (C,)."""
    return torch.tensor(probabilities).log().T[None, :, None]


def test_the_grid_of_temperatures_is_geometric_and_holds_one():
    ratios = np.array(TEMPERATURES[1:]) / np.array(TEMPERATURES[:-1])
    assert ratios == pytest.approx(1.06)
    assert TEMPERATURES[UNSCALED] == 1
    assert (TEMPERATURES[0], TEMPERATURES[-1]) == pytest.approx((0.39, 4.05), abs=0.01)


def test_by_hand_two_bins():
    # confidence .62, .61 (bin 9: .6 to .667) and .9 (bin 13); the second is wrong, the fourth was not annotated
    logits = logits_of((0.38, 0.62), (0.39, 0.61), (0.9, 0.1), (0.2, 0.8))
    (sums,) = calibration_sums(logits, torch.tensor([[[1, 0, 0, IGNORE]]]), stride=1)
    assert sums.num_pixels.tolist() == [3, 2]
    assert sums.counts[UNSCALED, 0].nonzero()[:, 0].tolist() == [9, 13]
    confidence, accuracy, share = reliability(sums)
    assert confidence[[9, 13]].tolist() == pytest.approx([0.615, 0.9])
    assert accuracy[[9, 13]].tolist() == [0.5, 1]
    assert share[[9, 13]].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert expected_calibration_error(sums) == pytest.approx(2 / 3 * 0.115 + 1 / 3 * 0.1)
    assert expected_calibration_error(sums, group=GROUPS.index("layers")) == pytest.approx(0.115)
    assert sums.nll[UNSCALED].item() == pytest.approx(-np.log(0.62 * 0.39 * 0.9))


@pytest.mark.parametrize("index", SOME)
def test_calibration_error_is_torchmetrics(index):
    logits, mask = batch()
    theirs = multiclass_calibration_error(
        (logits.double() / TEMPERATURES[index]).softmax(dim=1), mask, 8, NUM_BINS, "l1", ignore_index=IGNORE
    )
    assert expected_calibration_error(pooled(logits, mask), index) == pytest.approx(theirs.item(), abs=ROUNDING)


@pytest.mark.parametrize("index", SOME)
def test_calibration_error_of_predicted_layers_is_torchmetrics_on_them(index):
    logits, mask = batch()
    chosen = (mask != IGNORE) & (logits.argmax(dim=1) > 0)
    probabilities = (logits.double() / TEMPERATURES[index]).softmax(dim=1).movedim(1, -1)[chosen]
    theirs = multiclass_calibration_error(probabilities, mask[chosen], 8, NUM_BINS, "l1")
    assert expected_calibration_error(pooled(logits, mask), index, 1) == pytest.approx(theirs.item(), abs=1e-6)


def test_a_confidence_of_one_belongs_to_the_last_bin():
    logits = torch.tensor([[[[200.0, 200.0, 0.0]], [[0.0, 0.0, 3.0]]]])  # 1, 1 and 0.95
    (sums,) = calibration_sums(logits, torch.tensor([[[0, 1, 1]]]), stride=1)
    assert sums.counts[UNSCALED, 0].tolist() == [0] * 14 + [3]
    assert expected_calibration_error(sums) == pytest.approx((2 + torch.tensor(3.0).sigmoid().item() - 2) / 3)
    assert sums.nll.isfinite().all()


@pytest.mark.parametrize("group", [0, 1])
def test_reliability_is_scikit_learns_calibration_curve(group):
    logits, mask = batch()
    confidence, predicted = logits.softmax(dim=1).max(dim=1)
    chosen = (mask != IGNORE) & (predicted > 0 if group else True)
    theirs = calibration_curve((predicted == mask)[chosen], confidence[chosen], n_bins=NUM_BINS)
    ours = reliability(pooled(logits, mask), group=group)
    is_empty = ours[2] == 0
    assert ours[1][~is_empty].numpy() == pytest.approx(theirs[0])
    assert ours[0][~is_empty].numpy() == pytest.approx(theirs[1], rel=1e-6)
    assert is_empty.any()  # of eight classes none is the highest below 1/8
    assert ours[0][is_empty].isnan().all()
    assert ours[1][is_empty].isnan().all()
    assert ours[2].sum().item() == pytest.approx(1)


@pytest.mark.parametrize("index", SOME)
def test_likelihood_is_torchs_cross_entropy(index):
    logits, mask = batch()
    theirs = F.cross_entropy(logits.double() / TEMPERATURES[index], mask, ignore_index=IGNORE, reduction="sum")
    assert pooled(logits, mask).nll[index].item() == pytest.approx(theirs.item(), rel=1e-6)


@pytest.mark.parametrize("true_temperature", [0.6, 1.0, 2.3])
def test_the_best_temperature_is_scipys_within_a_step_of_the_grid(true_temperature):
    logits, mask = batch(1, true_temperature)
    scaled = minimize_scalar(
        lambda log: F.cross_entropy(logits.double() / np.exp(log), mask, ignore_index=IGNORE).item(), (-1.0, 1.0)
    )
    best = TEMPERATURES[best_temperature_index(pooled(logits, mask))]
    assert abs(np.log(best) - scaled.x) <= np.log(1.06)
    assert best == pytest.approx(true_temperature, rel=0.1)


def test_scaling_by_it_lowers_the_error_of_an_overconfident_network():
    sums = pooled(*batch(2, true_temperature=2.3))
    best = best_temperature_index(sums)
    assert expected_calibration_error(sums) > 0.15
    assert expected_calibration_error(sums, best) < 0.02


def test_scans_add_up_to_the_set_and_stand_apart():
    logits, mask = batch()
    scans = calibration_sums(logits, mask, 1)
    assert len(scans) == 3
    alone = calibration_sums(logits[1:2], mask[1:2], 1)[0]
    assert torch.equal(scans[1].counts, alone.counts)
    assert calibration_sums(logits[:0], mask[:0]) == []
    total = scans[0] + scans[1] + scans[2]
    assert total.num_pixels[0] == (mask != IGNORE).sum()
    assert total.counts.sum(dim=2)[:, 0].tolist() == [total.num_pixels[0]] * len(TEMPERATURES)
    assert (total.counts[:, 1] <= total.counts[:, 0]).all()
    assert (total.hits <= total.counts).all()


def test_every_stride_th_annotated_pixel_is_read():
    logits, mask = batch(shape=(1, 5, 7))
    chosen = (mask != IGNORE).flatten().nonzero()[::3, 0]
    thinned = torch.full_like(mask, IGNORE)
    thinned.view(-1)[chosen] = mask.view(-1)[chosen]
    ours, theirs = calibration_sums(logits, mask, 3)[0], calibration_sums(logits, thinned, 1)[0]
    assert ours.num_pixels[0] == len(chosen)
    assert torch.equal(ours.counts, theirs.counts)
    assert torch.equal(ours.nll, theirs.nll)


def test_nothing_annotated_has_no_error_and_keeps_the_temperature():
    (sums,) = calibration_sums(torch.randn(1, 8, 5, 7), torch.full((1, 5, 7), IGNORE))
    assert sums.num_pixels.tolist() == [0, 0]
    assert np.isnan(expected_calibration_error(sums))
    assert TEMPERATURES[best_temperature_index(sums)] == 1
    assert all(values.isnan().all() for values in reliability(sums))
    nothing = CalibrationSums.nothing()
    for name in ("nll", "counts", "confidence", "hits", "num_pixels"):
        ours, theirs = getattr(sums, name), getattr(nothing, name)
        assert torch.equal(ours, theirs)
        assert ours.dtype == theirs.dtype


def test_only_background_predicted_leaves_the_layers_without_an_error():
    logits = torch.zeros(1, 8, 1, 4)
    logits[:, 0] = 2
    (sums,) = calibration_sums(logits, torch.tensor([[[0, 0, 1, 0]]]), 1)
    assert sums.num_pixels.tolist() == [4, 0]
    assert np.isnan(expected_calibration_error(sums, group=1))
    assert expected_calibration_error(sums) == pytest.approx(abs(0.75 - np.exp(2) / (np.exp(2) + 7)))


def test_half_precision_is_read_as_float32():
    logits, mask = batch()
    ours, theirs = pooled(logits.half(), mask), pooled(logits.half().float(), mask)
    assert torch.equal(ours.nll, theirs.nll)
