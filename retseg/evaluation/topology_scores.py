"""Rows of topology: what breaks the look of a retina, per scan. Another grader's counts stand in the ceiling column."""

from collections.abc import Sequence

import numpy as np

from retseg.anatomy import LAYER_NAMES
from retseg.bscan import Array
from retseg.evaluation.record import ScanRecord
from retseg.evaluation.scores import Score
from retseg.metrics.topology import Topology

PER_SCAN = ("order_violations", "columns_out_of_order")
PER_LAYER = ("islands", "holes", "columns_without")


def topology_scores(records: Sequence[ScanRecord]) -> list[Score]:
    """Means over scans, in counts a scan; "true_..." rows are the truth's own, by the same count."""
    found = _means([record.topology for record in records])
    ceilings = [record.ceiling.topology for record in records if record.ceiling is not None]
    ceiling = _means(ceilings) if ceilings else {}
    true = _means([record.true_topology for record in records if record.true_topology is not None])
    nan, num_subjects = float("nan"), len({record.subject for record in records})
    rows = []
    for prefix, values in (("", found), ("true_", true)):
        for (score, of), value in values.items():
            top = nan if prefix else ceiling.get((score, of), nan)
            average = "mean_over_scans"
            rows.append(Score(prefix + score, of, "a scan", average, value, nan, nan, num_subjects, top))
    return rows


def _means(topologies: Sequence[Topology]) -> dict[tuple[str, str], float]:
    """Means over scans by count and layer ("scan": of the whole scan)."""
    found = {(score, "scan"): float(np.mean([getattr(t, score) for t in topologies])) for score in PER_SCAN}
    for score in PER_LAYER:
        means: Array = np.mean([getattr(t, score) for t in topologies], axis=0)
        found |= {(score, name): float(mean) for name, mean in zip(LAYER_NAMES, means, strict=True)}
    return found
