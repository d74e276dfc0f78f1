"""What follows from the paper's printed numbers by arithmetic alone. No run, no image, no network."""

import math
from collections.abc import Iterable, Sequence


def iou_from_dice(dice: float) -> float:
    """IoU = D / (2 - D), exact for one pair of (soft) sets: D = 2I / (P + Y) and IoU = I / (P + Y - I)."""
    return dice / (2 - dice)


def dice_from_iou(iou: float) -> float:
    """Dice = 2 IoU / (1 + IoU), the inverse of `iou_from_dice`."""
    return 2 * iou / (1 + iou)


def rounded_range(value: float, decimals: int) -> tuple[float, float]:
    """Lowest and highest number that prints as value with so many decimals."""
    half = 0.5 * 10**-decimals
    return value - half, value + half


def iou_agrees(dice: float, iou: float, decimals: int = 4) -> bool:
    """Whether some Dice and IoU that print so obey IoU = D / (2 - D)."""
    low, high = (iou_from_dice(bound) for bound in rounded_range(dice, decimals))
    printed_low, printed_high = rounded_range(iou, decimals)
    return low <= printed_high and printed_low <= high


def implied_cross_entropy(loss: float, dice: float, weights: tuple[float, float]) -> float:
    """The cross-entropy that solves loss = weights[0] CE + weights[1] (1 - Dice)."""
    return (loss - weights[1] * (1 - dice)) / weights[0]


def least_cross_entropy(dice: float) -> float:
    """-log of a micro soft Dice, below which no mean cross-entropy on the same pixels can lie (Jensen).

    The micro soft Dice is the mean probability of the true class, and the mean of -log p is at least -log of the mean.
    """
    return -math.log(dice)


def mean(values: Iterable[float]) -> float:
    """Plain mean of some numbers."""
    numbers = list(values)
    return sum(numbers) / len(numbers)


def macro_iou(class_iou: Sequence[float], first_class: int) -> float:
    """Mean of IoU over the classes from first_class on (0: all; 1: layers)."""
    return mean(class_iou[first_class:])


def macro_dice(class_iou: Sequence[float], first_class: int) -> float:
    """Mean over the classes from first_class on of the Dice that each IoU implies, 2I / (1 + I)."""
    return mean(dice_from_iou(iou) for iou in class_iou[first_class:])


def alpha_at_softmax(num_classes: int, num_pixels: int, reduction: str) -> float:
    """Mean over channels of eq. 6 at the softmax output itself, for any network, class and image.

    The slope of the class's own channel is 1 at every pixel for a "sum" (1 / num_pixels for a "mean"), and 0 elsewhere.
    """
    return 1 / num_classes if reduction == "sum" else 1 / (num_classes * num_pixels)


def sum_agrees(values: Sequence[float], total: float, decimals: int) -> bool:
    """Whether numbers printed with so many decimals can have that sum: each may be off by half a last digit."""
    return bool(abs(math.fsum(values) - total) <= len(values) * 0.5 * 10**-decimals + 1e-12)


def printed_half_digit(value: float, digits: int) -> float:
    """Half a unit in the last of so many significant digits: what a printed value may be off."""
    return float(0.5 * 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1)) if value else 0.0


def alphas_cancel(values: Sequence[float], digits: int = 3) -> bool:
    """Whether values printed with so many significant digits can sum to 0 (below the softmax they must)."""
    return bool(abs(math.fsum(values)) <= math.fsum(printed_half_digit(value, digits) for value in values))


def accuracy_from_classes(recall_percent: Sequence[float], areas: Sequence[float]) -> float:
    """Accuracy = sum of recall times area over classes; areas are scaled to sum to 1."""
    total = math.fsum(areas)
    return math.fsum(r / 100 * a for r, a in zip(recall_percent, areas, strict=True)) / total


def precision_from(iou: float, recall: float) -> float:
    """Precision from 1/IoU = 1/precision + 1/recall - 1, where both are of the same pixels."""
    return 1 / (1 / iou - 1 / recall + 1)


def conv_parameters(kernel: int, channels_in: int, channels_out: int) -> int:
    """Weights and biases of a square convolution, transposed or not."""
    return kernel * kernel * channels_in * channels_out + channels_out


def segnet_parameters(widths: Sequence[int], num_classes: int) -> list[tuple[str, int]]:
    """Name and parameters of every layer of the authors' network, counted by hand from its encoder widths.

    Encoder blocks of two 3x3 convolutions; decoder blocks of a 3x3 transposed convolution to the width of their depth,
    concatenation with the encoder's output there, two 3x3 convolutions; a 1x1 head.
    """
    layers: list[tuple[str, int]] = []
    before = 1
    for block, width in enumerate(widths, start=1):
        layers += [
            (f"encoder {block}, convolution {n}", conv_parameters(3, c, width)) for n, c in ((1, before), (2, width))
        ]
        before = width
    for block, width in reversed(list(enumerate(widths, start=1))):
        layers.append((f"decoder {block}, transposed", conv_parameters(3, before, width)))
        layers += [
            (f"decoder {block}, convolution {n}", conv_parameters(3, c, width)) for n, c in ((1, 2 * width), (2, width))
        ]
        before = width
    return [*layers, ("head 1x1", conv_parameters(1, before, num_classes))]


def num_convolutions(last_name: str) -> int:
    """How many Conv2D layers there are if Keras calls the last one so: conv2d, conv2d_1, ... conv2d_20 are 21."""
    _, _, number = last_name.rpartition("_")
    return int(number) + 1 if number.isdigit() else 1


def paper_pixel_um(
    axial_um: float, lateral_um: float, old: tuple[int, int], new: tuple[int, int]
) -> tuple[float, float]:
    """Pixel size (axial, lateral) after an image of old (H, W) is resized to new."""
    return axial_um * old[0] / new[0], lateral_um * old[1] / new[1]


def largest_gap(pairs: Iterable[tuple[float, float]]) -> float:
    """Largest difference between training and validation over scores (train, val)."""
    return max(abs(train - val) for train, val in pairs)
