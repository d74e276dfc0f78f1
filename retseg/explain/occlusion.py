"""Occlusion: the slow reference that looks at nothing but what comes out. No layer, no gradient.

Zeiler and Fergus 2014, doi 10.1007/978-3-319-10590-1_53. N scans, C classes, H rows, W columns.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retseg.errors import InputError
from retseg.explain.score import PAPER_SCORE, Score
from retseg.explain.taps import left_as_found

Fill = Literal["mean", "blur"]

BLUR_SIDE_PX = 31
"""Side of the window whose mean is the local blur: about a third of a retina in a scan of 256 rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Occlusion:
    """What the scores lose where the scan is hidden.

    signed: (N, C, H, W): mean fall of Y^c over the patches that hide the pixel; negative where hiding raises it.
    probabilities: (N, C, H, W) of the scan as it is.
    """

    signed: Tensor
    probabilities: Tensor
    score: Score

    @property
    def maps(self) -> Tensor:
        """The falls alone (N, C, H, W): what speaks for the class, 0 elsewhere."""
        return self.signed.relu()


def occlusion(
    net: nn.Module,
    image: Tensor,
    score: Score = PAPER_SCORE,
    side_px: int = 16,
    stride_px: int = 8,
    fill: Fill = "mean",
    batch: int = 16,
) -> Occlusion:
    """Falls of all class scores, from image (N, 1, H, W) and a net with logits (N, C, H, W): one sweep for all classes.

    Squares of side_px x side_px image pixels, every stride_px, are replaced by the scan's own "mean", or by a local
    "blur" (mean over BLUR_SIDE_PX x BLUR_SIDE_PX, borders repeated). The first squares start at the top left corner,
    the last ones end at the bottom right one, so that every pixel is hidden at least once. The pixels that a score
    counts are those of the unchanged scan. At most `batch` changed scans are in the network at once; a scan takes one
    forward pass a square, about H W / stride_px^2. The network is left as it was found. InputError for squares that do
    not fit.
    """
    height, width = image.shape[2:]
    if not 1 <= side_px <= min(height, width):
        raise InputError(f"occlusion: patches of {side_px} px on {height} x {width}; expected 1 to the shorter side")
    if not 1 <= stride_px <= side_px:
        raise InputError(
            f"occlusion: a stride of {stride_px} px, expected 1 to the patch's {side_px}, or pixels escape"
        )
    if fill not in ("mean", "blur"):
        raise InputError(f"occlusion: fill {fill!r}, expected one of mean, blur")
    if batch < 1:
        raise InputError(f"occlusion: a batch of {batch}, expected at least 1")
    corners = [
        (top, left) for top in _starts(height, side_px, stride_px) for left in _starts(width, side_px, stride_px)
    ]
    with torch.no_grad(), left_as_found(net, image.device):
        logits = torch.cat([net(one) for one in torch.split(image, batch)])
        falls = torch.stack(
            [
                _falls(net, one, part, score.part(slice(scan, scan + 1)), corners, side_px, fill, batch)
                for scan, (one, part) in enumerate(zip(torch.split(image, 1), torch.split(logits, 1), strict=True))
            ]
        )
        signed = _spread(falls, corners, side_px, (height, width))
    return Occlusion(signed, logits.softmax(1), score)


def _starts(length: int, side: int, stride: int) -> list[int]:
    """First pixels of the patches along one axis; the last patch ends where the axis ends."""
    starts = list(range(0, length - side + 1, stride))
    return starts if starts[-1] + side == length else [*starts, length - side]


def _falls(
    net: nn.Module,
    image: Tensor,
    logits: Tensor,
    score: Score,
    corners: list[tuple[int, int]],
    side: int,
    fill: Fill,
    batch: int,
) -> Tensor:
    """Fall of Y^c (P, C) by each of P patches on one scan (1, 1, H, W) with logits (1, C, H, W)."""
    counted = score.pixel_weights(logits)
    whole = score.weighted(logits, counted)
    filling = _filling(image, fill)
    found = []
    for start in range(0, len(corners), batch):
        some = corners[start : start + batch]
        changed = image.repeat(len(some), 1, 1, 1)
        for number, (top, left) in enumerate(some):
            patch = (..., slice(top, top + side), slice(left, left + side))
            changed[number][patch] = filling[0][patch]
        found.append(whole - score.weighted(net(changed), counted))
    return torch.cat(found)


def _filling(image: Tensor, fill: Fill) -> Tensor:
    """What patches of a scan (1, 1, H, W) are replaced by, (1, 1, H, W)."""
    if fill == "mean":
        return image.mean((2, 3), keepdim=True).expand_as(image)
    half = BLUR_SIDE_PX // 2
    return F.avg_pool2d(F.pad(image, (half, half, half, half), mode="replicate"), BLUR_SIDE_PX, stride=1)


def _spread(falls: Tensor, corners: list[tuple[int, int]], side: int, size: tuple[int, int]) -> Tensor:
    """Mean fall (N, C, H, W) at every pixel over the patches that hide it, from falls (N, P, C)."""
    num, _, num_classes = falls.shape
    total, times = falls.new_zeros(num, num_classes, *size), falls.new_zeros(size)
    for number, (top, left) in enumerate(corners):
        patch = (..., slice(top, top + side), slice(left, left + side))
        total[patch] += falls[:, number, :, None, None]
        times[patch] += 1
    return total / times
