"""Where a set's wrong pixels are: counts summed over scans, and what follows from them, in plain types for files.

C classes, D bins of distance, R x K cells of the error map.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retseg.anatomy import CLASS_NAMES
from retseg.bscan import Array
from retseg.evaluation.record import ScanRecord
from retseg.metrics.misclassification import (
    DISTANCE_EDGES_PX,
    MAP_BIN_PX,
    MAP_COLUMNS,
    MAP_DEPTHS_PX,
    neighbour_confusion,
    over_and_under,
)


@dataclass(frozen=True, slots=True, eq=False)
class Misclassified:
    """Pixels of all scans: confusion (C, C), [truth, prediction]; wrong and all, (2, D) and (2, R, K)."""

    confusion: Array
    distance: Array
    error_map: Array

    @classmethod
    def of(cls, records: Sequence[ScanRecord]) -> "Misclassified":
        """Summed over scans."""
        kinds = ("confusion", "distance", "error_map")
        return cls(*(np.sum([getattr(record, kind) for record in records], axis=0) for kind in kinds))

    def by_distance(self) -> list[dict[str, Any]]:
        """A row for each bin of distance to the nearest true surface; to_px None: no upper end."""
        edges = [None if np.isinf(edge) else edge for edge in DISTANCE_EDGES_PX]
        wrong, pixels = self.distance.tolist()
        return [
            {"from_px": low, "to_px": high, "wrong": w, "pixels": n, "share_wrong": w / n if n else None}
            for low, high, w, n in zip(edges[:-1], edges[1:], wrong, pixels, strict=True)
        ]

    def share_within(self, distance_px: float) -> float:
        """Share of the wrong pixels that lie less than this from a true surface (one of the bins' edges)."""
        wrong = self.distance[0]
        near = wrong[: DISTANCE_EDGES_PX.index(distance_px)].sum()
        return float(near / wrong.sum()) if wrong.sum() else float("nan")

    def neighbours(self) -> dict[str, dict[str, float]]:
        """Where wrong pixels went, by true class and for all; see `neighbour_confusion`."""
        return neighbour_confusion(self.confusion)

    def over_and_under(self) -> dict[str, dict[str, float]]:
        """Pixels too many and too few, over the class's true pixels."""
        over, under = over_and_under(self.confusion)
        return {n: {"over": float(o), "under": float(u)} for n, o, u in zip(CLASS_NAMES, over, under, strict=True)}

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "by_distance": self.by_distance(),
            "confusion": self.confusion.tolist(),
            "neighbours": self.neighbours(),
            "over_and_under": self.over_and_under(),
            "error_map": {
                "depth_from_px": list(range(*MAP_DEPTHS_PX, MAP_BIN_PX)),
                "depth_bin_px": MAP_BIN_PX,
                "num_columns": MAP_COLUMNS,
                "wrong": self.error_map[0].tolist(),
                "pixels": self.error_map[1].tolist(),
            },
        }

    def rows(self) -> Iterator[dict[str, Any]]:
        """The same as rows of a long table: kind, of, place, wrong pixels, all pixels, and a share of them."""
        for row in self.by_distance():
            to = "inf" if row["to_px"] is None else f"{row['to_px']:g}"
            place = f"{row['from_px']:g} to {to} px"
            yield _row("by_distance", "all", place, row["wrong"], row["pixels"], row["share_wrong"])
        true = {"all": int(self.confusion.sum())} | dict(zip(CLASS_NAMES, self.confusion.sum(axis=1), strict=True))
        for name, counts in self.neighbours().items():
            for place in ("above", "below", "elsewhere"):
                yield _row("went_to", name, place, counts["num_wrong"], true[name], counts[place])
        for name, shares in self.over_and_under().items():
            for place, share in shares.items():
                wrong = "" if np.isnan(share) else round(share * true[name])
                yield _row("segmentation", name, place, wrong, true[name], share)
        wrong_map, pixels_map = self.error_map
        for (row_, column), pixels in np.ndenumerate(pixels_map):
            depth = MAP_DEPTHS_PX[0] + row_ * MAP_BIN_PX
            place = f"{depth} to {depth + MAP_BIN_PX} px below the ILM, {column / MAP_COLUMNS:.2f} of the width"
            if pixels:
                wrong = int(wrong_map[row_, column])
                yield _row("error_map", "all", place, wrong, int(pixels), wrong / int(pixels))


def _row(kind: str, of: str, place: str, wrong: Any, pixels: Any, share: float | None) -> dict[str, Any]:
    shown = "" if share is None or np.isnan(share) else share
    return {"kind": kind, "of": of, "place": place, "wrong": wrong, "pixels": pixels, "share": shown}
