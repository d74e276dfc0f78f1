"""Faithfulness for segmentation: what becomes of a layer, in Dice and in um, when a map's hottest pixels go or stay.

Curves after Petsiuk et al. 2018 (arXiv 1806.07421) and Rong et al. 2022 (arXiv 2202.00449), with the layer that a map
is about in the place of their class score. N scans, C classes, T shares of the scan, H x W pixels, S subjects.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from retseg.anatomy import IGNORE, NUM_CLASSES, NUM_SURFACES
from retseg.errors import InputError
from retseg.explain.perturbation import Paint, Perturbation, heat_ranks, logits_in_eval_mode
from retseg.geometry.surfaces import trace_surfaces
from retseg.metrics.overlap import confusion_matrix, dice

Array = npt.NDArray[Any]
Measure = Literal["dice", "surface"]

SHARES = (0.0, 0.01, 0.03, 0.06, 0.1, 0.2, 0.3)
"""Of the scan. A thin layer covers 3 % of it and the whole retina 40 %: closer steps where one layer is decided."""


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """How a layer fares under a map of it: per scan, class and share of the scan's pixels, in order of heat.

    dice (N, C, T): Dice of the class on that scan, against `reference`.
    surface_error (N, C, T): mean absolute error of its two surfaces in `unit`, see `Target.score`.
    Both are nan where the class is not in the reference and where the map is blank: no such pixel was hottest.
    keeps_hottest: whether the hottest pixels were kept (insertion) or removed (deletion, ROAD).
    """

    perturbation: str
    keeps_hottest: bool
    shares: Array
    dice: Array
    surface_error: Array
    unit: Literal["um", "px"]
    reference: Literal["true mask", "unperturbed prediction"]

    @property
    def dice_area(self) -> Array:
        """Area (N, C) under the Dice, divided by the range of shares: its mean, 0..1."""
        return area(self.shares, self.dice)

    @property
    def surface_area(self) -> Array:
        """Area (N, C) under the error of the surfaces, divided by the range of shares: its mean, in `unit`."""
        return area(self.shares, self.surface_error)

    def faithfulness(self, measure: Measure = "dice") -> Array:
        """The area (N, C), with its sign changed where a faithful map has a small one: more is more faithful."""
        grows_with_faith = self.keeps_hottest == (measure == "dice")
        found = self.dice_area if measure == "dice" else self.surface_area
        return found if grows_with_faith else -found


def area(shares: Array, values: Array) -> Array:
    """Trapezoidal area (...) under values (..., T) over shares (T,), divided by their range: the mean of the curve."""
    means = (values[..., 1:] + values[..., :-1]) / 2
    areas: Array = (means * np.diff(shares)).sum(-1) / (shares[-1] - shares[0])
    return areas


def mean_curves(curves: Sequence[Curves]) -> Curves:
    """The mean of several curves of the same scans, as for a baseline that was drawn several times."""
    first = curves[0]
    assert all(c.perturbation == first.perturbation and np.array_equal(c.shares, first.shares) for c in curves)
    return Curves(
        first.perturbation,
        first.keeps_hottest,
        first.shares,
        np.mean([c.dice for c in curves], axis=0),
        np.mean([c.surface_error for c in curves], axis=0),
        first.unit,
        first.reference,
    )


class Target:
    """One scan's segmentation as it should be: class ids (H, W), and the surfaces traced from the same labels."""

    def __init__(self, labels: Tensor, num_classes: int, axial_um: float) -> None:
        self.labels, self.num_classes, self.axial_um = labels, num_classes, axial_um
        self.rows = trace_surfaces(labels.cpu().numpy())
        self.present = torch.bincount(labels[labels != IGNORE]).nonzero()[:, 0].tolist()

    def score(self, predicted: Tensor, class_id: int) -> tuple[float, float]:
        """Dice of a class, and the error of its surfaces (in axial_um), of predicted class ids (H, W).

        A layer's surfaces are those above and below it, background's the first and the last. Columns where the
        reference has no surface are left out. A column that lost all its layers has no surface: it costs the largest
        error that a surface anywhere in the scan could have, so that no wrong answer is worse than none. A layer
        that vanished between others has both surfaces where its neighbours meet.
        """
        overlap = dice(confusion_matrix(predicted, self.labels, self.num_classes))[class_id]
        surfaces = [class_id - 1, class_id] if class_id else [0, NUM_SURFACES - 1]
        true, found = self.rows[surfaces], trace_surfaces(predicted.cpu().numpy())[surfaces]
        lost = np.maximum(true, len(predicted) - true)
        errors_px = np.where(np.isnan(found), lost, np.abs(found - true))[np.isfinite(true)]
        return overlap.item(), self.axial_um * float(errors_px.mean()) if errors_px.size else np.nan


def faithfulness_curves(
    net: nn.Module,
    image: Tensor,
    maps: Mapping[str, Tensor],
    perturbation: Perturbation,
    mask: Tensor | None = None,
    axial_um: Sequence[float] | None = None,
    shares: Sequence[float] = SHARES,
    batch: int = 8,
    seed: int = 0,
) -> dict[str, Curves]:
    """Curves of every set of maps (N, C, H, W) by name, on the same images (N, 1, H, W) and under the same noise.

    mask: true class ids (N, H, W), IGNORE where nobody annotated; without it a layer is measured against its own
    unperturbed prediction, which tells what the map does to the network and nothing of whether the network is right.
    axial_um: height of a pixel of each image; without it the error of surfaces is in px.
    batch: at most that many changed images in one forward pass, which bounds memory. The unperturbed pass, and the
    pass with everything removed, are shared by all maps and classes.
    """
    steps = _checked(shares)
    unperturbed = _checked_logits(net, image, maps, batch)
    num_classes, unperturbed_ids = unperturbed.shape[1], unperturbed.argmax(1)
    reference = unperturbed_ids if mask is None else mask.to(image.device)
    ranks = {name: heat_ranks(heat, seed) for name, heat in maps.items()}
    scores = {name: np.full((2, len(image), num_classes, len(steps)), np.nan) for name in maps}
    for scan, pixels in enumerate(image):
        target = Target(reference[scan], num_classes, 1.0 if axial_um is None else axial_um[scan])
        judged = [(name, c) for name, heat in maps.items() for c in target.present if heat[scan, c].any()]
        jobs = [
            _Job(name, c, step, ranks[name][scan, c], round(share * pixels.numel()))
            for name, c in judged
            for step, share in enumerate(steps)
        ]
        paint = perturbation.prepare(pixels, seed)
        for job, predicted in _predictions(net, pixels, unperturbed_ids[scan], paint, jobs, batch):
            scores[job.name][:, scan, job.class_id, job.step] = target.score(predicted, job.class_id)
    unit: Literal["um", "px"] = "px" if axial_um is None else "um"
    source: Literal["true mask", "unperturbed prediction"] = "unperturbed prediction" if mask is None else "true mask"
    kind = (perturbation.name, perturbation.keeps_hottest, steps)
    return {name: Curves(*kind, found[0], found[1], unit, source) for name, found in scores.items()}


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """One changed image: the num_hot hottest pixels by ranks (H, W) of a map of a class."""

    name: str
    class_id: int
    step: int
    ranks: Tensor
    num_hot: int

    @property
    def is_hot(self) -> Tensor:
        """The hottest pixels (H, W) bool."""
        return self.ranks < self.num_hot


def _predictions(
    net: nn.Module, image: Tensor, unperturbed: Tensor, paint: Paint, jobs: Sequence[_Job], batch: int
) -> Iterator[tuple[_Job, Tensor]]:
    """Class ids (H, W) under each job; none or all of the pixels are the same image whatever the map."""
    at_ends: dict[int, Tensor] = {}
    changed = []
    for job in jobs:
        if 0 < job.num_hot < job.ranks.numel():
            changed.append(job)
            continue
        if job.num_hot not in at_ends:
            painted = paint(job.is_hot)
            is_same = torch.equal(painted, image)
            at_ends[job.num_hot] = unperturbed if is_same else logits_in_eval_mode(net, painted[None]).argmax(1)[0]
        yield job, at_ends[job.num_hot]
    for first in range(0, len(changed), batch):
        some = changed[first : first + batch]
        painted = torch.stack([paint(job.is_hot) for job in some])
        yield from zip(some, logits_in_eval_mode(net, painted, batch).argmax(1), strict=True)


def _checked(shares: Sequence[float]) -> Array:
    """Shares (T,) float64, rising within 0..1."""
    steps = np.asarray(shares, np.float64)
    if len(steps) < 2 or steps[0] < 0 or steps[-1] > 1 or (np.diff(steps) <= 0).any():
        raise InputError(f"shares: {[*shares]}, expected at least two, rising, from 0 to 1; the default is {[*SHARES]}")
    return steps


def _checked_logits(net: nn.Module, image: Tensor, maps: Mapping[str, Tensor], batch: int) -> Tensor:
    """Logits (N, C, H, W) of the images; InputError unless surfaces are known between the classes and maps fit them."""
    logits = logits_in_eval_mode(net, image, batch)
    if logits.shape[1] > NUM_CLASSES:
        raise InputError(
            f"the network gives {logits.shape[1]} classes; surfaces are known between at most {NUM_CLASSES}, "
            "background and layers in depth order; leave the others out of the logits"
        )
    for name, heat in maps.items():
        if heat.shape != logits.shape:
            raise InputError(
                f"maps {name!r}: shape {tuple(heat.shape)}, expected that of the logits {tuple(logits.shape)}; "
                "bring maps of a layer to the image's pixels first"
            )
    return logits
