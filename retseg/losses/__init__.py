"""Losses on logits (N, C, H, W) and class ids (N, H, W), and on surfaces and fluid.

Pixels labelled IGNORE take no part; a batch with nothing annotated gives 0.
"""

from retseg.losses.boundary import ActiveContour, BoundaryDistance, BoundaryWeightedCrossEntropy
from retseg.losses.consistency import Consistency
from retseg.losses.cross_entropy_dice import CrossEntropyDice, dice_macro_soft, dice_micro_soft
from retseg.losses.fluid import FluidCrossEntropyDice
from retseg.losses.joint import JointLoss
from retseg.losses.noisy import GeneralisedCrossEntropy, SymmetricCrossEntropy
from retseg.losses.pixels import true_class_surprise
from retseg.losses.surfaces import SurfaceDistance
from retseg.losses.tversky import Tversky
from retseg.losses.weighted_sum import WeightedSum

__all__ = [
    "ActiveContour",
    "BoundaryDistance",
    "BoundaryWeightedCrossEntropy",
    "Consistency",
    "CrossEntropyDice",
    "FluidCrossEntropyDice",
    "GeneralisedCrossEntropy",
    "JointLoss",
    "SurfaceDistance",
    "SymmetricCrossEntropy",
    "Tversky",
    "WeightedSum",
    "dice_macro_soft",
    "dice_micro_soft",
    "true_class_surprise",
]
