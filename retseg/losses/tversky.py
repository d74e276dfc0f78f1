"""Overlap losses that weigh missed pixels against false ones."""

from torch import Tensor, nn

from retseg.anatomy import IGNORE
from retseg.errors import InputError
from retseg.losses.pixels import is_class


class Tversky(nn.Module):
    """Mean over the classes present in the batch of (1 - T_c)^power, with the Tversky index T_c of class c.

    T_c = TP / (TP + false_positives x FP + false_negatives x FN), soft counts pooled over the annotated pixels of the
    batch (Salehi et al. 2017, doi 10.1007/978-3-319-67389-9_44). 0.5 and 0.5 is the macro Dice loss; more weight on
    false negatives finds more of a thin layer. power below 1 is the focal Tversky loss, 0.75 there (Abraham & Khan
    2019, doi 10.1109/ISBI.2019.8759329). Nothing annotated gives 0.
    """

    def __init__(self, false_positives: float = 0.3, false_negatives: float = 0.7, power: float = 1.0) -> None:
        super().__init__()
        if false_positives < 0 or false_negatives < 0 or false_positives + false_negatives == 0:
            raise InputError(
                f"loss: false_positives {false_positives} and false_negatives {false_negatives}, expected none below 0 "
                "and one above; 0.5 and 0.5 is Dice"
            )
        if power <= 0:
            raise InputError(f"loss.power: {power}, expected more than 0; 1 is the plain Tversky loss")
        self.false_positives, self.false_negatives, self.power = false_positives, false_negatives, power

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Scalar loss."""
        truth = is_class(mask, logits.shape[1])
        probabilities = logits.softmax(dim=1) * (mask != IGNORE).unsqueeze(1)
        hits = (probabilities * truth).sum(dim=(0, 2, 3))
        num_true = truth.sum(dim=(0, 2, 3))
        false_positives = probabilities.sum(dim=(0, 2, 3)) - hits
        weighed = self.false_positives * false_positives + self.false_negatives * (num_true - hits)
        # Far from 0 even where T is 1: the slope of x^0.75 is infinite there.
        lack = (weighed / (hits + weighed).clamp(min=1e-6)).clamp(min=1e-6) ** self.power
        is_present = num_true > 0
        return (lack * is_present).sum() / is_present.sum().clamp(min=1)
