"""Maps on the pixels of the image, and maps scaled for the eye. N scans, C classes, h x w pixels at a layer."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from retseg.bscan import Array


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


def centres_px(image_px: int, map_px: int) -> Array:
    """Centres (map_px,) of a layer's pixels along one axis of the image, in image pixels counted from 0."""
    return (np.arange(map_px) + 0.5) * _stride(image_px, map_px) - 0.5


def _stride(image_px: int, map_px: int) -> float:
    """Image pixels per map pixel along one axis."""
    ratio = image_px / map_px
    return ratio if ratio.is_integer() else 2.0 ** round(math.log2(ratio))
