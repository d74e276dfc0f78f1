"""Grad-CAM for segmentation: all classes and all layers from one forward pass, the network left as it was found.

Selvaraju et al., "Grad-CAM", ICCV 2017, doi 10.1109/ICCV.2017.74; equations 6 to 8 of the paper that retseg rebuilds.
N scans, C classes, K channels, h x w pixels at the layer, H x W pixels of the image.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retseg.errors import InputError
from retseg.explain.layers import SOFTMAX, resolve_layers
from retseg.explain.score import PAPER_SCORE, Score

__all__ = [
    "PAPER_SCORE",
    "SOFTMAX",
    "GradCam",
    "LayerCam",
    "Score",
    "check_layers",
    "gradcam",
    "normalise",
    "to_image_grid",
]


@dataclass(frozen=True, slots=True, eq=False)
class LayerCam:
    """Grad-CAM of every class at one layer.

    layer, module: the name asked for, and the module path that it stands for ("softmax": no module).
    weights: alpha (N, C, K), eq. 6.
    raw: maps (N, C, h, w) after the ReLU, eq. 7, in the units of score times activation; never rescaled.
    method: "closed form" where the gradient is known on paper, "autograd" elsewhere.
    """

    layer: str
    module: str
    weights: Tensor
    raw: Tensor
    method: Literal["closed form", "autograd"]

    @property
    def raw_max(self) -> Tensor:
        """Peak (N, C) of each raw map; 0 is a blank map: nothing at this layer speaks for the class."""
        return self.raw.amax((2, 3))

    @property
    def normalised(self) -> Tensor:
        """Maps (N, C, h, w) divided by their own peak, as the paper shows them; a blank map stays 0."""
        return normalise(self.raw)

    @property
    def mean_intensity(self) -> Tensor:
        """Eq. 8 (N, C): mean over the pixels of the normalised map, the number of the paper's table 3."""
        return self.normalised.mean((2, 3))

    @property
    def mean_intensity_raw(self) -> Tensor:
        """Eq. 8 (N, C) on the raw map, which keeps how strong the evidence is."""
        return self.raw.mean((2, 3))

    @property
    def mean_weight(self) -> Tensor:
        """Mean (N, C) of alpha over the channels, "feature importance" in table 3; 1/C by identity at the softmax."""
        return self.weights.mean(2)


@dataclass(frozen=True, slots=True, eq=False)
class GradCam:
    """Grad-CAM of a batch: `cam["conv2d_19"].raw`, and the probabilities (N, C, H, W) of the same forward pass."""

    layers: dict[str, LayerCam]
    probabilities: Tensor
    score: Score

    def __getitem__(self, layer: str) -> LayerCam:
        """Maps at one of the layers asked for, by the name that was used to ask."""
        return self.layers[layer]


def normalise(raw: Tensor, quantile: float = 1.0) -> Tensor:
    """Maps (N, C, h, w) in 0..1: each divided by its maximum, or by a quantile of its pixels and clipped.

    A quantile below 1 keeps one bright pixel from dimming the rest of the map. Where the divisor is 0 the map is 0.
    """
    if quantile == 1:
        top = raw.amax((2, 3), keepdim=True)
        return raw / torch.where(top == 0, 1, top)
    top = torch.quantile(raw.flatten(2), quantile, dim=2)[..., None, None]
    return torch.where(top == 0, 0, raw / torch.where(top == 0, 1, top)).clamp(max=1)


def to_image_grid(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (N, C, h, w) on the pixels of the image, (N, C, H, W) with size = (H, W): bilinear, then cut to size.

    A layer's pixel covers a whole number of image pixels from the top left corner: H / h where that is whole, the
    nearest power of two otherwise, because networks that pad 216 rows to 224 (or drop a last odd row) do so at the
    bottom and the right. Stretching 224 rows over 216 instead would shift the heat by up to 8 rows.
    """
    height, width = size
    factors = [_stride(height, maps.shape[2]), _stride(width, maps.shape[3])]
    fine = F.interpolate(maps, scale_factor=factors, mode="bilinear")[..., :height, :width]
    return F.pad(fine, (0, width - fine.shape[3], 0, height - fine.shape[2]), mode="replicate")


def _stride(image_px: int, map_px: int) -> float:
    """Image pixels per map pixel along one axis."""
    ratio = image_px / map_px
    return ratio if ratio.is_integer() else 2.0 ** round(math.log2(ratio))


def check_layers(net: nn.Module, layers: Sequence[str], score: Score = PAPER_SCORE) -> dict[str, str]:
    """Module path of each layer name; InputError where a layer does not exist or the score has no gradient there."""
    paths = resolve_layers(net, layers)
    at_softmax = [name for name, path in paths.items() if path == SOFTMAX]
    if score.of == "logit" and at_softmax:
        raise InputError(
            f"layer {at_softmax[0]!r} is the softmax, which comes after the logits: a logit score has no gradient "
            "there; leave that layer out, or use score.of=probability"
        )
    return paths


def gradcam(net: nn.Module, image: Tensor, layers: Sequence[str], score: Score = PAPER_SCORE) -> GradCam:
    """Grad-CAM of all C classes at all layers, from image (N, 1, H, W) and a net that maps it to logits (N, C, H, W).

    layers: module paths, aliases of the network, or "softmax". Raises InputError for a name that does not exist.
    What runs before the first of them runs without a graph. The network runs in eval mode; its modes, gradients,
    hooks, statistics and the random state are afterwards what they were. Works under no_grad and inference_mode.
    """
    paths = check_layers(net, layers, score)
    taps = {path: _Tap(path) for path in paths.values() if path != SOFTMAX}
    # Out of inference mode (Trainer.validate), whose tensors cannot enter a graph: hence the copy, too.
    with torch.inference_mode(False), torch.no_grad():
        logits = _forward(net, image.clone(), list(taps.values()))
        by_hand = [tap for tap in taps.values() if tap.feeds_head(logits)]
        by_autograd = [tap for tap in taps.values() if tap not in by_hand]
        weights = _weights_by_autograd(by_autograd, logits, score)
        logits = logits.detach()
        if by_hand:
            slopes = score.logit_slopes(logits)
            weights |= {tap.path: slopes @ tap.head_weight for tap in by_hand}
        probabilities = logits.softmax(1)
        features = {path: tap.features.detach() for path, tap in taps.items()}
        if SOFTMAX in paths.values():
            features[SOFTMAX], weights[SOFTMAX] = probabilities, score.probability_slopes(logits)
        raw = {path: torch.einsum("nck,nkhw->nchw", weights[path], features[path]).relu() for path in features}
    slow = {tap.path for tap in by_autograd}
    cams = {
        name: LayerCam(name, path, weights[path], raw[path], "autograd" if path in slow else "closed form")
        for name, path in paths.items()
    }
    return GradCam(cams, probabilities, score)


class _Tap:
    """One target layer during the forward pass.

    From the first tap on, the network records a graph. What runs next gets a copy of the features, so that an
    in-place ReLU behind a convolution cannot write into them.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.features: Tensor = torch.empty(0)
        self.handed_on: Tensor | None = None
        self.version = 0
        self.head_weight: Tensor = torch.empty(0)
        self.head_output: Tensor | None = None
        self.head_version = 0

    def take(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Tensor:
        """Forward hook of the target: keep its features (N, K, h, w), hand on a copy that the graph leads back from."""
        if not isinstance(output, Tensor) or output.ndim != 4:
            raise InputError(f"layer {self.path!r} gives no maps (N, K, h, w); choose a convolution or an activation")
        if self.handed_on is not None:
            raise InputError(f"layer {self.path!r} runs more than once in a forward pass; choose one that runs once")
        torch.set_grad_enabled(True)  # until the no_grad around the forward pass ends
        self.features = output if output.requires_grad else output.detach().requires_grad_()
        handed_on = self.features.clone()
        self.handed_on, self.version = handed_on, handed_on._version
        return handed_on

    def watch(self, module: nn.Conv2d, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Forward hook of every 1x1 convolution: note the one that reads exactly what this layer handed on.

        An in-place operation between the two leaves the same object with another version.
        """
        handed_on = self.handed_on
        if handed_on is not None and inputs and inputs[0] is handed_on and handed_on._version == self.version:
            self.head_weight = module.weight.detach().flatten(1)
            self.head_output, self.head_version = output, output._version

    def feeds_head(self, logits: Tensor) -> bool:
        """Whether the logits are, untouched, what that 1x1 convolution gave: then no gradient has to be computed."""
        return self.head_output is logits and logits._version == self.head_version


def _forward(net: nn.Module, image: Tensor, taps: Sequence[_Tap]) -> Tensor:
    """Logits (N, C, H, W) of one pass in eval mode, with the taps' hooks in place and gone afterwards."""
    with ExitStack() as stack:
        stack.enter_context(_left_as_found(net, image.device))
        for tap in taps:
            stack.enter_context(net.get_submodule(tap.path).register_forward_hook(tap.take))
        # After every `take`, so that a head which is itself a target is seen with the output that it hands on.
        for head in (module for module in net.modules() if taps and _is_pointwise(module)):
            for tap in taps:
                stack.enter_context(head.register_forward_hook(tap.watch))
        logits = net(image)
    if not isinstance(logits, Tensor) or logits.ndim != 4:
        raise InputError(f"the network returned {type(logits).__name__}, expected a tensor of logits (N, C, H, W)")
    for tap in taps:
        if tap.handed_on is None:
            raise InputError(f"layer {tap.path!r} does not run in a forward pass; choose one that does")
    return logits


def _is_pointwise(module: nn.Module) -> bool:
    """Whether a module is a plain 1x1 convolution over all channels, a matrix applied at every pixel."""
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == (1, 1)
        and module.stride == (1, 1)
        and module.padding in ((0, 0), "valid", "same")
        and module.groups == 1
    )


@contextmanager
def _left_as_found(net: nn.Module, device: torch.device) -> Iterator[None]:
    """Eval mode inside; afterwards every module's own mode and the random state are back, errors or not.

    The flag is set as an attribute, because `train()` may be overridden (frozen BatchNorm, merged weights).
    """
    modes = [(module, module.training) for module in net.modules()]
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            for module, _ in modes:
                module.training = False
            yield
        finally:
            for module, training in modes:
                module.training = training


def _weights_by_autograd(taps: Sequence[_Tap], logits: Tensor, score: Score) -> dict[str, Tensor]:
    """Alpha (N, C, K) per layer (eq. 6): for each class one backward pass from the logits down to the deepest tap.

    Gradients are asked for the features alone: the weights' `.grad` and the layers below the taps are never touched.
    """
    if not taps:
        return {}
    if not logits.requires_grad:
        raise InputError(f"layer {taps[0].path!r} has no way to the logits; choose one that has")
    with torch.enable_grad():
        totals = score.values(logits).sum(0).unbind()
    columns: dict[str, list[Tensor]] = {tap.path: [] for tap in taps}
    for number, total in enumerate(totals, start=1):
        gradients = torch.autograd.grad(
            total, [tap.features for tap in taps], retain_graph=number < len(totals), allow_unused=True
        )
        for tap, gradient in zip(taps, gradients, strict=True):
            if gradient is None:
                raise InputError(f"layer {tap.path!r} has no way to the logits; choose one that has")
            columns[tap.path].append(gradient.mean((2, 3)))
    return {path: torch.stack(column, dim=1) for path, column in columns.items()}
