"""Each sum against numbers worked by hand."""

import math

import pytest

from retseg.reproduction import arithmetic as sums
from retseg.reproduction.paper_values import PAPER


def test_iou_from_dice_is_the_papers_within_rounding():
    assert sums.iou_from_dice(0.9446) == pytest.approx(0.8950, abs=5e-5)  # 0.9446 / 1.0554
    assert sums.iou_from_dice(0.9445) == pytest.approx(0.8948, abs=5e-5)
    assert sums.dice_from_iou(sums.iou_from_dice(0.3)) == pytest.approx(0.3)
    assert sums.iou_agrees(0.9446, 0.8951), "0.94465 would give 0.89511, which prints as 0.8951"
    assert not sums.iou_agrees(0.9446, 0.8953)
    assert not sums.iou_agrees(0.9446, 0.8947)


def test_the_loss_leaves_a_cross_entropy():
    # 0.1354 - 0.5 x 0.0554 = 0.1077; with both weights 0.5 that is half of it
    assert sums.implied_cross_entropy(0.1354, 0.9446, (1, 0.5)) == pytest.approx(0.1077)
    assert sums.implied_cross_entropy(0.1354, 0.9446, (0.5, 0.5)) == pytest.approx(0.2154)
    assert sums.least_cross_entropy(0.9446) == pytest.approx(0.0570, abs=5e-5)


def test_no_mean_cross_entropy_lies_below_the_bound():
    probabilities = [0.99, 0.5, 0.8, 0.2]
    entropy = -sum(map(math.log, probabilities)) / 4
    assert sums.least_cross_entropy(sum(probabilities) / 4) <= entropy


def test_macro_means_of_table_2():
    assert sums.macro_iou(PAPER.class_iou, 0) == pytest.approx(6.56 / 8)
    assert sums.macro_iou(PAPER.class_iou, 1) == pytest.approx(5.57 / 7)
    assert sums.macro_dice(PAPER.class_iou, 0) == pytest.approx(0.898, abs=5e-4)
    assert sums.macro_dice(PAPER.class_iou, 1) == pytest.approx(0.884, abs=5e-4)
    assert sums.macro_dice((1.0, 0.5), 0) == pytest.approx((1 + 2 / 3) / 2)


def test_alpha_at_the_softmax():
    assert sums.alpha_at_softmax(8, 65536, "sum") == 0.125
    assert sums.alpha_at_softmax(8, 65536, "mean") == 1 / 524288


def test_sums_of_table_3():
    assert sums.sum_agrees(PAPER.mean_20, 1.0, 3)
    assert not sums.sum_agrees(PAPER.mean_19, 1.0, 3)
    assert not sums.sum_agrees((0.5, 0.502), 1.0, 3), "two values can be off by 0.001 together, not by 0.002"
    assert math.fsum(PAPER.alpha_19) == pytest.approx(-1.7354e-4)
    assert not sums.alphas_cancel(PAPER.alpha_19)
    assert sums.alphas_cancel((1.00e-4, -9.99e-5))
    assert sums.printed_half_digit(9.81e-5, 3) == pytest.approx(5e-8)
    assert sums.printed_half_digit(0.0, 3) == 0


def test_recalls_weighted_by_area_give_the_accuracy():
    assert sums.accuracy_from_classes((100, 50), (3, 1)) == pytest.approx(0.875)
    # 2 hits, 1 missed, 1 too many: recall 2/3, precision 2/3, IoU 2/4
    assert sums.precision_from(0.5, 2 / 3) == pytest.approx(2 / 3)


def test_parameters_by_hand():
    assert sums.conv_parameters(3, 2, 5) == 95  # 9 x 2 x 5 weights, 5 biases
    layers = dict(sums.segnet_parameters(PAPER.encoder_widths, 8))
    assert layers["encoder 1, convolution 1"] == 9 * 64 + 64
    assert layers["decoder 5, transposed"] == 9 * 512 * 512 + 512
    assert layers["decoder 5, convolution 1"] == 9 * 1024 * 512 + 512
    assert layers["head 1x1"] == 64 * 8 + 8
    assert sum(layers.values()) == 32_153_864
    assert len(layers) == 26


def test_names_count_convolutions_from_conv2d_on():
    assert sums.num_convolutions("Conv2d_20") == 21
    assert sums.num_convolutions("conv2d") == 1


def test_resizing_216_x_500_to_a_square_changes_the_pixel():
    axial, lateral = sums.paper_pixel_um(3.87, 11.33, (216, 500), (256, 256))
    assert (axial, lateral) == (pytest.approx(3.265, abs=1e-3), pytest.approx(22.13, abs=5e-3))


def test_training_and_validation_differ_by_half_a_thousandth_at_most():
    pairs = (PAPER.accuracy, PAPER.dice, PAPER.iou, PAPER.loss)
    assert sums.largest_gap(pairs) == pytest.approx(0.0005)
