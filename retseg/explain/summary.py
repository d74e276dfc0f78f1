"""What the maps of a method at a layer have in common over all scans: how redundant they are, where their heat lies."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np

from retseg.bscan import Array
from retseg.explain.beyond_baselines import mean_interval, subject_means
from retseg.explain.records import MapRecord

MEASURES = (
    *("rank_correlation", "overlap_beyond_chance", "in_layer", "in_above", "in_below", "elsewhere", "context"),
    *("mean_distance", "pointing"),
)
"""Columns of a record that are averaged."""


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over subjects of their means over scans and layers, with its 95 % bootstrap interval over subjects."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class MapSummary:
    """One method at one layer, over the layers of the retina (background is none) of all scans.

    means: by MEASURES. num_maps: maps that could be judged: not blank, of a class that is predicted; repeating: how
    many of them repeat the prediction. blank: maps without any heat. identity: what holds by arithmetic, or nothing.
    """

    method: str
    layer: str
    module: str
    means: dict[str, Mean]
    num_maps: int
    repeating: int
    blank: int
    unit: str
    identity: str

    @property
    def share_repeating(self) -> float:
        """Share of the maps that repeat the prediction; nan if none could be judged."""
        return self.repeating / self.num_maps if self.num_maps else np.nan


def summarise(records: Sequence[MapRecord], class_name: str | None = None) -> list[MapSummary]:
    """A summary for each method and layer, in their order; of one class alone, or of all layers of the retina."""
    groups: dict[tuple[str, str], list[MapRecord]] = {}
    for record in records:
        if record.class_name == class_name or (class_name is None and record.class_id > 0):
            groups.setdefault((record.method, record.layer), []).append(record)
    return [_summary(group) for group in groups.values()]


def _summary(group: Sequence[MapRecord]) -> MapSummary:
    first, judged = group[0], [record for record in group if not isnan(record.overlap)]
    scans = list(dict.fromkeys((record.scan, record.subject) for record in group))
    return MapSummary(
        method=first.method,
        layer=first.layer,
        module=first.module,
        means={
            measure: Mean(*mean_interval(subject_means(_values(group, scans, measure), [s for _, s in scans])))
            for measure in MEASURES
        },
        num_maps=len(judged),
        repeating=sum(record.repeats for record in judged),
        blank=sum(record.raw_max == 0 for record in group),
        unit=" or ".join(sorted({record.unit for record in group})),
        identity=next((record.identity for record in group if record.identity), ""),
    )


def _values(group: Sequence[MapRecord], scans: Sequence[tuple[str, str]], measure: str) -> Array:
    """A measure (N, C) of a group, scans in order."""
    by_scan: dict[tuple[str, str], list[float]] = {scan: [] for scan in scans}
    for record in group:
        by_scan[record.scan, record.subject].append(getattr(record, measure))
    return np.array(list(by_scan.values()), np.float64)
