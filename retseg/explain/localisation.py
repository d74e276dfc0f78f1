"""Localisation: where the heat of a class lies, in its layer, beside it or elsewhere, and how far away in microns.

N scans, C classes (ids in depth order, 0 is background), H rows (depth), W columns (A-scans). Maps are not negative.
What is nowhere near its layer may be context that the network uses, or a map that points at nothing: localisation says
where the heat is, not whether it is right.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from retseg.anatomy import IGNORE, NUM_CLASSES
from retseg.geometry.surfaces import depth_classes

FAR_SHARE = 0.95
"""Share of the heat that lies within the far distance of a layer."""


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """What masks say of every class, made once for all maps of the same scans; boolean (N, C, H, W) unless said.

    layer: pixels of the class. above, below: pixels of the next class up and down; for the first layer that is the
        background above the retina, for the last the background below it, and for background, which lies on both
        sides, the last and the first layer.
    known: (N, 1, H, W) annotated pixels.
    rows_to_layer: (N, C, H, W) int64 rows between a pixel's centre and that of the nearest pixel of the class in its
        column, 0 inside; -1 in columns without the class.
    to_layer_um: (N, C, H, W) float64 distance in the plane to the nearest pixel of the class, in any column; nan where
        a pixel size is unknown or the class absent.
    axial_um: (N,) float64 row height; nan where unknown.
    """

    layer: Tensor
    above: Tensor
    below: Tensor
    known: Tensor
    rows_to_layer: Tensor
    to_layer_um: Tensor
    axial_um: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Localisation:
    """Where the heat lies, (N, C) float64; nan for a blank map and for a class that the mask does not have.

    Only annotated pixels count. in_layer, in_above, in_below, elsewhere: shares of the heat, which sum to 1.
    area: the layer's share of the pixels, and so of the heat of a map that is the same everywhere.
    known: share of the map's heat that lies on annotated pixels.
    mean_distance_px, far_distance_px: from the layer along the A-scan, 0 inside, in rows: the mean over the heat, and
        within which 95 % of it lies. Heat in columns without the layer has no such distance and is left out;
        measured is the share that is not.
    pointing: share of the map's hottest pixels (one, unless several tie for the maximum) in the layer: 1 is a hit.
    pointing_near: of those, the share at most `tolerance_um` away from the layer in the plane of the scan; nan where a
        pixel size is unknown.
    axial_um: (N,) row height.
    """

    in_layer: Tensor
    in_above: Tensor
    in_below: Tensor
    elsewhere: Tensor
    area: Tensor
    known: Tensor
    mean_distance_px: Tensor
    far_distance_px: Tensor
    measured: Tensor
    pointing: Tensor
    pointing_near: Tensor
    axial_um: Tensor
    tolerance_um: float

    @property
    def in_neighbours(self) -> Tensor:
        """Share of the heat (N, C) in the classes above and below together."""
        return self.in_above + self.in_below

    def unit(self, scan: int) -> str:
        """Of the scan's distances: "um", or "px" where its scale is unknown."""
        return "px" if self.axial_um[scan].isnan() else "um"

    @property
    def mean_distance(self) -> Tensor:
        """Mean distance (N, C), each scan in its `unit`."""
        return self.mean_distance_px * self._rows_to_unit()

    @property
    def far_distance(self) -> Tensor:
        """Distance (N, C) within which 95 % of the heat lies, each scan in its `unit`."""
        return self.far_distance_px * self._rows_to_unit()

    def _rows_to_unit(self) -> Tensor:
        return torch.where(self.axial_um.isnan(), 1, self.axial_um)[:, None]


def find_regions(mask: Tensor, num_classes: int, spacing_um: Tensor) -> Regions:
    """Regions of C classes from class ids (N, H, W), IGNORE where nobody knows, and pixel sizes (N, 2) axial, lateral.

    mask: the annotation, or the prediction. Sizes are those of the mask's own pixels; nan is unknown.
    """
    assert num_classes <= NUM_CLASSES
    assert bool((mask < num_classes).all()), (num_classes, mask.max())
    mask, spacing_um = mask.cpu(), spacing_um.double().cpu()
    depth = torch.from_numpy(np.stack([depth_classes(one) for one in mask.numpy()]))
    ids = torch.arange(num_classes)[None, :, None, None]
    # Depth classes run 0 (above), 1 .. C - 1, and NUM_CLASSES (below), which is made C here; background is 0 and C.
    depth = torch.where(depth == NUM_CLASSES, num_classes, depth)[:, None]
    layer = mask[:, None] == ids
    above = depth == torch.where(ids == 0, num_classes - 1, ids - 1)
    below = (depth == ids + 1) & ~above  # of two classes, what is above and what is below background are the same
    to_layer_um = torch.stack([_distances(one, spacing) for one, spacing in zip(layer, spacing_um, strict=True)])
    return Regions(
        layer, above, below, mask[:, None] != IGNORE, _rows_to_layer(layer), to_layer_um, spacing_um[:, 0].clone()
    )


def localise(maps: Tensor, regions: Regions, tolerance_um: float = 20.0) -> Localisation:
    """Localisation of maps (N, C, H, W) in regions; tolerance_um is that of `pointing_near`."""
    assert maps.shape == regions.layer.shape, (maps.shape, regions.layer.shape)
    assert not (maps < 0).any()
    maps = maps.double().cpu()
    heat = torch.where(regions.known, maps, 0)
    total = heat.sum((2, 3))
    measures = {
        **_shares_of_heat(heat, regions),
        **_distances_of_heat(heat, regions.rows_to_layer),
        **_pointing(heat, regions, tolerance_um),
        "known": total / maps.sum((2, 3)),
        "area": regions.layer.sum((2, 3)) / regions.known.sum((2, 3)).double(),
    }
    is_judged = (total > 0) & regions.layer.any(3).any(2)
    judged = {name: torch.where(is_judged, measure, torch.nan) for name, measure in measures.items()}
    return Localisation(**judged, axial_um=regions.axial_um, tolerance_um=tolerance_um)


def context_share(maps: Tensor, predicted: Tensor) -> Tensor:
    """Share of the heat (N, C) float64 outside the layer as it is predicted, from maps (N, C, H, W) and ids (N, H, W).

    Every pixel counts, annotated or not. nan for a blank map and for a class without a predicted pixel.
    """
    ids = torch.arange(maps.shape[1], device=maps.device)[None, :, None, None]
    is_predicted = predicted[:, None] == ids
    heat = maps.double()
    share = torch.where(is_predicted, 0, heat).sum((2, 3)) / heat.sum((2, 3))
    return torch.where(is_predicted.any(3).any(2), share, torch.nan)


def _shares_of_heat(heat: Tensor, regions: Regions) -> dict[str, Tensor]:
    """Shares of the heat (N, C) in the layer, to either side of it, and elsewhere."""
    places = {
        "in_layer": regions.layer,
        "in_above": regions.above,
        "in_below": regions.below,
        "elsewhere": ~(regions.layer | regions.above | regions.below),
    }
    total = heat.sum((2, 3))
    return {name: torch.where(where, heat, 0).sum((2, 3)) / total for name, where in places.items()}


def _pointing(heat: Tensor, regions: Regions, tolerance_um: float) -> dict[str, Tensor]:
    """Shares (N, C) of the hottest annotated pixels that lie in the layer, and within tolerance_um of it."""
    is_peak = regions.known & (heat == heat.amax((2, 3), keepdim=True))
    num_peaks = is_peak.sum((2, 3)).double()
    is_near = regions.to_layer_um <= tolerance_um
    near = (is_peak & is_near).sum((2, 3)) / num_peaks
    is_unknown = regions.to_layer_um.isnan().any(3).any(2)
    return {
        "pointing": (is_peak & regions.layer).sum((2, 3)) / num_peaks,
        "pointing_near": torch.where(is_unknown, torch.nan, near),
    }


def _rows_to_layer(layer: Tensor) -> Tensor:
    """Rows (N, C, H, W) int64 to the nearest pixel of the class in its column; -1 where the column has none."""
    num_rows = layer.shape[2]
    rows = torch.arange(num_rows)[:, None].expand_as(layer)
    far = 2 * num_rows
    last_above = torch.where(layer, rows, -far).cummax(2).values
    next_below = torch.where(layer, rows, far).flip(2).cummin(2).values.flip(2)
    distance = torch.minimum(rows - last_above, next_below - rows)
    return torch.where(distance < num_rows, distance, -1)


def _distances(layer: Tensor, spacing_um: Tensor) -> Tensor:
    """Distance (C, H, W) in um to the nearest pixel of each class, from layer (C, H, W) bool; nan where unknown."""
    unknown = np.full(layer.shape[1:], np.nan)
    if spacing_um.isnan().any():
        return torch.from_numpy(np.stack([unknown] * len(layer)))
    sizes = tuple(spacing_um.tolist())
    found = [distance_transform_edt(~one, sampling=sizes) if one.any() else unknown for one in layer.numpy()]
    return torch.from_numpy(np.stack(found))


def _distances_of_heat(heat: Tensor, rows_to_layer: Tensor) -> dict[str, Tensor]:
    """Mean distance and that of 95 % of the heat (N, C) in rows, and the share of the heat that has a distance."""
    num_rows = heat.shape[2]
    # Heat by distance: a histogram over whole rows, whose first bin holds what has no distance.
    by_row = heat.new_zeros((*heat.shape[:2], num_rows + 1))
    by_row.scatter_add_(2, rows_to_layer.flatten(2) + 1, heat.flatten(2))
    measured = by_row[..., 1:]
    total = measured.sum(2)
    # Rounding of the running sum must not send an exact 95 % one row further.
    is_within = measured.cumsum(2) >= FAR_SHARE * (1 - 1e-12) * total[..., None]
    return {
        "mean_distance_px": (measured * torch.arange(num_rows)).sum(2) / total,
        "far_distance_px": torch.where(total > 0, is_within.int().argmax(2), torch.nan),
        "measured": total / heat.sum((2, 3)),
    }
