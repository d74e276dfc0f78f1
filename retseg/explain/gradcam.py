"""Grad-CAM for segmentation, with the numbers of the paper's table 3; `retseg.explain.engine` computes the maps.

Selvaraju et al., "Grad-CAM", ICCV 2017, doi 10.1109/ICCV.2017.74; equations 6 to 8 of the paper that retseg rebuilds.
N scans, C classes, K channels, h x w pixels at the layer, H x W pixels of the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from retseg.explain.engine import check_layers, explain
from retseg.explain.image_grid import normalise, to_image_grid
from retseg.explain.layers import SOFTMAX
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


def gradcam(net: nn.Module, image: Tensor, layers: Sequence[str], score: Score = PAPER_SCORE) -> GradCam:
    """Grad-CAM of all C classes at all layers, from image (N, 1, H, W) and a net that maps it to logits (N, C, H, W).

    layers: module paths, aliases of the network, or "softmax". Raises InputError for a name that does not exist.
    The network is left as it was found; see `retseg.explain.engine.explain`.
    """
    found = explain(net, image, layers, ("gradcam",), score)
    cams = {}
    for (_, layer), maps in found.maps.items():
        assert maps.weights is not None
        assert maps.gradient != "none"
        cams[layer] = LayerCam(layer, maps.module, maps.weights, maps.raw, maps.gradient)
    return GradCam(cams, found.probabilities, score)
