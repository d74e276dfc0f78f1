"""Every loss on logits and masks, for what all of them promise."""

from retseg.losses import (
    ActiveContour,
    BoundaryDistance,
    BoundaryWeightedCrossEntropy,
    CrossEntropyDice,
    GeneralisedCrossEntropy,
    SymmetricCrossEntropy,
    Tversky,
    WeightedSum,
)

EVERY_LOSS = {
    "eq3": CrossEntropyDice(),
    "macro": CrossEntropyDice(dice_reduction="macro_soft"),
    "focal": CrossEntropyDice(focal_gamma=2, class_weights=[1, 2, 3, 4]),
    "tversky": Tversky(),
    "focal_tversky": Tversky(power=0.75),
    "boundary_weighted": BoundaryWeightedCrossEntropy(),
    "boundary_distance": BoundaryDistance(),
    "active_contour": ActiveContour(),
    "generalised": GeneralisedCrossEntropy(),
    "symmetric": SymmetricCrossEntropy(),
    "sum": WeightedSum([CrossEntropyDice(), BoundaryDistance()], [1.0, 0.5]),
}
