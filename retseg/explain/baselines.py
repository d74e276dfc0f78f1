"""Maps that cost no explanation: noise, edges and the prediction. One that is no better says nothing about the network.

N scans, C classes, H x W pixels of the image; maps (N, C, H, W), not negative.
"""

from collections.abc import Callable

import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from retseg.explain.image_grid import to_image_grid
from retseg.explain.perturbation import logits_in_eval_mode

Explainer = Callable[[nn.Module, Tensor], Tensor]
"""From a network and images (N, 1, H, W) to maps (N, C, H, W) on the images' pixels."""

EDGE_SD_PX = 1.5
"""Below the speckle's lateral and above its pixel-to-pixel scale: surfaces stand out, single bright pixels do not."""


def prediction(net: nn.Module, image: Tensor) -> Tensor:
    """The predicted probabilities P (N, C, H, W) of image (N, 1, H, W), as if they explained anything: an `Explainer`.

    What a segmentation already shows. An explanation is worth its name where it does better than this one.
    """
    return logits_in_eval_mode(net, image).softmax(1)


def edge_map(image: Tensor, num_classes: int) -> Tensor:
    """Size of the axial gradient (N, C, H, W) of image (N, 1, H, W), the same for all classes: an edge detector.

    A derivative of a Gaussian of EDGE_SD_PX, in image units per px. It knows the scan and nothing of the network.
    """
    pixels = image.detach().cpu().numpy()
    slope = gaussian_filter(pixels, (0, 0, EDGE_SD_PX, EDGE_SD_PX), order=(0, 0, 1, 0), mode="nearest")
    return torch.from_numpy(slope).to(image).abs().expand(-1, num_classes, -1, -1)


def edges(net: nn.Module, image: Tensor) -> Tensor:
    """`edge_map` (N, C, H, W) as an `Explainer`: the network is asked for its number of classes alone."""
    return edge_map(image, logits_in_eval_mode(net, image[:1]).shape[1])


def random_fields(shape: tuple[int, int, int, int], grain: tuple[int, int], seed: int = 0) -> Tensor:
    """Smooth random maps (N, C, H, W) of the same grain as a layer's: noise of grain (h, w) pixels, enlarged like it.

    The fair opponent of a map that has h x w pixels at its layer. Scattered single pixels (`pixel_noise`) change a
    scan much less than blobs of as many: the blur and the imputation read them off their neighbours, so a map of any
    blobs at all would seem better than them.
    """
    generator = torch.Generator().manual_seed(seed)
    return to_image_grid(torch.rand(*shape[:2], *grain, generator=generator), (shape[2], shape[3]))


def pixel_noise(shape: tuple[int, int, int, int], seed: int = 0) -> Tensor:
    """Random maps (N, C, H, W), every pixel for itself: `random_fields` of the finest grain."""
    return random_fields(shape, (shape[2], shape[3]), seed)
