"""Random changes of training batches, made in one go for a whole batch; labels and surfaces follow the pixels."""

from retseg.data.augmentation.flip_shift_gain import FlipShiftGain
from retseg.data.augmentation.movements import Elastic, Flip, Scale, Shear, Shift
from retseg.data.augmentation.noise import Noise, Speckle
from retseg.data.augmentation.optics import Blur, LowerResolution, Shadow
from retseg.data.augmentation.protocol import Augmentation, Compose
from retseg.data.augmentation.tone import Contrast, Gain, Gamma, ToneCurve
from retseg.data.augmentation.warp import Warp

__all__ = [
    "Augmentation",
    "Blur",
    "Compose",
    "Contrast",
    "Elastic",
    "Flip",
    "FlipShiftGain",
    "Gain",
    "Gamma",
    "LowerResolution",
    "Noise",
    "Scale",
    "Shadow",
    "Shear",
    "Shift",
    "Speckle",
    "ToneCurve",
    "Warp",
]
