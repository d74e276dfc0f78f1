"""How alike two sets of maps are: rank correlation, SSIM and the overlap of their hottest pixels.

The three measures of Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018, arXiv 1810.03292 (section 3.1),
without their absolute value: retseg's maps are non-negative, and a map turned upside down is another map.
N scans, C classes, H x W pixels of the image. Maps are compared raw: none of the measures feels a common factor.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from retseg.explain import ranks

TOP_SHARE = 0.1
"""The hottest tenth of a scan. Two maps that know nothing of each other share a tenth of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """Likeness (..., N, C) of two maps per scan and class, 1 for the same map; nan where one of them is blank.

    rank: Spearman's correlation over the pixels, -1..1; 0 for unrelated maps.
    ssim: structural similarity (Wang et al. 2004, doi 10.1109/TIP.2003.819861), each map divided by its peak.
    top: share of the hottest pixels that the two have in common, see `top_overlap`.
    """

    rank: Tensor
    ssim: Tensor
    top: Tensor

    @classmethod
    def stack(cls, parts: Sequence["Similarity"]) -> "Similarity":
        """Similarities (T, N, C) from T of (N, C) each."""
        return cls(*(torch.stack([getattr(part, field.name) for part in parts]) for field in fields(cls)))


def similarity(first: Tensor, second: Tensor) -> Similarity:
    """All three measures (N, C) of two sets of maps (N, C, H, W)."""
    return Similarity(
        rank_correlation(first, second), structural_similarity(first, second), top_overlap(first, second, TOP_SHARE)
    )


def rank_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Spearman's correlation (N, C) float64 of maps (N, C, H, W); equal pixels share their mean rank.

    nan where either map has one value throughout, as a blank one has.
    """
    return ranks.rank_correlation(first.flatten(2), second.flatten(2))


def structural_similarity(first: Tensor, second: Tensor) -> Tensor:
    """SSIM (N, C) float32 of maps (N, C, H, W), each divided by its peak; 11 x 11 Gaussian window; nan where blank.

    H and W at least 11. Where both maps are flat SSIM is near 1, so two sparse maps look alike to it: read it beside
    the other two.
    """
    flat = [(maps / maps.amax((2, 3), keepdim=True)).flatten(0, 1).unsqueeze(1).float() for maps in (first, second)]
    is_blank = flat[0].isnan().any(3).any(2) | flat[1].isnan().any(3).any(2)
    scores = structural_similarity_index_measure(
        flat[0].nan_to_num(0), flat[1].nan_to_num(0), data_range=1.0, reduction="none"
    )
    assert isinstance(scores, Tensor)
    return torch.where(is_blank[:, 0], torch.nan, scores).view(first.shape[:2])


def top_overlap(first: Tensor, second: Tensor, share: float = TOP_SHARE) -> Tensor:
    """Share (N, C) float64 of the k hottest pixels that two maps (N, C, H, W) have in common; nan where one is blank.

    k is `share` of the pixels, or the number of pixels with any heat in the map that has fewer: pixels without heat
    are never among the hottest. Where the k-th and further pixels are equal, each counts for its part of the places
    left, so that nothing depends on the order of pixels; a map overlaps with itself by 1.
    """
    a, b = (maps.flatten(2).double() for maps in (first, second))
    num_hot = torch.minimum((a > 0).sum(2), (b > 0).sum(2)).clamp(max=max(1, round(share * a.shape[2])))
    common = torch.minimum(_membership(a, num_hot), _membership(b, num_hot)).sum(2)
    return common / num_hot  # blank: 0 / 0 = nan


def _membership(values: Tensor, num_hot: Tensor) -> Tensor:
    """How far (N, C, P), 0..1, each value belongs to the num_hot (N, C) largest; those equal to the last share evenly.

    They sum to num_hot.
    """
    ordered = values.sort(dim=2, descending=True).values
    last = ordered.gather(2, (num_hot - 1).clamp(min=0).unsqueeze(2))
    above, level = values > last, values == last
    places = num_hot - above.sum(2)
    return above + level * (places / level.sum(2)).unsqueeze(2)
