import math

import pytest
import torch
import torch.nn.functional as F

from retseg.anatomy import IGNORE
from retseg.errors import InputError
from retseg.losses import CrossEntropyDice, dice_macro_soft, true_class_surprise

# One scan of 1 x 3 pixels, 2 classes; probabilities of class 1: 1/2, 3/4, 1/4.
LOGITS = torch.tensor([[[[0.0, 0.0, math.log(3)]], [[0.0, math.log(3), 0.0]]]])
MASK = torch.tensor([[[0, 1, 1]]])


def test_eq3_by_hand():
    cross_entropy = (math.log(2) - math.log(0.75) - math.log(0.25)) / 3
    dice = (0.5 + 0.75 + 0.25) / 3
    assert CrossEntropyDice()(LOGITS, MASK).item() == pytest.approx(cross_entropy + 0.5 * (1 - dice))


def test_the_papers_printed_loss_follows_eq3():
    """Table 1: 0.1354 = 0.1077 + 0.5 x (1 - 0.9446), and not the equal weighting of section 3.6."""
    assert pytest.approx(0.1354, abs=5e-5) == 0.1077 + 0.5 * (1 - 0.9446)


def test_micro_soft_dice_equals_the_formula_on_one_hot_masks():
    logits, mask = torch.randn(2, 4, 5, 7), torch.randint(0, 4, (2, 5, 7))
    probabilities, truth = logits.softmax(dim=1), F.one_hot(mask, 4).movedim(-1, 1)
    dice = 2 * (probabilities * truth).sum() / (probabilities.sum() + truth.sum())
    loss = CrossEntropyDice(ce_weight=0, dice_weight=1)(logits, mask)
    assert loss.item() == pytest.approx(1 - dice.item(), abs=1e-6)


def test_surprise_equals_torchs_cross_entropy():
    logits, mask = torch.randn(2, 4, 5, 7), torch.randint(-1, 4, (2, 5, 7))
    theirs = F.cross_entropy(logits, mask, ignore_index=IGNORE, reduction="none")
    assert torch.allclose(true_class_surprise(logits, mask), theirs, atol=1e-6)


def test_macro_soft_dice_by_hand_leaves_absent_classes_out():
    logits = torch.cat([LOGITS, torch.full((1, 1, 1, 3), -torch.inf)], dim=1)
    class_0 = 2 * 0.5 / (0.5 + 0.25 + 0.75 + 1)
    class_1 = 2 * (0.75 + 0.25) / (0.5 + 0.75 + 0.25 + 2)
    assert dice_macro_soft(logits, MASK, MASK != IGNORE).item() == pytest.approx((class_0 + class_1) / 2)


@pytest.mark.parametrize("reduction", ["micro_soft", "macro_soft"])
def test_pixels_that_nobody_annotated_change_nothing(reduction):
    loss = CrossEntropyDice(dice_reduction=reduction)
    logits, mask = torch.randn(1, 3, 4, 6), torch.randint(0, 3, (1, 4, 6))
    wider_logits = torch.cat([logits, torch.randn(1, 3, 4, 2)], dim=3)
    wider_mask = torch.cat([mask, torch.full((1, 4, 2), IGNORE)], dim=2)
    assert loss(wider_logits, wider_mask).item() == pytest.approx(loss(logits, mask).item(), abs=1e-6)


@pytest.mark.parametrize("reduction", ["micro_soft", "macro_soft"])
@pytest.mark.parametrize("class_weights", [None, [1.0, 2.0]])
def test_nothing_annotated_gives_zero_and_zero_gradients(reduction, class_weights):
    logits = LOGITS.clone().requires_grad_()
    loss = CrossEntropyDice(dice_reduction=reduction, class_weights=class_weights)(
        logits, torch.full((1, 1, 3), IGNORE)
    )
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().sum() == 0


def test_class_weights_weigh_as_torch_does():
    weights = [1.0, 4.0]
    loss = CrossEntropyDice(dice_weight=0, class_weights=weights)(LOGITS, MASK)
    assert loss.item() == pytest.approx(F.cross_entropy(LOGITS, MASK, weight=torch.tensor(weights)).item())


def test_refuses_wrong_settings():
    with pytest.raises(InputError, match="3 numbers for 8 classes"):
        CrossEntropyDice(class_weights=[1, 1, 1]).check(8)
    with pytest.raises(InputError, match="none below 0"):
        CrossEntropyDice(ce_weight=-1)
    with pytest.raises(InputError, match="neither micro_soft nor macro_soft"):
        CrossEntropyDice(dice_reduction="macro")


def test_focal_cross_entropy_by_hand_and_against_torchvision():
    from torchvision.ops import sigmoid_focal_loss

    focal = CrossEntropyDice(dice_weight=0, focal_gamma=2)(LOGITS, MASK)
    by_hand = -(0.5**2 * math.log(0.5) + 0.25**2 * math.log(0.75) + 0.75**2 * math.log(0.25)) / 3
    assert focal.item() == pytest.approx(by_hand)
    # Two classes: the softmax is a sigmoid of the difference of the logits.
    theirs = sigmoid_focal_loss(LOGITS[:, 1] - LOGITS[:, 0], MASK.float(), alpha=-1, gamma=2, reduction="mean")
    assert focal.item() == pytest.approx(theirs.item())


def test_focal_gradients_are_finite_where_a_pixel_is_certain():
    logits = torch.tensor([[[[50.0]], [[-50.0]]]], requires_grad=True)
    CrossEntropyDice(focal_gamma=2)(logits, torch.zeros(1, 1, 1, dtype=torch.long)).backward()
    assert torch.isfinite(logits.grad).all()


def test_refuses_a_negative_focal_gamma():
    with pytest.raises(InputError, match=r"loss\.focal_gamma: -1, expected 0"):
        CrossEntropyDice(focal_gamma=-1)
