"""Does a map change when the network forgets what it learned? Randomised weights and labels, with controls beside.

Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018, arXiv 1810.03292. N scans, C classes, T steps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from retseg.errors import InputError
from retseg.explain.baselines import Explainer, edges, prediction
from retseg.explain.beyond_baselines import mean_interval, subject_means
from retseg.explain.randomisation import Reset, cascade, reset_he, steps_from_head
from retseg.explain.similarity import Similarity, similarity

Outcome = Literal["passes", "fails", "undecided", "unknown"]

RANK_BOUND = 0.5
"""Rank correlation below which a map is another map. Maps of two networks with independent random weights still look
at the same scan and correlate by -0.03 to 0.28 (Grad-CAM and HiResCAM at six layers of a SegNet of width 8, Duke
scans); maps that know no network by 1. The bound lies between."""
MIN_FALL = 0.3
"""A map must also be less like the trained one than an explainer's second try at the trained network by this much:
an explainer that draws noise is below every bound and has lost nothing."""

CONTROLS: dict[str, Explainer] = {"prediction": prediction, "edge": edges}
"""Measured beside every explainer. The edges know no network and must fail, or the test cannot fail anything. The
prediction must pass, for it is what the network computes: where a map does not do better, the test has shown no more
than that the map depends on the output."""

REPEAT = "trained"
"""Step 0 of every test: the same network explained again. Below 1 the explainer itself is random."""


@dataclass(frozen=True, slots=True, eq=False)
class SanityTest:
    """Likeness (T, N, C) of maps to those of the trained network after each step; the first step is REPEAT.

    nan where the trained network predicts no pixel of the class, and where a map is blank, which is like nothing.
    """

    steps: tuple[str, ...]
    similarity: Similarity


@dataclass(frozen=True, slots=True)
class SanityVerdict:
    """Mean rank correlation over subjects before (`start`) and after the last step (`final`), with its interval."""

    start: float
    final: float
    low: float
    high: float
    outcome: Outcome


def randomisation_test(
    net: nn.Module,
    image: Tensor,
    explainers: Mapping[str, Explainer],
    seed: int = 0,
    num_steps: int | None = None,
    reset: Reset = reset_he,
) -> dict[str, SanityTest]:
    """Maps of images (N, 1, H, W) while weights are lost from the head down, by explainer, and CONTROLS beside.

    num_steps: explain after that many steps alone, evenly spread and with the last; all modules are reset all the
    same. None: after every one. The network is left as found; copies are explained, one at a time.
    """
    everyone = _with_controls(explainers)
    trained = _Trained(net, image, everyone)
    steps = steps_from_head(net, image)
    if not steps:
        raise InputError("the network has no parameters that a forward pass uses: there is nothing to randomise")
    if num_steps is not None and num_steps < 1:
        raise InputError(f"num_steps: {num_steps}, expected at least 1, the last one; leave it out for all")
    seen = {*np.linspace(len(steps) - 1, 0, num_steps or len(steps)).round().astype(int).tolist()}
    names, found = [REPEAT], [trained.compare(net)]
    for number, copy in enumerate(cascade(net, steps, seed, reset)):
        if number in seen:
            names.append(steps[number][-1])
            found.append(trained.compare(copy))
    return {
        name: SanityTest(tuple(names), Similarity.stack([likeness[name] for likeness in found])) for name in everyone
    }


def label_test(
    net: nn.Module, random_net: nn.Module, image: Tensor, explainers: Mapping[str, Explainer]
) -> dict[str, SanityTest]:
    """Maps of images (N, 1, H, W) by a network, and by one of the same kind trained on labels of other scans.

    By explainer, and CONTROLS beside. What is left of a map then comes from the architecture and the image.
    """
    everyone = _with_controls(explainers)
    trained = _Trained(net, image, everyone)
    found = [trained.compare(net), trained.compare(random_net)]
    return {
        name: SanityTest((REPEAT, "random labels"), Similarity.stack([likeness[name] for likeness in found]))
        for name in everyone
    }


def judge(test: SanityTest, subjects: Sequence[str], class_id: int | None = None) -> SanityVerdict:
    """Whether maps were lost with what the network knew: over all layers (background is none), or for one class.

    passes: the 95 % interval over subjects of the last step's rank correlation lies below RANK_BOUND, and its mean
    is MIN_FALL below that of the repeat. fails: the interval lies above the bound, or the mean did not fall. Else
    undecided. One subject has no interval: its mean decides. unknown: no scan has the class and a map of it.
    """
    rank = test.similarity.rank.cpu().numpy()
    chosen = rank[:, :, 1:] if class_id is None else rank[:, :, [class_id]]
    start = mean_interval(subject_means(chosen[0], subjects))[0]
    final, low, high = mean_interval(subject_means(chosen[-1], subjects))
    lowest, highest = (final, final) if np.isnan(low) else (low, high)
    outcome: Outcome = "undecided"
    if np.isnan(final) or np.isnan(start):
        outcome = "unknown"
    elif lowest >= RANK_BOUND or start - final < MIN_FALL:
        outcome = "fails"
    elif highest < RANK_BOUND:
        outcome = "passes"
    return SanityVerdict(start, final, low, high, outcome)


class _Trained:
    """Maps of the trained network by explainer, and the classes (N, C) that it predicts at all."""

    def __init__(self, net: nn.Module, image: Tensor, explainers: Mapping[str, Explainer]) -> None:
        self.image, self.explainers = image, explainers
        self.maps = {name: explain(net, image) for name, explain in explainers.items()}
        self.is_present = predicted_somewhere(net, image)

    def compare(self, other: nn.Module) -> dict[str, Similarity]:
        """Likeness (N, C) of another network's maps to them, by explainer."""
        return {
            name: only_where(self.is_present, similarity(self.maps[name], explain(other, self.image)))
            for name, explain in self.explainers.items()
        }


def predicted_somewhere(net: nn.Module, image: Tensor) -> Tensor:
    """Classes (N, C) bool that a network predicts at any pixel of images (N, 1, H, W)."""
    probabilities = prediction(net, image)
    winner = probabilities.argmax(1).flatten(1)
    counts = torch.zeros(probabilities.shape[:2], device=winner.device)
    return counts.scatter_(1, winner, 1.0) > 0


def only_where(is_present: Tensor, found: Similarity) -> Similarity:
    """Likeness (N, C), nan where is_present (N, C) says that the class is not on the scan."""
    return Similarity(*(torch.where(is_present, part, torch.nan) for part in (found.rank, found.ssim, found.top)))


def _with_controls(explainers: Mapping[str, Explainer]) -> dict[str, Explainer]:
    """Explainers and CONTROLS, whose names are taken."""
    taken = sorted(explainers.keys() & CONTROLS.keys())
    if taken:
        raise InputError(f"explainer {taken[0]!r}: the name of a control that is measured beside; choose another name")
    return {**explainers, **CONTROLS}
