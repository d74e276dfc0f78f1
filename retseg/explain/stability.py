"""Does a map stay the same where it should? Another training seed, noise, a mirrored scan, the other grader's labels.

N scans, C classes, H x W pixels. The prediction is measured beside every explainer: a map can hardly be steadier than
what it explains, and need not be blamed for what the network itself does.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from retseg.errors import InputError
from retseg.explain.baselines import Explainer, prediction
from retseg.explain.beyond_baselines import mean_interval, subject_means
from retseg.explain.sanity import only_where, predicted_somewhere
from retseg.explain.similarity import Similarity, similarity

Outcome = Literal["stable", "unstable", "undecided", "unknown"]

STABLE_BOUND = 0.7
"""Rank correlation. Above what a map may keep without a trained network (`sanity.RANK_BOUND`), by a margin."""

CONTROL = "prediction"


def under_noise(
    net: nn.Module, image: Tensor, explainers: Mapping[str, Explainer], sd_gray: float, seed: int = 0
) -> dict[str, Similarity]:
    """Likeness (N, C) of maps of images (N, 1, H, W) in 0..1 to those with Gaussian noise, by explainer and CONTROL.

    sd_gray: standard deviation in gray levels, 255 of which are 1. What leaves 0..1 is clipped, as a scanner does.
    """
    if sd_gray < 0:
        raise InputError(f"sd_gray: {sd_gray}, expected 0 or more gray levels")
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(image.shape, generator=generator).to(image) * (sd_gray / 255)
    noisy = (image + noise).clamp(0, 1)
    return _compare(net, image, explainers, lambda explain: explain(net, noisy))


def under_flip(net: nn.Module, image: Tensor, explainers: Mapping[str, Explainer]) -> dict[str, Similarity]:
    """Likeness (N, C) of maps of images (N, 1, H, W) to those of the images mirrored left to right, mirrored back."""
    return _compare(net, image, explainers, lambda explain: explain(net, image.flip(3)).flip(3))


def under_seed(
    net: nn.Module, other: nn.Module, image: Tensor, explainers: Mapping[str, Explainer]
) -> dict[str, Similarity]:
    """Likeness (N, C) of maps by two networks that differ in the seed of their training, on images (N, 1, H, W)."""
    return _compare(net, image, explainers, lambda explain: explain(other, image))


def under_grader(
    net: nn.Module,
    image: Tensor,
    explainers: Mapping[str, Callable[[Tensor], Explainer]],
    first: Tensor,
    second: Tensor,
) -> dict[str, Similarity]:
    """Likeness (N, C) of maps whose score reads one grader's labels to those that read the other's.

    explainers: from class ids (N, H, W) to an explainer that uses them. A score without labels does not change: it
    need not be asked. There is no CONTROL, for the prediction reads no labels.
    """
    is_present = predicted_somewhere(net, image)
    return {
        name: only_where(is_present, similarity(make(first)(net, image), make(second)(net, image)))
        for name, make in explainers.items()
    }


def judge_stability(found: Similarity, subjects: Sequence[str], class_id: int | None = None) -> Outcome:
    """Whether maps stayed: over all layers (background is none), or for one class.

    stable: the 95 % interval over subjects of the rank correlation lies at or above STABLE_BOUND; unstable: below it;
    else undecided. One subject has no interval: its mean decides. unknown: no scan has the class and a map of it.
    """
    rank = found.rank.cpu().numpy()
    chosen = rank[:, 1:] if class_id is None else rank[:, [class_id]]
    mean, low, high = mean_interval(subject_means(chosen, subjects))
    if np.isnan(mean):
        return "unknown"
    lowest, highest = (mean, mean) if np.isnan(low) else (low, high)
    if lowest >= STABLE_BOUND:
        return "stable"
    return "unstable" if highest < STABLE_BOUND else "undecided"


def _compare(
    net: nn.Module, image: Tensor, explainers: Mapping[str, Explainer], again: Callable[[Explainer], Tensor]
) -> dict[str, Similarity]:
    """Likeness (N, C) of each explainer's maps to what it gives after the change, nan where nothing is predicted."""
    if CONTROL in explainers:
        raise InputError(f"explainer {CONTROL!r}: the name of the control that is measured beside; choose another name")
    is_present = predicted_somewhere(net, image)
    return {
        name: only_where(is_present, similarity(explain(net, image), again(explain)))
        for name, explain in {**explainers, CONTROL: prediction}.items()
    }
