"""The arithmetic of the paper's printed numbers, done in the open: each step in figures, then what follows."""

import math
from dataclasses import dataclass

from retseg.reproduction import arithmetic as sums
from retseg.reproduction.claims.data import NUM_DUKE_IMAGES
from retseg.reproduction.paper_values import (
    NUM_DUKE_BSCANS_PER_SUBJECT,
    NUM_DUKE_GRADERS,
    NUM_DUKE_SUBJECTS,
    Paper,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One matter that the paper's numbers settle: its arithmetic, what follows, and which claims it bears on."""

    title: str
    lines: tuple[str, ...]
    conclusion: str
    claims: tuple[str, ...]


def worked_steps(paper: Paper) -> tuple[Step, ...]:
    """All of them, in the order of the paper."""
    return (
        _images(paper), _parameters(paper), _loss(paper), _dice_and_iou(paper), _micro_and_macro(paper),
        _same_scores(paper), _classes(paper), _recall(paper), _alpha_20(paper), _alpha_19(paper), _areas(paper),
    )  # fmt: skip


def _images(paper: Paper) -> Step:
    product = f"{NUM_DUKE_SUBJECTS} eyes x {NUM_DUKE_BSCANS_PER_SUBJECT} B-scans x {NUM_DUKE_GRADERS} graders"
    return Step(
        f"{paper.num_images} images, not {paper.num_volumes} volumes",
        (
            f"{product} = {NUM_DUKE_IMAGES}",
            f"{NUM_DUKE_IMAGES} / {NUM_DUKE_GRADERS} = {NUM_DUKE_IMAGES // NUM_DUKE_GRADERS} different pictures",
        ),
        f"There are {NUM_DUKE_SUBJECTS} volumes, and every annotated picture is there twice, once for each grader.",
        ("P1", "P10"),
    )


def _parameters(paper: Paper) -> Step:
    layers = sums.segnet_parameters(paper.encoder_widths, paper.num_classes)
    parts = {part: sum(n for name, n in layers if name.startswith(part)) for part in ("encoder", "decoder", "head")}
    convolutions = sum("convolution" in name or "head" in name for name, _ in layers)
    return Step(
        f"{convolutions} convolutions, {sum(parts.values()):,} parameters",
        (
            "3x3: 9 x in x out + out; 1x1: in x out + out",
            " + ".join(f"{count:,} ({part})" for part, count in parts.items()) + f" = {sum(parts.values()):,}",
            f"conv2d, conv2d_1, ... {paper.last_convolution}: {sums.num_convolutions(paper.last_convolution)}; "
            f"counted: {convolutions} besides the transposed ones",
        ),
        "The names in section 4.4 fit the network of the authors' code, which has no pooling indices.",
        ("P13", "P14", "P15"),
    )


def _loss(paper: Paper) -> Step:
    loss, dice = paper.loss[1], paper.dice[1]
    lines = []
    for label, weights in (("eq. 3", paper.equation_3_weights), ("equal weights", paper.section_3_6_weights)):
        entropy = sums.implied_cross_entropy(loss, dice, weights)
        lines.append(f"{label}: {loss} = {weights[0]:g} x CE + {weights[1]:g} x (1 - {dice}), so CE = {entropy:.4f}")
    lines.append(f"least possible: -log {dice} = {sums.least_cross_entropy(dice):.4f}")
    return Step(
        "Two readings of the loss",
        tuple(lines),
        "Eq. 3 and equal weighting are different losses. Both give a possible cross-entropy, and the paper prints "
        "none, so its numbers alone do not say which was used; the authors' code has eq. 3.",
        ("P24", "P26"),
    )


def _dice_and_iou(paper: Paper) -> Step:
    lines = tuple(
        f"{dice:.4f} / (2 - {dice:.4f}) = {sums.iou_from_dice(dice):.4f}; printed {iou:.4f}"
        for dice, iou in zip(paper.dice, paper.iou, strict=True)
    )
    agree = all(sums.iou_agrees(*pair) for pair in zip(paper.dice, paper.iou, strict=True))
    conclusion = "IoU is Dice again, within rounding." if agree else "IoU and Dice are not of the same sets."
    return Step("IoU from Dice", lines, conclusion, ("P25", "P27", "P37"))


def _micro_and_macro(paper: Paper) -> Step:
    iou = paper.class_iou
    lines = tuple(
        f"{label}: mean IoU {sums.macro_iou(iou, first):.3f}, mean Dice 2I/(1+I) {sums.macro_dice(iou, first):.3f}"
        for label, first in (("8 classes of Table 2", 0), ("7 layers", 1))
    )
    return Step(
        "Micro and macro",
        (*lines, f"Table 1: IoU {paper.iou[1]}, Dice {paper.dice[1]}"),
        "Table 1 pools pixels, so that background decides; the mean over layers of the same network's Dice is "
        f"{paper.dice[1] - sums.macro_dice(iou, 1):.3f} lower.",
        ("P25", "P37", "P40"),
    )


def _same_scores(paper: Paper) -> Step:
    names = ("accuracy", "Dice", "IoU", "loss")
    pairs = (paper.accuracy, paper.dice, paper.iou, paper.loss)
    words = ", ".join(f"{name} {abs(a - b):.4f}" for name, (a, b) in zip(names, pairs, strict=True))
    return Step(
        "Training equals validation",
        (f"differences between the columns of Table 1: {words}",),
        f"No more than {sums.largest_gap(pairs):.4f}. On new patients a network does worse than on its own training "
        "scans; equal scores are what a leak looks like.",
        ("P10", "P37"),
    )


def _classes(paper: Paper) -> Step:
    lines = tuple(
        f"class {c}: {paper.class_iou[c]:.2f} {_above(paper.class_iou[c], paper.strong_iou)}"
        for c in paper.strong_classes
    )
    return Step(
        "Classes 2, 5 and 6 above .85",
        lines,
        "The text of section 4.3 is wrong about class 6: it ties with class 1, which the text calls moderate.",
        ("P40",),
    )


def _above(value: float, limit: float) -> str:
    return f"is {'above' if value > limit else 'not above'} {limit}"


def _recall(paper: Paper) -> Step:
    accuracy = sums.accuracy_from_classes(paper.class_accuracy_percent, paper.mean_20)
    precision = [
        sums.precision_from(iou, percent / 100)
        for iou, percent in zip(paper.class_iou, paper.class_accuracy_percent, strict=True)
    ]
    return Step(
        "Table 2's accuracy is recall",
        (
            f"sum of accuracy x area (Table 3) = {accuracy:.4f}; Table 1 prints {paper.accuracy[1]}",
            f"precision from 1/IoU = 1/P + 1/R - 1: {' '.join(f'{value:.2f}' for value in precision)}",
        ),
        "Weighted by area the class values give about the overall accuracy, as recalls must (the areas are of one "
        "scan), and every precision that follows is possible.",
        ("P27", "P40"),
    )


def _alpha_20(paper: Paper) -> Step:
    height, width = paper.input_size
    by = {r: sums.alpha_at_softmax(paper.num_classes, height * width, r) for r in ("sum", "mean")}
    return Step(
        "0.125 is one eighth",
        (
            "slope of the sum of class c's softmax: 1 in channel c, 0 in the other seven",
            f"mean over channels: 1 / {paper.num_classes} = {by['sum']:.3f}; of a mean over pixels {by['mean']:.1e}",
        ),
        "Every network gives this for every class and image. The score was a sum, not the mean in the code.",
        ("P45", "P47", "P52"),
    )


def _alpha_19(paper: Paper) -> Step:
    total = math.fsum(paper.alpha_19)
    rounding = math.fsum(sums.printed_half_digit(value, 3) for value in paper.alpha_19)
    return Step(
        "The alphas of Conv2d_19 do not cancel",
        (" ".join(f"{value:+.2e}" for value in paper.alpha_19), f"sum {total:.2e}; rounding allows {rounding:.0e}"),
        "The softmax of all classes sums to 1 at every pixel, so slopes with respect to anything below it must cancel. "
        "How this row was made is not known.",
        ("P43",),
    )


def _areas(paper: Paper) -> Step:
    means = " + ".join(f"{value:.3f}" for value in paper.mean_20)
    return Step(
        "Mean intensities at Conv2d_20 are areas",
        (f"{means} = {math.fsum(paper.mean_20):.3f}", f"of Conv2d_19: {math.fsum(paper.mean_19):.3f}, no such sum"),
        f"The map there is the probability itself: background fills {paper.mean_20[0]:.1%} of that scan. So class 0 "
        "has the strongest map, not the weakest, and is no layer.",
        ("P3", "P49", "P50"),
    )
