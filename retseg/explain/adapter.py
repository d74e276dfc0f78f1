"""The methods of pytorch-grad-cam that retseg does not compute itself, with the model left as it was found.

The library sets eval mode, fills `.grad`, swaps modules while it works (AblationCAM), draws from numpy's random state
and swallows IndexError. So it is handed a copy of the network, and its random state is put back. It scales every map
to a peak of 1, twice; here its maps are read before that, on the layer's own grid.
N scans, C classes, h x w pixels at the layer, H x W pixels of the image.
"""

import contextlib
import copy
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from retseg.errors import InputError
from retseg.explain.engine import Explanation, Gradient, LayerMaps, check_layers
from retseg.explain.layers import SOFTMAX
from retseg.explain.score import PAPER_SCORE, Score

FULLGRAD_LAYER = "biases"
"""The one "layer" of FullGrad, which adds up what all biases of the network and the image itself contribute."""

OFFERED = {
    "AblationCAM": "weights: relative fall of the score without the channel (before a ReLU: with it 1e5 below the "
    "layer's minimum); a forward pass a channel, class and scan",
    "EigenCAM": "first principal component of the features: one map for all classes",
    "EigenGradCAM": "first principal component of gradient times feature; its sign is arbitrary",
    "FEM": "features weighted by how often they exceed mean + 2 sd: one map for all classes",
    "FullGrad": f"layer {FULLGRAD_LAYER!r} only; the library's own scaling to 0..1 is in the map",
    "GradCAMElementWise": "ReLU of gradient times feature, summed over channels",
    "KPCA_CAM": "first principal component of the features under a sigmoid kernel: one map for all classes",
    "RandomCAM": "random channel weights: a control",
    "ScoreCAM": "weights: softmax over channels of the score of the image masked by the channel; a forward pass each",
    "SegEigenCAM": "first principal component of |gradient| times feature, with its sign settled",
    "ShapleyCAM": "mean of the gradient less half the Hessian times the features",
}
"""What `library_maps` computes, and what is to be known about it."""

NOT_OFFERED = {
    "FinerCAM": "compares scores along the output's last axis, here a scan's columns; handed a score it is GradCAM",
    "RefineCAM": "a product over layers: it has no map of one layer",
    "SESS": "cuts the scan into windows, on which a score over pixels of the whole scan has no meaning",
}
"""Classes of the library that make no map of a layer of a segmentation network, and why."""

NATIVE = {
    "GradCAM": "gradcam",
    "GradCAMPlusPlus": "gradcam++",
    "HiResCAM": "hirescam",
    "LayerCAM": "layercam",
    "XGradCAM": "xgradcam",
}
"""Classes of the library that `retseg.explain.engine.explain` computes, by its names."""

NOT_AT_SOFTMAX = {
    "AblationCAM": "where no feature is 0, the library ablates by taking away 1e5, which no probability is made for",
    "ShapleyCAM": "the score is linear in the probabilities: there is no Hessian, and the map is Grad-CAM's",
}
"""Methods that the softmax is no layer for, and why."""

ONE_MAP_FOR_ALL = ("EigenCAM", "FEM", "KPCA_CAM")
"""Methods that do not look at the score."""

WITHOUT_GRADIENT = (*ONE_MAP_FOR_ALL, "AblationCAM", "RandomCAM", "ScoreCAM")
"""Methods that ask for no gradient."""

MOST_PIXELS = {"EigenCAM": 16384, "EigenGradCAM": 16384, "SegEigenCAM": 16384, "KPCA_CAM": 4096}
"""Pixels of a layer up to which the library's h w x h w matrices are bearable: 1 GiB, of KPCA_CAM four of 128 MiB."""


def library_maps(
    net: nn.Module, image: Tensor, layers: Sequence[str], methods: Sequence[str], score: Score = PAPER_SCORE
) -> Explanation:
    """Maps by methods of pytorch-grad-cam (keys of OFFERED), from image (N, 1, H, W), of all classes at all layers.

    raw (N, C, h, w) is what the library has before it scales, after a ReLU. The pixels that a score counts are those
    of the unchanged scan, also where a method changes it. Costs: a copy of the network, and forward and backward
    passes by the method, the class and the layer. InputError for names that do not exist or are not offered.
    """
    for method in methods:
        _check(method, layers)
    names = [name for name in layers if name != FULLGRAD_LAYER]
    paths = check_layers(net, names, score) if names else {}
    for method in methods:
        if method in NOT_AT_SOFTMAX and SOFTMAX in paths.values():
            raise InputError(f"method {method!r} at the softmax: {NOT_AT_SOFTMAX[method]}; leave that layer out")
    with torch.inference_mode(False), torch.enable_grad(), _quiet_and_random_state_kept(image.device):
        model, image = _copy(net), image.detach().clone()
        with torch.no_grad():
            logits = model(image)
        targets = _targets(score, logits)
        model = nn.Sequential(model, nn.Softmax(dim=1)) if score.of == "probability" else nn.Sequential(model)
        maps = {}
        for method in methods:
            for name in layers:
                path = paths.get(name, "")
                raw = _maps(method, model, path, image, targets)
                kind: Gradient = "none" if method in WITHOUT_GRADIENT else "autograd"
                maps[method, name] = LayerMaps(method, name, path, raw, None, kind)
    return Explanation(maps, logits.softmax(1), score, (image.shape[2], image.shape[3]))


def _check(method: str, layers: Sequence[str]) -> None:
    """InputError where a method does not exist, is not offered, or asks for another layer."""
    if method in NATIVE:
        raise InputError(f"method {method!r} is retseg's own {NATIVE[method]!r}: ask `explain` for it")
    if method in NOT_OFFERED:
        raise InputError(f"method {method!r} {NOT_OFFERED[method]}; choose from {', '.join(OFFERED)}")
    if method not in OFFERED:
        raise InputError(f"method {method!r} is not known; choose from {', '.join(OFFERED)}")
    if not layers:
        raise InputError("layers: none given, expected at least one")
    wrong = [name for name in layers if (name == FULLGRAD_LAYER) != (method == "FullGrad")]
    if wrong:
        raise InputError(
            f"method {method!r} at layer {wrong[0]!r}: FullGrad has the one layer {FULLGRAD_LAYER!r}, which no other "
            "method has; ask for it alone"
        )


def _copy(net: nn.Module) -> nn.Module:
    """The network in eval mode, for the library to do with as it likes; nothing in place, or its maps are wrong."""
    model = copy.deepcopy(net).requires_grad_()
    for module in model.modules():
        module.training = False
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]  # of ReLU and its like
    return model


def _targets(score: Score, logits: Tensor) -> list[list[Callable[[Tensor], Tensor]]]:
    """For each class, for each scan: its score from what the model gives for one scan (C, H, W)."""
    weights = score.pixel_weights(logits).expand_as(logits)

    def target(scan: int, class_id: int) -> Callable[[Tensor], Tensor]:
        def of_output(output: Tensor) -> Tensor:
            if score.of == "log_probability":
                output = output.log_softmax(0)
            return (output[class_id] * weights[scan, class_id]).sum()

        return of_output

    num, num_classes = logits.shape[:2]
    return [[target(scan, class_id) for scan in range(num)] for class_id in range(num_classes)]


def _maps(
    method: str, model: nn.Sequential, path: str, image: Tensor, targets: list[list[Callable[[Tensor], Tensor]]]
) -> Tensor:
    """Raw maps (N, C, h, w) of one method at one layer, after a ReLU."""
    import pytorch_grad_cam  # type: ignore[import-untyped]  # takes seconds: only where it is asked for

    cls = getattr(pytorch_grad_cam, method, None)
    if cls is None:
        raise InputError(f"method {method!r} is not in the installed pytorch-grad-cam; install grad-cam 1.5.7 or later")
    if method == "FullGrad":
        cam = cls(model, [])
        return torch.stack([torch.from_numpy(cam(image, one)) for one in targets], 1)
    layer = model[1] if path == SOFTMAX else model[0].get_submodule(path)
    cam = cls(model, [layer])
    compute = cam.get_cam_image
    found: list[Tensor] = []

    def kept(*arguments: Any, **options: Any) -> Any:
        """What the library computes before it scales; refused where its matrices would not fit."""
        height, width = arguments[3].shape[2:]
        if height * width > MOST_PIXELS.get(method, height * width):
            raise InputError(
                f"method {method!r} at a layer of {height} x {width} pixels: pytorch-grad-cam makes a matrix of pixels "
                f"by pixels; choose a layer of at most {MOST_PIXELS[method]} pixels"
            )
        raw = compute(*arguments, **options)
        found.append(torch.as_tensor(raw).detach().float().cpu().relu())
        return raw

    cam.get_cam_image = kept
    try:
        for one in targets[:1] if method in ONE_MAP_FOR_ALL else targets:
            cam(image, one)
    finally:
        # Its own release detaches in place, which fails on views, and would keep the graph until the next collection.
        cam.activations_and_grads.activations, cam.activations_and_grads.gradients = [], []
        cam.activations_and_grads.release()
        del cam.get_cam_image
    return torch.stack(found if len(found) > 1 else found * len(targets), 1)


@contextlib.contextmanager
def _quiet_and_random_state_kept(device: torch.device) -> Iterator[None]:
    """No progress bars; torch's and numpy's random states are afterwards what they were."""
    state = np.random.get_state()  # noqa: NPY002  # the library draws from it
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                yield
        finally:
            np.random.set_state(state)  # noqa: NPY002
