"""Derivatives on paper against autograd, of every score over every region, in float64."""

import pytest
import torch

from retseg.explain.closed_form import ScoreGradient
from retseg.explain.regions import Band, Pixel, TrueLayer
from retseg.explain.score import Score

NUM, CLASSES, ROWS, COLUMNS = 2, 3, 4, 5
GENERATOR = torch.Generator().manual_seed(0)
LOGITS = 3 * torch.randn(NUM, CLASSES, ROWS, COLUMNS, dtype=torch.float64, generator=GENERATOR)

REGIONS = {
    "image": "image",
    "predicted": "predicted",
    "true": TrueLayer(torch.randint(-1, CLASSES, (NUM, ROWS, COLUMNS), generator=GENERATOR)),
    "pixel": Pixel(3, 1),
    "band": Band(torch.tensor([[1.0, 2.0, torch.nan, 0.0, 3.5], [2.0, 2.0, 2.0, 2.0, 2.0]]), 1.5),
    "mask of all": torch.arange(COLUMNS).expand(ROWS, COLUMNS) % 2 == 0,
    "mask of scans": torch.rand(NUM, ROWS, COLUMNS, generator=GENERATOR) > 0.5,
    "mask of classes": torch.rand(NUM, CLASSES, ROWS, COLUMNS, generator=GENERATOR) > 0.5,
    "nothing": torch.zeros(ROWS, COLUMNS, dtype=torch.bool),
}


def by_autograd(score, class_id):
    leaf = LOGITS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(score.values(leaf)[:, class_id].sum(), leaf)
    return gradient


@pytest.mark.parametrize("of", ["probability", "log_probability", "logit"])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("over", REGIONS)
def test_at_the_logits(of, reduction, over):
    score = Score(of, reduction, REGIONS[over])
    on_paper = ScoreGradient(score, LOGITS)
    found = torch.stack([on_paper.at_logits(class_id) for class_id in range(CLASSES)], 1)
    expected = torch.stack([by_autograd(score, class_id) for class_id in range(CLASSES)], 1)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(on_paper.logit_slopes(), expected.mean((3, 4)))
    assert bool(expected.any()) is (over != "nothing")


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("over", REGIONS)
def test_at_the_softmax(reduction, over):
    score = Score("probability", reduction, REGIONS[over])
    on_paper = ScoreGradient(score, LOGITS)
    for class_id in range(CLASSES):
        leaf = LOGITS.softmax(1).requires_grad_()
        total = (on_paper.weights.expand_as(leaf) * leaf)[:, class_id].sum()
        (expected,) = torch.autograd.grad(total, leaf)
        torch.testing.assert_close(on_paper.at_softmax(class_id), expected)
        torch.testing.assert_close(on_paper.probability_slopes()[:, class_id], expected.mean((2, 3)))


def test_digits_are_kept_where_the_network_is_sure():
    logits = torch.tensor([20.0, 0.0]).view(1, 2, 1, 1)
    tail = torch.tensor(-20.0, dtype=torch.float64).exp().item()  # P_2; in float32 1 - P_1 rounds to 0
    for of in ("probability", "log_probability"):
        on_paper = ScoreGradient(Score(of), logits)
        assert on_paper.at_logits(0).flatten().tolist() == pytest.approx([tail, -tail], rel=1e-5)
        assert on_paper.logit_slopes()[0, 0].tolist() == pytest.approx([tail, -tail], rel=1e-5)
