"""Taking a map's hottest pixels out of a scan, or putting only them in: deletion, insertion and ROAD.

Petsiuk et al., "RISE", BMVC 2018, arXiv 1806.07421 (deletion, insertion); Rong et al., "A Consistent and Efficient
Evaluation Strategy for Attribution Methods", ICML 2022, arXiv 2202.00449 (ROAD, noisy linear imputation).
N scans, C classes, H x W pixels. Images are in the network's units, 0..1 for retseg's own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu
from torch import Tensor, nn

from retseg.errors import InputError
from retseg.explain.taps import left_as_found

Array = npt.NDArray[Any]
Paint = Callable[[Tensor], Tensor]

BLUR_SD_PX = 10.0
"""Layers of 7 to 28 px leave no edge behind this blur; the brightness of their surroundings stays."""
ROAD_NOISE_SD = 0.01
"""Rong et al. 2022: a hundredth of the range of the image, so that no network can see a pixel by its smoothness."""

# (row, column) offsets of a pixel's neighbours and how much each counts: Rong et al. 2022, section 4.2.
_NEIGHBOURS = {
    (i, j): 1 / 6 if i == 0 or j == 0 else 1 / 12 for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)
}


class Perturbation(Protocol):
    """One way to change a scan where a map is hot."""

    @property
    def name(self) -> str:
        """What its curves are called."""
        ...

    @property
    def keeps_hottest(self) -> bool:
        """Whether the hottest pixels are what is left of the scan: then a good map keeps the segmentation alive."""
        ...

    def prepare(self, image: Tensor, seed: int) -> Paint:
        """What turns hot pixels (H, W) bool into a changed image (1, H, W), for one image (1, H, W)."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """The hottest pixels are replaced by the blurred scan (Gaussian of standard deviation blur_sd_px)."""

    blur_sd_px: float = BLUR_SD_PX
    name: str = "deletion"
    keeps_hottest: bool = False

    def prepare(self, image: Tensor, seed: int) -> Paint:
        """See `Perturbation`. Nothing here is random."""
        hazy = blurred(image, self.blur_sd_px)
        return lambda is_hot: torch.where(is_hot, hazy, image)


@dataclass(frozen=True, slots=True)
class Insertion:
    """The hottest pixels of the scan are put into the blurred scan (Gaussian of standard deviation blur_sd_px)."""

    blur_sd_px: float = BLUR_SD_PX
    name: str = "insertion"
    keeps_hottest: bool = True

    def prepare(self, image: Tensor, seed: int) -> Paint:
        """See `Perturbation`. Nothing here is random."""
        hazy = blurred(image, self.blur_sd_px)
        return lambda is_hot: torch.where(is_hot, image, hazy)


@dataclass(frozen=True, slots=True)
class Road:
    """The hottest pixels are filled in from the others, `imputed`, plus Gaussian noise: they cannot be seen as a hole.

    Noise is drawn once a scan, so that every map is judged under the same. Not every pixel can be removed.
    """

    noise_sd: float = ROAD_NOISE_SD
    name: str = "ROAD"
    keeps_hottest: bool = False

    def prepare(self, image: Tensor, seed: int) -> Paint:
        """See `Perturbation`."""
        generator = torch.Generator().manual_seed(seed)
        noise = self.noise_sd * torch.randn(image.shape, generator=generator).to(image)
        pixels = image[0].cpu().double().numpy()

        def paint(is_hot: Tensor) -> Tensor:
            filled = torch.from_numpy(imputed(pixels, is_hot.cpu().numpy())).to(image)
            return torch.where(is_hot, filled + noise, image)

        return paint


def blurred(image: Tensor, sd_px: float) -> Tensor:
    """Images (..., H, W) after a Gaussian of standard deviation sd_px along rows and columns; borders are repeated."""
    pixels = image.detach().cpu().numpy()
    sds = (*[0.0] * (pixels.ndim - 2), sd_px, sd_px)
    return torch.from_numpy(gaussian_filter(pixels, sds, mode="nearest")).to(image)


def imputed(image: Array, is_removed: Array) -> Array:
    """Image (H, W) float64 whose removed (H, W) bool pixels are the weighted mean of their neighbours, all at once.

    The linear equations of Rong et al. 2022: direct neighbours count 1/6, diagonal ones 1/12, and at the border those
    that exist share the weight. Solved exactly (sparse LU). InputError where nothing is left to fill in from.
    """
    if is_removed.all():
        raise InputError("ROAD: all pixels of a scan removed, nothing left to fill in from; choose shares below 1")
    rows, columns = np.nonzero(is_removed)
    number = np.full(np.add(image.shape, 2), -1)  # of each unknown; a rim of one pixel around the image
    number[1:-1, 1:-1][is_removed] = own = np.arange(rows.size)
    inside, known = np.pad(np.ones(image.shape), 1), np.pad(np.where(is_removed, 0, image), 1)
    total, right_side = np.zeros(rows.size), np.zeros(rows.size)
    entries, places = [], []
    for (down, right), weight in _NEIGHBOURS.items():
        there = (rows + 1 + down, columns + 1 + right)
        total += weight * inside[there]
        right_side += weight * known[there]
        is_unknown = number[there] >= 0
        places.append(np.stack([own[is_unknown], number[there][is_unknown]]))
        entries.append(np.full(is_unknown.sum(), -weight))
    row_column = np.concatenate([*places, np.stack([own, own])], axis=1)
    system = csc_array(
        (np.concatenate([*entries, total]), (row_column[0], row_column[1])), shape=(rows.size, rows.size)
    )
    filled = image.astype(np.float64)
    if rows.size:
        filled[is_removed] = splu(system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0).solve(right_side)
    return filled


def heat_ranks(maps: Tensor, seed: int = 0) -> Tensor:
    """Place (N, C, H, W) int64 of each pixel in order of heat, 0 for the hottest, from maps (N, C, H, W).

    Most maps are 0 over large areas. Equal pixels are ordered at random, by a seed: their order in the image (top left
    first) would take whole layers out one after the other. The random order is another one for every class and the
    same for every scan, so a scan's result does not depend on which scans are beside it.
    """
    heat = maps.detach().flatten(2)
    if not heat.isfinite().all():
        scan, class_id = (~heat.isfinite()).any(2).nonzero()[0].tolist()
        raise InputError(
            f"maps: scan {scan}, class {class_id} has nan or infinite heat; explain it in float32 or wider"
        )
    generator = torch.Generator().manual_seed(seed)
    shuffle = torch.rand(heat.shape[1:], generator=generator).argsort(dim=1).to(heat.device).expand(heat.shape)
    order = shuffle.gather(2, heat.gather(2, shuffle).argsort(dim=2, descending=True, stable=True))
    places = torch.arange(heat.shape[2], device=heat.device).expand(heat.shape)
    return torch.empty_like(order).scatter_(2, order, places).view(maps.shape)


def logits_in_eval_mode(net: nn.Module, images: Tensor, batch: int = 8) -> Tensor:
    """Logits (N, C, H, W) of images (N, 1, H, W), `batch` at once, without a graph; the network is left as found."""
    with torch.no_grad(), left_as_found(net, images.device):
        return torch.cat([net(part) for part in torch.split(images, batch)])
