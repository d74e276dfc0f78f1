"""Losses on logits (N, C, H, W) and class ids (N, H, W), and on surfaces and fluid.

Pixels labelled IGNORE take no part; a batch with nothing annotated gives 0.
"""

from retseg.losses.cross_entropy_dice import CrossEntropyDice, dice_macro_soft, dice_micro_soft
from retseg.losses.fluid import FluidCrossEntropyDice
from retseg.losses.joint import JointLoss
from retseg.losses.pixels import true_class_surprise
from retseg.losses.surfaces import SurfaceDistance

__all__ = [
    "CrossEntropyDice",
    "FluidCrossEntropyDice",
    "JointLoss",
    "SurfaceDistance",
    "dice_macro_soft",
    "dice_micro_soft",
    "true_class_surprise",
]
