"""Redundancy: how much of a heat map the prediction already gives. A map that only repeats it explains nothing.

N scans, C classes, H x W pixels of the image. Maps are not negative; all three measures ignore their scale.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from retseg.explain.identities import Identity
from retseg.explain.ranks import average_ranks, correlation, ranks_of_sorted

Key = TypeVar("Key", bound=Hashable)

OVERLAP_BOUND = 0.7
"""A map repeats the prediction from this overlap beyond chance on. What controls reach, one layer of one scan at a time
(two SegNets of width 8 on silver labels of Duke, split by image and by subject; 12 validation scans of 128 x 128 px):

| map | 5 % | median | 95 % | largest |
|---|---|---|---|---|
| Grad-CAM at features that feed a 1x1 head (identity 5) | 0.76 to 0.78 | 0.91 to 0.92 | 0.97 to 0.98 | 0.99 |
| the same with a logit score (identity 4) | 0.74 to 0.76 | 0.89 to 0.90 | 0.97 | 0.98 |
| P_c in means over 4 x 4 px | 0.83 | 0.91 | 0.97 to 0.98 | 0.99 |
| P_c of another scan | -0.03 to 0.00 | 0.14 to 0.16 | 0.59 | 0.76 |
| P of a neighbouring layer | -0.06 | -0.03 to -0.01 | 0.26 to 0.49 | 0.63 |
| P of the whole retina | -0.13 to -0.11 | -0.03 to 0.03 | 0.52 to 0.58 | 0.77 |
| the scan itself | -0.21 to -0.13 | -0.01 to 0.02 | 0.48 to 0.51 | 0.74 |
| random fields, pixel noise to blobs of 32 px | -0.12 to -0.01 | -0.04 to 0.00 | 0.01 to 0.10 | 0.31 |
| axial edges of the scan | -0.09 to -0.08 | -0.03 to -0.02 | 0.20 to 0.21 | 0.26 |

So maps that are the output lie above the bound in 95 % of cases, maps that know nothing of it below in 95 %.
"""

RANK_BOUND = 0.9
"""Or from this rank correlation on. Lower values cannot tell: P of a neighbouring layer, which falls off at nearly the
same depths, reaches 0.88, while maps that are the output by identities 4 and 5 have 0.6 to 0.7 in the median and 0.85
at most, for want of agreement on far pixels where P_c is 1e-6 or 1e-9. P_c in means over 2 x 2 px has 0.73 to 0.93,
random fields have 0.40 at most (the same measurement).
"""


@dataclass(frozen=True, slots=True, eq=False)
class Redundancy:
    """Measures (N, C) float64 of maps against the prediction; nan: a blank map, or no pixel predicted as c.

    rank_correlation: Spearman's, of the map and P_c over all pixels of the scan, ties at their mean rank; -1 to 1.
    shared_heat: sum over pixels of min(map / its sum, P_c / its sum); 1 only where the map is P_c times a number.
    overlap: Dice between the pixels predicted as c and as many of the hottest pixels of the map. A pixel without
        heat is never among the hottest; of those that tie for the last places each counts in part (the mean over all
        ways to break the tie).

    area: the class's share of the scan, which is the overlap that a map reaches by chance.
    """

    rank_correlation: Tensor
    shared_heat: Tensor
    overlap: Tensor
    area: Tensor

    @property
    def overlap_beyond_chance(self) -> Tensor:
        """Overlap (N, C) on a scale where chance is 0 and the predicted pixels are 1: (overlap - area) / (1 - area).

        It is Cohen's kappa of "hottest" against "predicted" (1960, doi 10.1177/001316446002000104).
        """
        return (self.overlap - self.area) / (1 - self.area)

    @property
    def repeats(self) -> Tensor:
        """Maps (N, C) bool above either bound; a blank map repeats nothing."""
        return (self.overlap_beyond_chance >= OVERLAP_BOUND) | (self.rank_correlation >= RANK_BOUND)

    def stamp(self, scan: int, class_id: int, identity: Identity | None = None) -> str:
        """What to print beside a map: "repeats the prediction", from which identity that follows, or nothing.

        identity: of the map's layer, method and score, from `identity_of`. By it a map can be computed from the
        network's output alone, which is said of a map under the bounds, too.
        """
        if self.overlap[scan, class_id].isnan():
            return ""
        reason = "" if identity is None else f" ({identity.text})"
        if self.repeats[scan, class_id]:
            return f"repeats the prediction{reason}"
        return f"is computed from the output alone{reason}" if reason else ""


def redundancy(maps: Tensor, probabilities: Tensor) -> Redundancy:
    """Redundancy of maps (N, C, H, W), not negative, with the prediction's probabilities (N, C, H, W)."""
    return redundancies({"": maps}, probabilities)[""]


def redundancies(maps: Mapping[Key, Tensor], probabilities: Tensor) -> dict[Key, Redundancy]:
    """Redundancy of many maps (N, C, H, W) of the same scans, by layer or method: the prediction is ranked once."""
    ids = torch.arange(probabilities.shape[1], device=probabilities.device)[None, :, None, None]
    is_predicted = probabilities.argmax(1, keepdim=True) == ids
    prediction_ranks = average_ranks(probabilities.flatten(2))
    return {key: _redundancy(these, probabilities, is_predicted, prediction_ranks) for key, these in maps.items()}


def _redundancy(maps: Tensor, probabilities: Tensor, is_predicted: Tensor, prediction_ranks: Tensor) -> Redundancy:
    """Redundancy of maps with a prediction: probabilities, masks (N, C, H, W) and ranks (N, C, H x W)."""
    assert maps.shape == probabilities.shape, (maps.shape, probabilities.shape)
    assert not (maps < 0).any()
    heat = maps.flatten(2).double()
    is_judged = (heat.amax(2) > 0) & is_predicted.any(3).any(2)
    ordered, order = maps.flatten(2).sort(dim=2)
    measures = (
        correlation(ranks_of_sorted(ordered, order), prediction_ranks),
        torch.minimum(_shares(heat), _shares(probabilities.flatten(2).double())).sum(2),
        _overlap(heat, ordered.double(), is_predicted.flatten(2)),
        is_predicted.flatten(2).double().mean(2),
    )
    return Redundancy(*(torch.where(is_judged, measure, torch.nan) for measure in measures))


def _shares(heat: Tensor) -> Tensor:
    """Heat (N, C, n) divided by its sum; nan where there is none."""
    return heat / heat.sum(2, keepdim=True)


def _overlap(heat: Tensor, ordered: Tensor, is_predicted: Tensor) -> Tensor:
    """Dice (N, C) of the hottest pixels of heat (N, C, n) and as many predicted ones; ties count in part."""
    num_predicted = is_predicted.sum(2, keepdim=True)
    num_hottest = torch.minimum(num_predicted, (heat > 0).sum(2, keepdim=True))
    last = ordered.gather(2, (heat.shape[2] - num_hottest).clamp(max=heat.shape[2] - 1))
    is_above, is_tied = heat > last, heat == last
    places = (num_hottest - is_above.sum(2, keepdim=True)).double()
    member = is_above + is_tied * places / is_tied.sum(2, keepdim=True)
    return 2 * (member * is_predicted).sum(2) / (num_hottest + num_predicted).squeeze(2)
