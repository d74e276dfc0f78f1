import pytest
import torch

from retseg.errors import InputError
from retseg.explain.closed_form import ScoreGradient
from retseg.explain.score import Score

LOGITS = torch.tensor([[[0.0, 2.0, 1.0]], [[1.0, 0.0, 0.0]]])[None]  # (1, 2, 1, 3): class 1, then class 0 twice


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (Score("logit"), [3, 1]),
        (Score("logit", "mean"), [1, 1 / 3]),
        (Score("logit", "sum", "predicted"), [3, 1]),
        (Score("logit", "mean", "predicted"), [1.5, 1]),
        (Score("logit", "sum", torch.tensor([[True, True, False]])), [2, 1]),
        (Score("logit", "mean", torch.tensor([[True, True, False]])), [1, 0.5]),
        (Score("logit", "sum", torch.tensor([[[True, False, False]]])), [0, 1]),
        (Score("logit", "sum", torch.tensor([[[[True, False, True]], [[False, True, False]]]])), [1, 0]),
        (Score("logit", "mean", torch.zeros(1, 3, dtype=torch.bool)), [0, 0]),
    ],
)
def test_values_by_hand(score, expected):
    torch.testing.assert_close(score.values(LOGITS), torch.tensor([expected], dtype=torch.float32))


def test_probabilities_sum_to_the_number_of_pixels():
    assert Score().values(LOGITS).sum().item() == pytest.approx(3)


@pytest.mark.parametrize("of", ["probability", "logit"])
@pytest.mark.parametrize("over", ["image", "predicted"])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_slopes_are_the_gradient_of_the_values(of, over, reduction):
    score = Score(of, reduction, over)
    logits = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gradients = [
        torch.autograd.grad(score.values(leaf)[:, class_id].sum(), leaf)[0].mean((2, 3))
        for class_id in range(3)
        for leaf in [logits.clone().requires_grad_()]
    ]
    torch.testing.assert_close(ScoreGradient(score, logits).logit_slopes(), torch.stack(gradients, 1))


def test_slopes_keep_their_digits_where_the_network_is_sure():
    logits = torch.tensor([20.0, 0.0]).view(1, 2, 1, 1)
    tail = torch.tensor(-20.0, dtype=torch.float64).exp().item()  # P_2; in float32 1 - P_1 rounds to 0
    assert ScoreGradient(Score(), logits).logit_slopes()[0, 0].tolist() == pytest.approx([tail, -tail], rel=1e-5)


def test_describe():
    assert Score().describe() == "sum over the image of the softmax probability of class c"
    assert (
        Score("logit", "mean", "predicted").describe() == "mean over the pixels predicted as c of the logit of class c"
    )
    assert "a given mask" in Score(over=torch.ones(2, 3, dtype=torch.bool)).describe()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"of": "softmax"}, "score.of: 'softmax', expected one of probability, log_probability, logit"),
        ({"reduction": "max"}, "score.reduction: 'max', expected one of sum, mean"),
        ({"over": "region"}, "score.over: 'region', expected one of image, predicted"),
        ({"over": torch.ones(2, 3)}, "score.over: a mask of torch.float32, expected torch.bool"),
    ],
)
def test_wrong_words_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        Score(**settings)


@pytest.mark.parametrize("shape", [(3,), (3, 1), (2, 1, 3), (1, 3, 1, 3)])
def test_masks_of_another_size_are_refused(shape):
    with pytest.raises(InputError, match=r"score.over: a mask of shape .* for logits \(1, 2, 1, 3\)"):
        Score(over=torch.ones(shape, dtype=torch.bool)).values(LOGITS)
