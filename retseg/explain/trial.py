"""All tests of a set of maps: faithfulness, sanity and stability, scan by scan, then one verdict a method and layer.

N scans, C classes, H x W pixels of the network's grid; methods x layers are the maps, called by `map_name`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from retseg.explain.baselines import edge_map, prediction, random_fields
from retseg.explain.beyond_baselines import Verdict, verdict
from retseg.explain.faithfulness import SHARES, Curves, Measure, faithfulness_curves
from retseg.explain.perturbation import Deletion, Insertion, Perturbation, Road
from retseg.explain.regions import Band, TrueLayer
from retseg.explain.sanity import SanityTest, SanityVerdict, judge, label_test, randomisation_test
from retseg.explain.score import Score
from retseg.explain.shared_maps import SharedMaps, map_name
from retseg.explain.similarity import Similarity
from retseg.explain.stability import judge_stability, under_flip, under_grader, under_noise, under_seed

PERTURBATIONS: tuple[Perturbation, ...] = (Deletion(), Insertion(), Road())
NUM_STEPS = 6
NOISE_SD_GRAY = 5.0
Stability = Literal["stable", "unstable", "undecided", "unknown"]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What is tried: maps of methods at layers, and how.

    num_steps: steps of the cascade that are explained. sd_gray: noise of the stability test, in gray levels of 255.
    random_labels: a network of the same kind trained on other scans' labels; other_seed: one trained from another seed;
    None: that test is left out. batch: changed images in one forward pass.
    """

    layers: Sequence[str]
    methods: Sequence[str]
    shares: Sequence[float] = SHARES
    num_steps: int | None = NUM_STEPS
    sd_gray: float = NOISE_SD_GRAY
    random_labels: nn.Module | None = None
    other_seed: nn.Module | None = None
    batch: int = 8
    seed: int = 0

    @property
    def names(self) -> list[str]:
        """Every map."""
        return [map_name(method, layer) for method in self.methods for layer in self.layers]


@dataclass(frozen=True, slots=True, eq=False)
class TriedScan:
    """One scan (N = 1) or several, after `pooled`. By test, then by map; baselines and controls among the maps."""

    curves: dict[str, dict[str, Curves]]
    sanity: dict[str, dict[str, SanityTest]]
    stability: dict[str, dict[str, Similarity]]


def try_scan(
    trial: Trial,
    net: nn.Module,
    image: Tensor,
    score_on: Callable[[Tensor | None], Score],
    mask: Tensor | None = None,
    second: Tensor | None = None,
    axial_um: float | None = None,
    number: int = 0,
) -> TriedScan:
    """All tests on one image (1, 1, H, W).

    mask, second: class ids (1, H, W) of either grader, or None; score_on gives the score for labels, and is asked for
    second's only if it reads them: over the true layer, or a band around a surface. axial_um: height of a pixel of the
    image, or None.
    number: of the scan among others, so that each has random maps of its own.
    """
    score = score_on(mask)
    shared = SharedMaps(trial.layers, trial.methods, score)
    maps = {map_name(*key): heat for key, heat in shared.maps(net, image).items()}
    maps |= _baselines(net, image, shared.grains, trial.seed + number)
    heights = None if axial_um is None else [axial_um]
    curves = {
        perturbation.name: faithfulness_curves(
            net, image, maps, perturbation, mask, heights, trial.shares, trial.batch, trial.seed
        )
        for perturbation in PERTURBATIONS
    }
    explainers = shared.explainers
    sanity = {"random weights": randomisation_test(net, image, explainers, trial.seed, trial.num_steps)}
    if trial.random_labels is not None:
        sanity["random labels"] = label_test(net, trial.random_labels, image, explainers)
    stability = {
        f"noise of {trial.sd_gray:g} gray levels": under_noise(net, image, explainers, trial.sd_gray, trial.seed),
        "left-right flip": under_flip(net, image, explainers),
    }
    if trial.other_seed is not None:
        stability["another training seed"] = under_seed(net, trial.other_seed, image, explainers)
    if mask is not None and second is not None and isinstance(score.over, (TrueLayer, Band)):
        by_labels = _by_labels(trial, score_on)
        stability["the other grader"] = under_grader(net, image, by_labels, mask, second)
    return TriedScan(curves, sanity, stability)


def random_name(layer: str) -> str:
    """What the random maps of a layer's grain are called."""
    return f"random at {layer}"


def _baselines(net: nn.Module, image: Tensor, grains: Mapping[str, tuple[int, int]], seed: int) -> dict[str, Tensor]:
    """Random maps of each layer's grain, the scan's edges, and the prediction."""
    predicted = prediction(net, image)
    shape = (predicted.shape[0], predicted.shape[1], predicted.shape[2], predicted.shape[3])
    randoms = {random_name(layer): random_fields(shape, grain, seed).to(image) for layer, grain in grains.items()}
    return {**randoms, "edge": edge_map(image, shape[1]), "prediction": predicted}


def _by_labels(
    trial: Trial, score_on: Callable[[Tensor | None], Score]
) -> dict[str, Callable[[Tensor], Callable[[nn.Module, Tensor], Tensor]]]:
    """For each map, from labels to its explainer; all maps of the same labels share their passes."""
    made: list[tuple[Tensor, SharedMaps]] = []

    def shared(labels: Tensor) -> SharedMaps:
        for known, maps in made:
            if known is labels:
                return maps
        made.append((labels, SharedMaps(trial.layers, trial.methods, score_on(labels))))
        return made[-1][1]

    def of_map(name: str) -> Callable[[Tensor], Callable[[nn.Module, Tensor], Tensor]]:
        return lambda labels: shared(labels).explainers[name]

    return {name: of_map(name) for name in trial.names}


def pooled(scans: Sequence[TriedScan]) -> TriedScan:
    """Several scans as one set, in their order. A test that not all of them have had is left out."""
    return TriedScan(
        curves={
            test: {name: _joined_curves([scan.curves[test][name] for scan in scans]) for name in maps}
            for test, maps in scans[0].curves.items()
        },
        sanity={
            test: {
                name: replace(one, similarity=_joined([scan.sanity[test][name].similarity for scan in scans], axis=1))
                for name, one in maps.items()
            }
            for test, maps in scans[0].sanity.items()
        },
        stability={
            test: {name: _joined([scan.stability[test][name] for scan in scans], axis=0) for name in maps}
            for test, maps in scans[0].stability.items()
            if all(test in scan.stability for scan in scans)
        },
    )


def _joined_curves(parts: Sequence[Curves]) -> Curves:
    first = parts[0]
    units, references = {part.unit for part in parts}, {part.reference for part in parts}
    assert len(units) == len(references) == 1, (units, references)
    dice = np.concatenate([part.dice for part in parts])
    return replace(first, dice=dice, surface_error=np.concatenate([part.surface_error for part in parts]))


def _joined(parts: Sequence[Similarity], axis: int) -> Similarity:
    """Likeness (..., N, C) of all scans."""
    return Similarity(*(torch.cat([getattr(one, field.name) for one in parts], axis) for field in fields(Similarity)))


@dataclass(frozen=True, slots=True, eq=False)
class MapVerdict:
    """What all tests say of one method at one layer, over all layers of the retina and all scans.

    faithful: by perturbation and measure. sanity: by test. stability: by test, outcome and mean rank correlation.
    """

    method: str
    layer: str
    faithful: dict[tuple[str, Measure], Verdict]
    sanity: dict[str, SanityVerdict]
    stability: dict[str, tuple[Stability, float]]

    @property
    def faithful_by(self) -> list[str]:
        """Perturbations under which the layer's Dice says that the map beats all baselines."""
        return [test for (test, measure), one in self.faithful.items() if measure == "dice" and one.is_faithful]

    @property
    def is_faithful(self) -> bool:
        """Whether it does under all of them."""
        return len(self.faithful_by) == len({test for test, _ in self.faithful})

    @property
    def is_sane(self) -> bool:
        """Whether the map passes every sanity test that was made."""
        return all(one.outcome == "passes" for one in self.sanity.values())

    @property
    def is_stable(self) -> bool:
        """Whether the map stays the same in every test of stability that was made."""
        return all(outcome == "stable" for outcome, _ in self.stability.values())


def verdicts(trial: Trial, tried: TriedScan, subjects: Sequence[str], class_id: int | None = None) -> list[MapVerdict]:
    """A verdict for every method and layer, subjects (N,) naming whose scan each is; of all layers, or of one class."""
    return [
        MapVerdict(
            method,
            layer,
            {
                (test, measure): verdict(
                    maps[map_name(method, layer)],
                    {"random": maps[random_name(layer)], "edge": maps["edge"], "prediction": maps["prediction"]},
                    subjects,
                    measure,
                    class_id,
                )
                for test, maps in tried.curves.items()
                for measure in ("dice", "surface")
            },
            {test: judge(maps[map_name(method, layer)], subjects, class_id) for test, maps in tried.sanity.items()},
            {
                test: _steadiness(maps[map_name(method, layer)], subjects, class_id)
                for test, maps in tried.stability.items()
            },
        )
        for method in trial.methods
        for layer in trial.layers
    ]


def _steadiness(found: Similarity, subjects: Sequence[str], class_id: int | None) -> tuple[Stability, float]:
    """Outcome, and the mean rank correlation of what is known."""
    rank = found.rank.cpu().numpy()
    chosen = rank[:, 1:] if class_id is None else rank[:, class_id]
    known = chosen[np.isfinite(chosen)]
    return judge_stability(found, subjects, class_id), float(known.mean()) if known.size else np.nan
