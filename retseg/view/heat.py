"""Grad-CAM of all classes at several depths of a network, on the pixels of a scan. C classes, T windows.

One forward pass gives all maps (`retseg.explain.engine`). A network looks at windows; each class score is the sum of
its probability over a window, so maps of windows are in one unit and are laid together as predictions are.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from retseg.bscan import Array
from retseg.evaluation.inference import Place
from retseg.explain.engine import Explanation, explain
from retseg.explain.identities import identity_of
from retseg.explain.image_grid import to_image_grid
from retseg.explain.layers import aliases
from retseg.explain.redundancy import redundancies
from retseg.inference.predicted import PredictedScan
from retseg.inference.predictor import on_scan
from retseg.inference.tiles import blend_weights
from retseg.view.networks import Choice
from retseg.view.refusal import Refusal

DEPTHS = ("conv2d_19", "conv2d_17", "conv2d_15", "conv2d_11")
"""The paper's names of the decoder at full, half, a quarter and a sixteenth of the resolution, as `retseg explain`."""

MOST_PIXELS = 2**16
"""Of a map: the layers of a scan stay apart, and eight classes are a picture of 100 kB."""


@dataclass(frozen=True, slots=True, eq=False)
class HeatMaps:
    """Maps (C, h, w) in 0..1 of one depth on a scan's grid made coarser, each divided by its own peak.

    layer, module: its name and the module it stands for. grain: pixels (rows, columns) of the layer in a window.
    peaks: (C,) before the division, in units of score times activation; 0 is a blank map. stamps: (C,) what must not
    be overlooked beside a map, e.g. "repeats the prediction".
    """

    layer: str
    module: str
    grain: tuple[int, int]
    maps: Array
    peaks: tuple[float, ...]
    stamps: tuple[str, ...]


def why_not(choice: Choice) -> str:
    """Why the first network of a choice cannot be explained: it can only be run, or names no layer; "" if it can."""
    network = choice.networks[0]
    if network.module is None:
        return (
            f"{network.card.name} runs in {network.engine}, which gives no gradients: no explanation; "
            "start the viewer with its run folder (--run) or its .safetensors file"
        )
    if not _layers(network.module):
        return f"{network.card.name} names none of {', '.join(DEPTHS)}: use `retseg explain --layers`"
    return ""


def _layers(module: nn.Module) -> list[str]:
    """Those of DEPTHS that a network has, full resolution first; of two names of one module the first."""
    named = aliases(module)
    return list({named[name]: name for name in reversed(DEPTHS) if name in named}.values())[::-1]


def heat_maps(choice: Choice, scan: PredictedScan) -> tuple[HeatMaps, ...]:
    """Maps of a choice's first network, full resolution first. Refusal (409), with `why_not`, where it has none."""
    if reason := why_not(choice):
        raise Refusal(409, reason)
    module = choice.networks[0].module
    assert module is not None
    places, images = choice.gated.predictor.windows(scan.image, scan.spacing)
    found = explain(module, images, _layers(module))
    return _on_scan(found, places, (scan.image.shape[0], scan.image.shape[1]))


def _on_scan(found: Explanation, places: tuple[Place, ...], shape: tuple[int, int]) -> tuple[HeatMaps, ...]:
    """Windows laid together, and what is known of each map."""
    share = min(1.0, (MOST_PIXELS / (shape[0] * shape[1])) ** 0.5)
    small = (max(round(shape[0] * share), 1), max(round(shape[1] * share), 1))
    scaled = tuple(_scaled(place, small[0] / shape[0], small[1] / shape[1]) for place in places)
    weights = blend_weights(scaled, small[1])
    probabilities = _laid_probabilities(found.probabilities, scaled, weights, small)
    maps = {
        layer: _laid(to_image_grid(one.raw, found.image_size), scaled, weights, small)
        for (_, layer), one in found.maps.items()
    }
    redundant = redundancies(maps, probabilities)
    heats = []
    for (method, layer), one in found.maps.items():
        peaks = maps[layer].amax((2, 3))[0]
        identity = identity_of(one.module, one.gradient, found.score, method)
        shown = maps[layer][0] / torch.where(peaks == 0, 1, peaks)[:, None, None]
        stamps = tuple(redundant[layer].stamp(0, number, identity) for number in range(len(peaks)))
        grain = (one.raw.shape[2], one.raw.shape[3])
        heats.append(HeatMaps(layer, one.module, grain, shown.numpy(), tuple(map(float, peaks)), stamps))
    return tuple(heats)


def _scaled(place: Place, by_rows: float, by_columns: float) -> Place:
    """The same window on a coarser grid, at least a pixel of it."""
    top, left = round(place.top * by_rows), round(place.left * by_columns)
    bottom, right = round((place.top + place.height) * by_rows), round((place.left + place.width) * by_columns)
    return replace(place, top=top, left=left, height=max(bottom - top, 1), width=max(right - left, 1))


def _laid(planes: Tensor, places: tuple[Place, ...], weights: Array, shape: tuple[int, int]) -> Tensor:
    """Planes (1, C, H, W) of a scan from those of its windows (T, C, h, w)."""
    return torch.from_numpy(on_scan(planes, places, weights, shape))[None]


def _laid_probabilities(
    probabilities: Tensor, places: tuple[Place, ...], weights: Array, shape: tuple[int, int]
) -> Tensor:
    """Probabilities (1, C, H, W) of a scan from those of its windows; background where no window looked."""
    laid = _laid(probabilities, places, weights, shape)
    laid[0, 0] += 1 - laid[0].sum(dim=0)
    return laid


def atlas(heat: HeatMaps) -> Array:
    """Maps one below the other, (C * h, w) uint8: 255 is the peak of each."""
    return np.asarray(np.rint(heat.maps.reshape(-1, heat.maps.shape[2]) * 255), np.uint8)
