"""Regions by hand, on 5 rows by 3 columns."""

import pytest
import torch

from retseg.errors import InputError
from retseg.explain.regions import Band, Pixel, TrueLayer
from retseg.explain.score import Score

LOGITS = torch.zeros(2, 8, 5, 3)
MASK = torch.tensor([[[0, 0, 0], [1, 0, -1], [1, 1, 0], [2, 2, 0], [0, 0, 0]], [[0] * 3] * 5])


def test_the_true_layer_counts_its_pixels_and_ignored_ones_for_no_class():
    counted = TrueLayer(MASK).counted(LOGITS)
    assert counted.shape == (2, 8, 5, 3)
    assert counted[0, 1].nonzero().tolist() == [[1, 0], [2, 0], [2, 1]]
    assert counted.sum((2, 3)).tolist() == [[9, 3, 2, 0, 0, 0, 0, 0], [15, 0, 0, 0, 0, 0, 0, 0]]


def test_a_pixel_is_one_pixel_of_every_class():
    assert Pixel(4, 2).counted(LOGITS).nonzero().tolist() == [[0, 0, 4, 2]]
    assert Score("logit", over=Pixel(4, 2)).values(LOGITS + 3).unique().tolist() == [3]


def test_a_band_is_as_wide_above_a_surface_as_below_it():
    counted = Band(torch.tensor([2.0, 0.0, torch.nan]), 2).counted(LOGITS)
    assert counted.shape == (1, 1, 5, 3)
    assert counted[0, 0, :, 0].tolist() == [
        True,
        True,
        True,
        True,
        False,
    ]  # rows 0, 1 above the edge of row 2, 2, 3 below
    assert counted[0, 0, :, 1].tolist() == [True, True, False, False, False]
    assert not counted[0, 0, :, 2].any()
    half = Band(torch.tensor([[2.5, 2.5, 2.5], [0.5, 0.5, 0.5]]), 0.5).counted(LOGITS)
    assert half[:, 0, :, 0].float().argmax(1).tolist() == [2, 0]
    assert half.sum() == 6


def test_a_band_around_a_surface_of_a_mask():
    band = Band.around(MASK, 1, 1, "NFL/GCL")  # under class 1: above row 3 in two columns, none elsewhere
    assert band.rows[0].tolist()[:2] == [3, 3]
    assert band.rows[1].isnan().all()
    assert band.counted(LOGITS)[0, 0, :, 0].tolist() == [False, False, True, True, False]
    assert Score(over=band).describe() == (
        "sum over a band of 1 px to either side of NFL/GCL of the softmax probability of class c"
    )


def test_parts_of_a_batch():
    second = slice(1, 2)
    assert torch.equal(TrueLayer(MASK).part(second).mask, MASK[1:])
    assert Band(torch.tensor([[1.0], [2.0]]), 1).part(second).rows.tolist() == [[2]]
    assert Band(torch.tensor([1.0]), 1).part(second).rows.tolist() == [1]
    assert Pixel(1, 2).part(second) == Pixel(1, 2)
    assert Score(over=MASK == 1).part(second).over.shape == (1, 5, 3)
    assert Score(over=MASK[0] == 1).part(second).over.shape == (5, 3)
    assert Score(over=(MASK == 1)[:1]).part(second).over.shape == (1, 5, 3)
    assert isinstance(Score(over=TrueLayer(MASK)).part(second).over, TrueLayer)
    assert Score(over="predicted").part(second).over == "predicted"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TrueLayer(MASK[0]), r"a true mask of shape \(5, 3\) and torch.int64"),
        (lambda: TrueLayer(MASK == 1), "torch.bool; expected class ids"),
        (lambda: TrueLayer(MASK[:, :4]).counted(LOGITS), r"a mask of shape \(2, 4, 3\)"),
        (lambda: Pixel(5, 0).counted(LOGITS), r"pixel \(5, 0\) lies outside 5 x 3; rows run from 0 to 4"),
        (lambda: Pixel(0, -1).counted(LOGITS), r"pixel \(0, -1\) lies outside"),
        (lambda: Band(torch.zeros(3), 0.4), "half-width 0.4 px, expected at least 0.5"),
        (lambda: Band(torch.zeros(1, 1, 3), 1), r"surface rows of shape \(1, 1, 3\)"),
        (lambda: Band(torch.zeros(4), 1).counted(LOGITS), r"surface rows of shape \(4,\) for logits"),
        (lambda: Band(torch.zeros(3, 3), 1).counted(LOGITS), r"surface rows of shape \(3, 3\) for logits"),
        (lambda: Band.around(MASK, 8, 1), r"surface 8, expected 0 \(ILM\) to 7 \(BM\)"),
    ],
)
def test_regions_that_do_not_fit(make, message):
    with pytest.raises(InputError, match=message):
        make()
