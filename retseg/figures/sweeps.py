"""Pictures of sweeps: two kinds of run subject by subject, and the differences of many to one reference."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from retseg.figures.captions import describe
from retseg.figures.palette import MARK, REFERENCE


@dataclass(frozen=True)
class DifferenceBar:
    """One line of `differences`: a name, a difference to the reference with its interval, and a remark beside it."""

    name: str
    difference: float
    low: float
    high: float
    remark: str = ""


def paired_subjects(
    subjects: Sequence[str],
    left: Sequence[float],
    right: Sequence[float],
    arms: tuple[str, str],
    score: str,
    caption: str,
) -> Figure:
    """A line a subject from its score in one arm to that in the other, and the means over subjects in bold."""
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    axis = figure.subplots()
    for subject, *values in zip(subjects, left, right, strict=True):
        axis.plot([0, 1], values, marker="o", color="0.65", linewidth=1)
        axis.annotate(subject, (1, values[1]), xytext=(7, 0), textcoords="offset points", fontsize=8, va="center")
    means = [float(np.mean(left)), float(np.mean(right))]
    axis.plot([0, 1], means, marker="o", color=MARK, linewidth=3, label="mean over subjects")
    for place, mean in enumerate(means):
        shift = -34 if place == 0 else 34
        axis.annotate(
            f"{mean:.3f}", (place, mean), xytext=(shift, 0), textcoords="offset points", color=MARK, weight="bold",
            ha="center", va="center",
        )  # fmt: skip
    axis.set_xticks([0, 1], arms)
    axis.set(xlim=(-0.35, 1.35), ylabel=score)
    figure.legend(loc="outside lower center", frameon=False, fontsize=8.5)
    definitions = "Gray: a subject, its score in either arm. Blue: the mean of the subjects."
    return describe(figure, f"{_upper(score)}, subject by subject", definitions, caption)


def differences(bars: Sequence[DifferenceBar], score: str, reference: str, caption: str) -> Figure:
    """A point a variant, its difference to the reference with the interval over subjects; 0 is the reference."""
    figure = Figure(figsize=(8.6, 1.6 + 0.36 * len(bars)), layout="constrained")
    axis = figure.subplots()
    axis.axvline(0, color=REFERENCE, linewidth=1.2, label=reference)
    for row, bar in enumerate(bars):
        axis.plot([bar.low, bar.high], [row, row], color=MARK, linewidth=2)
        axis.plot(bar.difference, row, marker="o", color=MARK)
        axis.text(1.01, row, bar.remark, transform=axis.get_yaxis_transform(), va="center", fontsize=8)
    axis.set_yticks(range(len(bars)), [bar.name for bar in bars])
    axis.set_ylim(len(bars) - 0.5, -0.5)
    axis.set_xlabel(f"difference in {score}")
    axis.grid(axis="x", color="0.9")
    figure.legend(loc="outside lower center", frameon=False, fontsize=8.5)
    definitions = (
        f"Dots: mean over subjects of the paired difference to {reference}; to the right of 0 the score is higher. "
        "Lines: its 95 % interval over subjects."
    )
    return describe(figure, f"{_upper(score)}: difference to {reference}", definitions, caption)


def _upper(score: str) -> str:
    """A score as a heading begins with it."""
    return score[:1].upper() + score[1:]
