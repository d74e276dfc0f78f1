"""Which scans are most worth a human look, the first ones first, and why.

Order: verdict of the quality gate (fail, check, pass), then no surfaces at all, then uncertainty: the mean half-width
of the layers' intervals where they are calibrated, else the mean sd of the surfaces' rows. On phantom scans of unseen
subjects, some of them noisy or pale, these two follow the true error of the surfaces most closely
(`benchmarks.interval_coverage`); confidence and the distance from the training data follow it less and, mixed in, gain
nothing. They count where they cross a limit: through the verdict.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from retseg.bscan import Array, Spacing
from retseg.geometry.thickness import LAYER_SLABS
from retseg.inference.intervals import Intervals
from retseg.inference.predicted import LEVELS

SPREAD, HALF_WIDTH = "mean_row_sd_px", "mean_half_width_px"
LOW_SHARE = 0.2
"""Confidence is given as a reason where it is among the lowest fifth of the scans."""


@dataclass(frozen=True, slots=True)
class Review:
    """A place in the queue: rank from 1, and the reasons in words. uncertainty is in `unit`, None without surfaces."""

    rank: int
    volume: str
    scan: str
    verdict: str
    uncertainty: float | None
    unit: str
    reasons: str

    def row(self) -> dict[str, Any]:
        """A line of review.csv."""
        uncertainty = None if self.uncertainty is None else round(self.uncertainty, 2)
        return {
            "rank": self.rank,
            "volume": self.volume,
            "scan": self.scan,
            "verdict": self.verdict,
            f"uncertainty_{self.unit}": uncertainty,
            "reasons": self.reasons,
        }


def mean_half_width_px(intervals: Intervals, row_sd: Array) -> float | None:
    """What a row of scans.csv holds as HALF_WIDTH: mean over layers and columns, from rows' sd (S, W); or None."""
    widths = intervals.half_widths(row_sd, Spacing())[: len(LAYER_SLABS)]
    known = widths[np.isfinite(widths)]
    return float(known.mean()) if known.size else None


class _Scan(NamedTuple):
    """What of a row of scans.csv decides its place."""

    volume: str
    scan: str
    verdict: str
    reasons: str
    confidence: float | None
    spread: float | None
    half_width: float | None
    axial_um: float | None

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> "_Scan":
        volume, verdict, reasons = (sys.intern(str(row[name])) for name in ("volume", "verdict", "reasons"))
        numbers = (row["confidence"], row[SPREAD], row.get(HALF_WIDTH), row["axial_um"])
        return cls(volume, str(row["scan"]), verdict, reasons, *numbers)


def review_queue(rows: Iterable[Mapping[str, Any]]) -> tuple[Review, ...]:
    """Scans, most worth a look first, from rows of scans.csv (`record.scan_row`).

    Half-widths count if every row with surfaces has one; um if the scale of all is known, else px.
    """
    scans = [_Scan.of_row(row) for row in rows]
    known = [scan for scan in scans if scan.spread is not None]
    by_half_width = all(scan.half_width is not None for scan in known)
    unit = "um" if all(scan.axial_um is not None for scan in known) else "px"
    uncertainty = np.array([_uncertainty(scan, by_half_width, unit) for scan in scans])
    confidence = np.array([-np.inf if scan.confidence is None else scan.confidence for scan in scans])
    order = sorted(range(len(scans)), key=lambda place: (-LEVELS.index(scans[place].verdict), -uncertainty[place]))
    shares_below, shares_less_sure = _shares_below(uncertainty), _shares_below(confidence)
    what = ("half-width of intervals" if by_half_width else "sd of surfaces", unit)
    return tuple(
        Review(
            rank=rank,
            volume=scans[place].volume,
            scan=scans[place].scan,
            verdict=scans[place].verdict,
            uncertainty=float(uncertainty[place]) if np.isfinite(uncertainty[place]) else None,
            unit=unit,
            reasons="; ".join(
                [
                    *([scans[place].reasons] if scans[place].reasons else []),
                    *_uncertain(uncertainty[place], shares_below[place], len(scans), what),
                    *_unsure(confidence[place], shares_less_sure[place], len(scans)),
                ]
            ),
        )
        for rank, place in enumerate(order, start=1)
    )


def _uncertainty(scan: _Scan, by_half_width: bool, unit: str) -> float:
    """In the unit; infinite without surfaces."""
    measured = scan.half_width if by_half_width else scan.spread
    if scan.spread is None or measured is None:
        return np.inf
    scale = scan.axial_um if unit == "um" else 1.0
    assert scale is not None
    return measured * scale


def _shares_below(values: Array) -> Array:
    """Share (N,) of the other values that are below each."""
    return np.asarray(np.searchsorted(np.sort(values), values) / max(len(values) - 1, 1))


def _uncertain(value: float, share: float, num_scans: int, what: tuple[str, str]) -> list[str]:
    if not np.isfinite(value):
        return ["no surfaces"]
    words = f"mean {what[0]} {value:.1f} {what[1]}"
    return [f"{words}, more than in {share:.0%} of the other scans" if num_scans > 1 else words]


def _unsure(value: float, share: float, num_scans: int) -> list[str]:
    is_low = np.isfinite(value) and num_scans > 1 and share < LOW_SHARE
    return [f"confidence {value:.2f}, among the lowest {LOW_SHARE:.0%}"] if is_low else []
