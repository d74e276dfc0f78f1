import math

import pytest
import torch
import torch.nn.functional as F

from retseg.anatomy import IGNORE
from retseg.errors import InputError
from retseg.losses import Consistency, CrossEntropyDice, GeneralisedCrossEntropy, SymmetricCrossEntropy, WeightedSum

# One scan of 1 x 4 pixels, 2 classes; probabilities of the labelled class: 1/2, 3/4, 1/4; one without a label.
LOGITS = torch.tensor([[[[0.0, 0.0, math.log(3), 9]], [[0.0, math.log(3), 0.0, 0]]]])
MASK = torch.tensor([[[0, 1, 1, IGNORE]]])
LABELLED = (0.5, 0.75, 0.25)


def test_generalised_cross_entropy_by_hand():
    expected = sum((1 - p**0.7) / 0.7 for p in LABELLED) / 3
    assert GeneralisedCrossEntropy()(LOGITS, MASK).item() == pytest.approx(expected)


def test_generalised_cross_entropy_lies_between_cross_entropy_and_absolute_error():
    cross_entropy = CrossEntropyDice(dice_weight=0)(LOGITS, MASK).item()
    assert GeneralisedCrossEntropy(q=1e-4)(LOGITS, MASK).item() == pytest.approx(cross_entropy, rel=1e-3)
    assert GeneralisedCrossEntropy(q=1)(LOGITS, MASK).item() == pytest.approx(1 - sum(LABELLED) / 3)


def test_symmetric_cross_entropy_against_both_sums():
    truth = F.one_hot(MASK[0, 0, :3], 2)
    probabilities = LOGITS[0, :, 0, :3].softmax(dim=0).T
    reverse = -(probabilities * torch.where(truth == 1, 0.0, -4.0)).sum(dim=1).mean()
    forward = F.cross_entropy(LOGITS[0, :, 0, :3].T, MASK[0, 0, :3])
    loss = SymmetricCrossEntropy(forward_weight=0.3, reverse_weight=0.9)(LOGITS, MASK)
    assert loss.item() == pytest.approx((0.3 * forward + 0.9 * reverse).item(), rel=1e-6)


@pytest.mark.parametrize("robust", [GeneralisedCrossEntropy(), SymmetricCrossEntropy(forward_weight=0)])
def test_a_wrong_label_pulls_least_where_the_network_is_surest(robust):
    pulls = []
    for sure in (2.0, 5.0, 10.0):
        logits = torch.tensor([0.0, sure]).view(1, 2, 1, 1).requires_grad_()
        robust(logits, torch.zeros(1, 1, 1, dtype=torch.long)).backward()
        pulls.append(logits.grad.abs().max().item())
    assert pulls[0] > 3 * pulls[1] > 9 * pulls[2]


def test_consistency_is_torchs_divergence_and_leaves_the_target_alone():
    torch.manual_seed(0)
    logits, target = torch.randn(2, 3, 4, 5, requires_grad=True), torch.randn(2, 3, 4, 5, requires_grad=True)
    loss = Consistency()(logits, target)
    theirs = F.kl_div(logits.log_softmax(1), target.log_softmax(1), log_target=True, reduction="sum") / 40
    assert loss.item() == pytest.approx(theirs.item(), rel=1e-5)
    loss.backward()
    assert target.grad is None
    # Cross-entropy with soft labels has the same gradient.
    (gradient,) = torch.autograd.grad(F.cross_entropy(logits, target.softmax(1).detach()), logits)
    assert torch.allclose(logits.grad, gradient, atol=1e-6)


def test_consistency_leaves_unsure_targets_out():
    """The target's highest probabilities are 1/2, 3/4, 3/4."""
    target, logits = LOGITS[..., :3], torch.zeros(1, 2, 1, 3)
    sure = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert Consistency(min_confidence=0.7)(logits, target).item() == pytest.approx(sure, rel=1e-5)
    assert Consistency()(logits, target).item() == pytest.approx(2 * sure / 3, rel=1e-5)
    assert Consistency(min_confidence=0.9)(logits, target).item() == 0


def test_consistency_is_zero_for_two_equal_answers_and_finite_for_opposite_ones():
    logits = torch.tensor([1e4, -1e4]).view(1, 2, 1, 1).requires_grad_()
    assert Consistency()(logits, logits.detach()).item() == 0
    loss = Consistency()(logits, -logits.detach())
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_a_weighted_sum_by_hand():
    parts = [CrossEntropyDice(), GeneralisedCrossEntropy()]
    expected = 2 * parts[0](LOGITS, MASK) + 0.5 * parts[1](LOGITS, MASK)
    assert WeightedSum(parts, [2, 0.5])(LOGITS, MASK).item() == pytest.approx(expected.item())
    with pytest.raises(InputError, match="3 numbers for 8 classes"):
        WeightedSum([CrossEntropyDice(class_weights=[1, 1, 1])], [1]).check(8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GeneralisedCrossEntropy(q=0), r"loss.q: 0, expected more than 0"),
        (lambda: SymmetricCrossEntropy(forward_weight=-1), "expected none below 0, one above"),
        (lambda: SymmetricCrossEntropy(log_zero=0), "log_zero: 0, expected less than 0"),
        (lambda: Consistency(min_confidence=1), "min_confidence: 1, expected from 0"),
        (lambda: WeightedSum([CrossEntropyDice()], [1, 2]), "2 numbers for 1 losses; give one a loss"),
        (lambda: WeightedSum([CrossEntropyDice()], [-1]), "expected none below 0"),
    ],
)
def test_refuses_wrong_settings(make, message):
    with pytest.raises(InputError, match=message):
        make()
