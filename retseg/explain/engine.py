"""Explanations of every class at every layer, by every method, from one forward pass; the network left as it was found.

N scans, C classes, K channels, h x w pixels at the layer, H x W pixels of the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retseg.errors import InputError
from retseg.explain.closed_form import ScoreGradient
from retseg.explain.image_grid import normalise, to_image_grid
from retseg.explain.layers import SOFTMAX, resolve_layers
from retseg.explain.methods import CHANNEL_WEIGHTS, PIXEL_MAPS, check_methods, weighted_maps
from retseg.explain.score import PAPER_SCORE, Score
from retseg.explain.taps import Tap, tapped_forward

Gradient = Literal["closed form", "autograd", "none"]


@dataclass(frozen=True, slots=True, eq=False)
class LayerMaps:
    """Maps of every class at one layer by one method.

    layer, module: the name asked for, and the module path that it stands for ("softmax": no module).
    raw: maps (N, C, h, w) after the method's ReLU, in the units of score times activation; never rescaled.
    weights: of the channels (N, C, K), None for methods that weigh every pixel by itself.
    gradient: "closed form" where it is known on paper, "autograd" elsewhere, "none" for methods that use none.
    """

    method: str
    layer: str
    module: str
    raw: Tensor
    weights: Tensor | None
    gradient: Gradient

    @property
    def raw_max(self) -> Tensor:
        """Peak (N, C) of each raw map; 0 is a blank map: nothing at this layer speaks for the class."""
        return self.raw.amax((2, 3))

    @property
    def normalised(self) -> Tensor:
        """Maps (N, C, h, w) divided by their own peak; a blank map stays 0."""
        return normalise(self.raw)

    def on_image(self, size: tuple[int, int]) -> Tensor:
        """Raw maps (N, C, H, W) on the pixels of an image of size (H, W)."""
        return to_image_grid(self.raw, size)


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Maps of a batch, `maps["gradcam", "conv2d_19"].raw`, and the probabilities (N, C, H, W) of the same pass."""

    maps: dict[tuple[str, str], LayerMaps]
    probabilities: Tensor
    score: Score
    image_size: tuple[int, int]


def check_layers(net: nn.Module, layers: Sequence[str], score: Score = PAPER_SCORE) -> dict[str, str]:
    """Module path of each layer name; InputError where a layer does not exist or the score has no gradient there."""
    paths = resolve_layers(net, layers)
    at_softmax = [name for name, path in paths.items() if path == SOFTMAX]
    if score.of == "logit" and at_softmax:
        raise InputError(
            f"layer {at_softmax[0]!r} is the softmax, which comes after the logits: a logit score has no gradient "
            "there; leave that layer out, or use score.of=probability"
        )
    if score.of == "log_probability" and at_softmax:
        raise InputError(
            f"layer {at_softmax[0]!r} is the softmax, where the gradient of a log_probability score is 1 / P_c and has "
            "no bound; leave that layer out, or use score.of=probability"
        )
    return paths


def explain(
    net: nn.Module,
    image: Tensor,
    layers: Sequence[str],
    methods: Sequence[str] = ("gradcam",),
    score: Score = PAPER_SCORE,
    chunk: int | None = None,
) -> Explanation:
    """Maps of all C classes at all layers by all methods, from image (N, 1, H, W) and a net with logits (N, C, H, W).

    layers: module paths, aliases of the network, or "softmax". methods: of `retseg.explain.methods.METHODS`.
    One forward pass; what runs before the first of the layers runs without a graph. A layer that feeds a 1x1 head, and
    the softmax, need no backward pass; for the others there is one a class, down to the deepest of them, without
    gradients of parameters or of skip connections that lead to none of them.
    chunk: at most so many scans go through the network at once; None: all. It bounds the memory: of one chunk there
    are held the features from the first layer on and the gradients of one class at the layers asked for, and of all
    scans the maps and weights alone.
    The network runs in eval mode; its modes, gradients, hooks, statistics and the random state are afterwards what
    they were, after an error too. Works under no_grad and inference_mode. InputError for names that do not exist.
    """
    paths = check_layers(net, layers, score)
    check_methods(methods)
    if chunk is not None and chunk < 1:
        raise InputError(f"chunk: {chunk}, expected at least 1 scan")
    targets = list(dict.fromkeys(paths.values()))
    # Out of inference mode (Trainer.validate), whose tensors cannot enter a graph: hence the copy, too.
    with torch.inference_mode(False), torch.no_grad():
        size = chunk or len(image)
        parts = []
        for start in range(0, len(image), size):
            scans = slice(start, start + size)
            parts.append(_explain_chunk(net, image[scans].clone(), targets, methods, score.part(scans)))
        found = {key: _joined_maps([part.maps[key] for part in parts]) for key in parts[0].maps}
        probabilities = _joined([part.probabilities for part in parts])
    maps = {
        (method, name): LayerMaps(method, name, path, *found[method, path], parts[0].gradients[path])
        for method in methods
        for name, path in paths.items()
    }
    return Explanation(maps, probabilities, score, (image.shape[2], image.shape[3]))


RawAndWeights = tuple[Tensor, Tensor | None]


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What some of the scans give: raw maps and weights by method and module path."""

    maps: dict[tuple[str, str], RawAndWeights]
    probabilities: Tensor
    gradients: dict[str, Gradient]


class _Pass:
    """One forward pass, and the gradients of any class score at its target layers."""

    def __init__(self, net: nn.Module, image: Tensor, paths: Sequence[str], score: Score) -> None:
        taps = {path: Tap(path) for path in paths if path != SOFTMAX}
        self.logits = tapped_forward(net, image, list(taps.values()))
        self.on_paper = ScoreGradient(score, self.logits)
        self.features = {
            path: self.on_paper.probabilities if path == SOFTMAX else taps[path].features.detach() for path in paths
        }
        self.heads = {path: tap.head_weight for path, tap in taps.items() if tap.feeds_head(self.logits)}
        self.leaves = {path: tap.features for path, tap in taps.items() if path not in self.heads}
        if self.leaves and not self.logits.requires_grad:
            raise _no_way(next(iter(self.leaves)))

    def mean_gradients(self) -> dict[str, Tensor]:
        """Mean gradients (N, C, K) of all classes, by path, at the layers where they are known on paper."""
        slopes = self.on_paper.logit_slopes() if self.heads else torch.empty(0)
        found = {path: slopes @ weight for path, weight in self.heads.items()}
        if SOFTMAX in self.features:
            found[SOFTMAX] = self.on_paper.probability_slopes()
        return found

    def gradients(self, class_id: int, paths: set[str]) -> dict[str, Tensor]:
        """dY^c/dA (N, K, h, w) of one class by path: one backward pass for all layers that need one."""
        at_logits = self.on_paper.at_logits(class_id)
        found = {
            path: F.conv2d(at_logits, weight.T[:, :, None, None])
            for path, weight in self.heads.items()
            if path in paths
        }
        if SOFTMAX in paths:
            found[SOFTMAX] = self.on_paper.at_softmax(class_id)
        if self.leaves:
            is_last = class_id + 1 == self.logits.shape[1]
            gradients = torch.autograd.grad(
                self.logits, list(self.leaves.values()), at_logits, retain_graph=not is_last, allow_unused=True
            )
            for path, gradient in zip(self.leaves, gradients, strict=True):
                if gradient is None:
                    raise _no_way(path)
                found[path] = gradient
        return found


def _no_way(path: str) -> InputError:
    return InputError(f"layer {path!r} has no way to the logits; choose one that has")


def _explain_chunk(net: nn.Module, image: Tensor, paths: list[str], methods: Sequence[str], score: Score) -> _Part:
    """Maps of all classes, each class's gradients gone before the next one's are computed."""
    one_pass = _Pass(net, image, paths, score)
    features = one_pass.features
    weights = {("gradcam", path): found for path, found in one_pass.mean_gradients().items() if "gradcam" in methods}
    rest = [(method, path) for method in methods for path in paths if (method, path) not in weights]
    raw: dict[tuple[str, str], Tensor] = {}
    for class_id in range(one_pass.logits.shape[1]) if rest else ():
        gradients = one_pass.gradients(class_id, {path for _, path in rest})
        for method, path in rest:
            row = (CHANNEL_WEIGHTS | PIXEL_MAPS)[method](features[path], gradients[path])
            rows = (weights if method in CHANNEL_WEIGHTS else raw).setdefault(
                (method, path), row.new_empty(len(row), one_pass.logits.shape[1], *row.shape[1:])
            )
            rows[:, class_id] = row
        del gradients
    found: dict[tuple[str, str], RawAndWeights] = {key: (maps, None) for key, maps in raw.items()}
    found |= {(method, path): (weighted_maps(w, features[path]), w) for (method, path), w in weights.items()}
    kinds: dict[str, Gradient] = {path: "autograd" if path in one_pass.leaves else "closed form" for path in paths}
    return _Part(found, one_pass.on_paper.probabilities, kinds)


def _joined(parts: list[Tensor]) -> Tensor:
    """Chunks of scans in one tensor."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _joined_maps(parts: list[RawAndWeights]) -> RawAndWeights:
    """Maps and weights of all chunks."""
    weights = [weight for _, weight in parts if weight is not None]
    return _joined([raw for raw, _ in parts]), _joined(weights) if weights else None
