"""What is known of each map, in one row: the paper's Table 3, redundancy with the prediction, where the heat lies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from retseg.anatomy import CLASS_NAMES
from retseg.explain.engine import Explanation, LayerMaps
from retseg.explain.identities import identity_of
from retseg.explain.localisation import Localisation, context_share, find_regions, localise
from retseg.explain.redundancy import Redundancy, redundancies
from retseg.explain.score import Score


@dataclass(frozen=True, slots=True)
class MapRecord:
    """One scan's map of one class at one layer by one method; nan where a number does not exist.

    alpha_mean to mean_intensity_raw: Table 3 of the paper (eq. 6 to 8), on the layer's own grid; alpha is nan for
    methods that weigh pixels. rank_correlation to repeats: of the map and P_c, see `Redundancy`. in_layer to
    pointing: see `Localisation`, against the labels named by `reference`; distances in `unit`. context: share of the
    heat outside the layer as it is predicted. identity: by which the map follows from the output alone, if it does;
    stamp: what must not be overlooked.
    """

    scan: str
    subject: str
    method: str
    layer: str
    module: str
    class_id: int
    class_name: str
    alpha_mean: float
    alpha_abs_max: float
    raw_max: float
    max_normalised: float
    mean_intensity_normalised: float
    mean_intensity_raw: float
    rank_correlation: float
    shared_heat: float
    overlap: float
    overlap_beyond_chance: float
    repeats: bool
    identity: str
    stamp: str
    reference: str
    in_layer: float
    in_above: float
    in_below: float
    elsewhere: float
    layer_area: float
    mean_distance: float
    far_distance: float
    unit: str
    pointing: float
    pointing_near: float
    context: float


RECORD_COLUMNS = tuple(field.name for field in fields(MapRecord))


@dataclass(frozen=True, slots=True, eq=False)
class JudgedMaps:
    """Maps of N scans by method and layer name on the image's pixels, and what is known of each."""

    maps: dict[tuple[str, str], Tensor]
    redundancies: dict[tuple[str, str], Redundancy]
    records: list[MapRecord]


def judge_maps(
    explanation: Explanation,
    names: Sequence[str],
    subjects: Sequence[str],
    mask: Tensor | None,
    spacing_um: Tensor,
    class_names: Sequence[str] = CLASS_NAMES,
) -> JudgedMaps:
    """Judge all maps of N scans. mask: class ids (N, H, W), IGNORE where nobody annotated; None: the prediction.

    spacing_um: (N, 2) height and width of the network's pixels, nan where unknown.
    """
    probabilities = explanation.probabilities.float().cpu()
    predicted = probabilities.argmax(1)
    reference = "prediction" if mask is None else "labels"
    regions = find_regions(predicted if mask is None else mask, len(class_names), spacing_um)
    maps = {key: one.on_image(explanation.image_size).float().cpu() for key, one in explanation.maps.items()}
    redundant = redundancies(maps, probabilities)
    records = []
    for key, layer_maps in explanation.maps.items():
        located = localise(maps[key], regions)
        table3 = table_3(layer_maps)
        shown = _Judged(redundant[key], located, context_share(maps[key], predicted), explanation.score, layer_maps)
        for scan, (name, subject) in enumerate(zip(names, subjects, strict=True)):
            for class_id, class_name in enumerate(class_names):
                values: dict[str, Any] = {"scan": name, "subject": subject, "reference": reference}
                values |= {"method": layer_maps.method, "layer": layer_maps.layer, "module": layer_maps.module}
                values |= {"class_id": class_id, "class_name": class_name}
                values |= {column: float(numbers[scan, class_id]) for column, numbers in table3.items()}
                records.append(MapRecord(**values, **shown.at(scan, class_id)))
    return JudgedMaps(maps, redundant, records)


def table_3(maps: LayerMaps) -> Mapping[str, Tensor]:
    """The paper's Table 3 of maps by column, each (N, C): alpha (eq. 6), peaks (eq. 7), mean intensities (eq. 8)."""
    unknown = torch.full_like(maps.raw_max, torch.nan)
    return {
        "alpha_mean": unknown if maps.weights is None else maps.weights.mean(2),
        "alpha_abs_max": unknown if maps.weights is None else maps.weights.abs().amax(2),
        "raw_max": maps.raw_max,
        "max_normalised": maps.normalised.amax((2, 3)),
        "mean_intensity_normalised": maps.normalised.mean((2, 3)),
        "mean_intensity_raw": maps.raw.mean((2, 3)),
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """The measures of one layer's maps by one method."""

    redundancy: Redundancy
    located: Localisation
    context: Tensor
    score: Score
    maps: LayerMaps

    def at(self, scan: int, class_id: int) -> dict[str, Any]:
        """Those of one map."""
        place, redundant, located = (scan, class_id), self.redundancy, self.located
        identity = identity_of(self.maps.module, self.maps.gradient, self.score, self.maps.method)
        return {
            "rank_correlation": float(redundant.rank_correlation[place]),
            "shared_heat": float(redundant.shared_heat[place]),
            "overlap": float(redundant.overlap[place]),
            "overlap_beyond_chance": float(redundant.overlap_beyond_chance[place]),
            "repeats": bool(redundant.repeats[place]),
            "identity": "" if identity is None else identity.text,
            "stamp": redundant.stamp(scan, class_id, identity),
            "in_layer": float(located.in_layer[place]),
            "in_above": float(located.in_above[place]),
            "in_below": float(located.in_below[place]),
            "elsewhere": float(located.elsewhere[place]),
            "layer_area": float(located.area[place]),
            "mean_distance": float(located.mean_distance[place]),
            "far_distance": float(located.far_distance[place]),
            "unit": located.unit(scan),
            "pointing": float(located.pointing[place]),
            "pointing_near": float(located.pointing_near[place]),
            "context": float(self.context[place]),
        }
