import math

import pytest
import torch

from retseg.errors import InputError
from retseg.losses import CrossEntropyDice, Tversky

# One scan of 1 x 3 pixels, 2 classes; probabilities of class 1: 1/2, 3/4, 1/4.
LOGITS = torch.tensor([[[[0.0, 0.0, math.log(3)]], [[0.0, math.log(3), 0.0]]]])
MASK = torch.tensor([[[0, 1, 1]]])


def test_by_hand():
    """Class 0: TP 1/2, FP 1, FN 1/2; class 1: TP 1, FP 1/2, FN 1."""
    lack_0, lack_1 = 1 - 0.5 / (0.5 + 0.3 * 1 + 0.7 * 0.5), 1 - 1 / (1 + 0.3 * 0.5 + 0.7 * 1)
    assert Tversky()(LOGITS, MASK).item() == pytest.approx((lack_0 + lack_1) / 2)
    assert Tversky(power=0.75)(LOGITS, MASK).item() == pytest.approx((lack_0**0.75 + lack_1**0.75) / 2)


def test_against_monai():
    from monai.losses import TverskyLoss

    torch.manual_seed(0)
    logits, mask = torch.randn(3, 4, 5, 7), torch.randint(0, 4, (3, 5, 7))
    monai = TverskyLoss(softmax=True, to_onehot_y=True, batch=True, alpha=0.2, beta=0.8, smooth_nr=0, smooth_dr=0)
    assert Tversky(0.2, 0.8)(logits, mask).item() == pytest.approx(monai(logits, mask[:, None]).item(), rel=1e-5)


def test_halves_are_macro_dice():
    torch.manual_seed(0)
    logits, mask = torch.randn(3, 4, 5, 7), torch.randint(-1, 3, (3, 5, 7))  # class 3 is absent
    dice = CrossEntropyDice(ce_weight=0, dice_weight=1, dice_reduction="macro_soft")
    assert Tversky(0.5, 0.5)(logits, mask).item() == pytest.approx(dice(logits, mask).item(), rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"false_positives": -1}, "expected none below 0 and one above; 0.5 and 0.5 is Dice"),
        ({"false_positives": 0, "false_negatives": 0}, "one above"),
        ({"power": 0}, r"loss.power: 0, expected more than 0"),
    ],
)
def test_refuses_wrong_settings(settings, message):
    with pytest.raises(InputError, match=message):
        Tversky(**settings)
