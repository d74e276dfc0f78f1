"""Explainers of many methods and layers that share their passes through the network."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn

from retseg.explain.baselines import Explainer
from retseg.explain.engine import explain
from retseg.explain.score import Score

NUM_KEPT = 3
"""Results that are kept: of the network and the image as they are, of a change, and of one more."""


def map_name(method: str, layer: str) -> str:
    """`gradcam at conv2d_19`: what a map is called among others."""
    return f"{method} at {layer}"


class SharedMaps:
    """Maps (N, C, H, W) of all methods at all layers; the second question about a network and image costs nothing.

    A network counts as another one as soon as any of its weights or statistics has been written to.
    """

    def __init__(self, layers: Sequence[str], methods: Sequence[str], score: Score) -> None:
        self.layers, self.methods, self.score = list(layers), list(methods), score
        self.grains: dict[str, tuple[int, int]] = {}
        """Pixels (h, w) of each layer's maps, once any were made."""
        self._kept: deque[_Kept] = deque(maxlen=NUM_KEPT)

    @property
    def explainers(self) -> dict[str, Explainer]:
        """An explainer for each map, by `map_name`."""
        return {map_name(method, layer): self._explainer(method, layer) for method, layer in self._places}

    def maps(self, net: nn.Module, image: Tensor) -> dict[tuple[str, str], Tensor]:
        """All maps on the image's pixels, by method and layer."""
        for kept in self._kept:
            if kept.is_of(net, image):
                return kept.maps
        found = explain(net, image, self.layers, self.methods, self.score)
        maps = {key: one.on_image(found.image_size) for key, one in found.maps.items()}
        self.grains = {layer: (one.raw.shape[2], one.raw.shape[3]) for (_, layer), one in found.maps.items()}
        self._kept.append(_Kept(net, _state(net), image.clone(), maps))
        return maps

    @property
    def _places(self) -> list[tuple[str, str]]:
        return [(method, layer) for method in self.methods for layer in self.layers]

    def _explainer(self, method: str, layer: str) -> Callable[[nn.Module, Tensor], Tensor]:
        return lambda net, image: self.maps(net, image)[method, layer]


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """Maps, and what they are of: a network with its tensors and how often each was written to, and an image."""

    net: nn.Module
    state: list[tuple[Tensor, int]]
    image: Tensor
    maps: dict[tuple[str, str], Tensor]

    def is_of(self, net: nn.Module, image: Tensor) -> bool:
        """Whether they are maps of this network as it is now, and of this image."""
        if net is not self.net or image.shape != self.image.shape:
            return False
        now = _state(net)
        is_same = len(now) == len(self.state) and all(
            one is other and version == old for (one, version), (other, old) in zip(now, self.state, strict=True)
        )
        return is_same and torch.equal(image, self.image)


def _state(net: nn.Module) -> list[tuple[Tensor, int]]:
    return [(tensor, tensor._version) for tensor in chain(net.parameters(), net.buffers())]
