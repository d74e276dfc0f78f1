"""Class activation maps, one small function each, from features and gradients at one layer.

All take features A (N, K, h, w) and gradients G = dY/dA (N, K, h, w) of one class score Y. Those of `CHANNEL_WEIGHTS`
give one weight (N, K) a channel, and the map is ReLU(sum over k of weight_k A_k); those of `PIXEL_MAPS` weigh every
pixel by itself and give the map (N, h, w) after its ReLU. None of them rescales its map.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from retseg.errors import InputError

SEG_XRES_WINDOW_PX = 4
"""Side of the windows of Seg-XRes-CAM in pixels of the layer; its authors leave it to the user."""


def gradcam_weights(features: Tensor, gradients: Tensor) -> Tensor:
    """Mean gradient (N, K): Grad-CAM, Selvaraju et al. 2017, doi 10.1109/ICCV.2017.74; eq. 6 of the paper."""
    return gradients.mean((2, 3))


def gradcam_plus_plus_weights(features: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM++ weights (N, K): positive gradients weighted by eq. 19 of Chattopadhay et al. 2018.

    doi 10.1109/WACV.2018.00097. That equation takes the class score to be the exponential of what is differentiated;
    like every implementation this one puts in the gradient of the score as it is. It is not homogeneous in the
    gradient: a mean score and a sum score give different normalised maps. 0/0 counts as 0.
    """
    # g^2 / (2 g^2 + sum(A) g^3) = 1 / (2 + sum(A) g) wherever g is not 0; where it is, ReLU(g) is 0 anyway.
    positive = gradients.relu()
    divisor = (gradients * features.sum((2, 3), keepdim=True)).add_(2)
    return positive.div_(divisor.masked_fill_(divisor == 0, 1)).sum((2, 3))


def xgradcam_weights(features: Tensor, gradients: Tensor) -> Tensor:
    """Mean gradient (N, K) weighted by the features themselves: XGrad-CAM, Fu et al. 2020, arXiv 2008.02312, eq. 8.

    A channel whose features sum to 0 has weight 0. After a ReLU that is a silent channel; before one, where positive
    and negative features may all but cancel, the weights are ill-conditioned: prefer layers after their ReLU.
    """
    total = features.sum((2, 3))
    return torch.where(total == 0, 0, (gradients * features).sum((2, 3)) / torch.where(total == 0, 1, total))


def hirescam(features: Tensor, gradients: Tensor) -> Tensor:
    """ReLU of the sum over channels of G A (N, h, w): HiResCAM, Draelos and Carin 2020, arXiv 2011.08891.

    With a score over the predicted layer, a band or one pixel it is Seg-HiRes-Grad CAM (Rheude et al. 2024,
    arXiv 2409.20287).
    """
    return (gradients * features).sum(1).relu()


def layercam(features: Tensor, gradients: Tensor) -> Tensor:
    """ReLU of the sum over channels of ReLU(G) A (N, h, w): LayerCAM, Jiang et al. 2021.

    doi 10.1109/TIP.2021.3089943.
    """
    return (gradients.relu() * features).sum(1).relu()


def seg_xres_cam(features: Tensor, gradients: Tensor) -> Tensor:
    """Seg-XRes-CAM (N, h, w): as HiResCAM, with G pooled over windows and enlarged again, Hasany et al. 2023 (CVPRW).

    Between Grad-CAM (one window) and HiResCAM (windows of one pixel). Here: maxima over windows of
    SEG_XRES_WINDOW_PX x SEG_XRES_WINDOW_PX pixels of the layer, the last ones cut off by the border; bilinear.
    """
    height, width = features.shape[2:]
    window = (min(SEG_XRES_WINDOW_PX, height), min(SEG_XRES_WINDOW_PX, width))
    pooled = F.max_pool2d(gradients, window, ceil_mode=True)
    spread = F.interpolate(pooled, scale_factor=window, mode="bilinear")[..., :height, :width]
    return (spread * features).sum(1).relu()


Method = Callable[[Tensor, Tensor], Tensor]

CHANNEL_WEIGHTS: dict[str, Method] = {
    "gradcam": gradcam_weights,
    "gradcam++": gradcam_plus_plus_weights,
    "xgradcam": xgradcam_weights,
}
"""Methods that weigh channels: features and gradients to weights (N, K)."""

PIXEL_MAPS: dict[str, Method] = {"hirescam": hirescam, "layercam": layercam, "seg-xres-cam": seg_xres_cam}
"""Methods that weigh every pixel: features and gradients to a map (N, h, w)."""

METHODS = (*CHANNEL_WEIGHTS, *PIXEL_MAPS)
"""Names of the native methods."""


def check_methods(methods: Sequence[str]) -> None:
    """InputError where no method is asked for, or one that is none of METHODS."""
    if not methods:
        raise InputError(f"methods: none given, expected at least one of {', '.join(METHODS)}")
    for name in methods:
        if name not in METHODS:
            raise InputError(f"method {name!r} is not known; choose from {', '.join(METHODS)}")


def weighted_maps(weights: Tensor, features: Tensor) -> Tensor:
    """Eq. 7 (N, C, h, w): ReLU of the sum over channels of weights (N, C, K) times features (N, K, h, w)."""
    return torch.bmm(weights, features.flatten(2)).relu_().view(*weights.shape[:2], *features.shape[2:])
