"""Random changes of training batches, made in one go for a whole batch; labels and surfaces follow the pixels."""

from retseg.data.augmentation.flip_shift_gain import FlipShiftGain
from retseg.data.augmentation.protocol import Augmentation

__all__ = ["Augmentation", "FlipShiftGain"]
