"""Rows of a heatmap figure from an explanation and what is known of its maps."""

from typing import Any

import numpy as np
from torch import Tensor

from retseg.bscan import Array
from retseg.explain.engine import Explanation
from retseg.explain.identities import identity_of
from retseg.explain.image_grid import normalise, to_image_grid
from retseg.explain.records import JudgedMaps
from retseg.figures.heatmaps import HeatmapRow


def heatmap_row(
    found: Explanation, judged: JudgedMaps, method: str, layer: str, scan: int = 0, peak_quantile: float = 1.0
) -> HeatmapRow:
    """The maps of all classes of one scan at one layer; each divided by its peak, or by a quantile of its pixels."""
    maps, redundancy = found.maps[method, layer], judged.redundancies[method, layer]
    identity = identity_of(maps.module, maps.gradient, found.score, method)
    shown = to_image_grid(normalise(maps.raw[[scan]], peak_quantile), found.image_size)[0]
    return HeatmapRow(
        layer=layer,
        module=maps.module,
        normalised=_numpy(shown),
        raw_max=_numpy(maps.raw_max[scan]),
        overlaps=_numpy(redundancy.overlap_beyond_chance[scan]),
        repeats=redundancy.repeats[scan].cpu().numpy(),
        note="" if identity is None else f"by arithmetic no more than the prediction: the map is {identity.map_is}",
    )


def absent_classes(mask: Tensor | None, predicted: Tensor, num_classes: int) -> dict[int, str]:
    """Remark per class id that is missing in mask (H, W), in predicted (H, W), or in both; mask None: no labels."""
    remarks = {}
    for class_id in range(num_classes):
        present = bool((predicted == class_id).any())
        annotated = present if mask is None else bool((mask == class_id).any())
        if not (annotated and present):
            remarks[class_id] = "not predicted" if annotated else "not annotated" if present else "absent"
    return remarks


def _numpy(tensor: Tensor) -> Array:
    array: np.ndarray[Any, Any] = tensor.detach().float().cpu().numpy()
    return array
