"""Thickness with intervals: how far a column, the mean of an area and the mean of a scan may be from the truth.

S surfaces, L slabs, W columns (A-scans), B B-scans, K sectors. A half-width is a factor times a standard deviation:

- a column's sd is that of its two surfaces' rows, their errors taken as independent: sqrt(upper^2 + lower^2);
- the sd of a mean (over a scan, or over a sector of a map) is the mean of its columns' sds, their errors taken as
  moving together, which is the most that a mean can be off.

Neither assumption is believed: what is wrong with them on average is in the factors, one for each slab and each of
columns, areas and scans, that `calibration` finds on held-out scans. Units are those of `thickness_profile`: um, or px.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from retseg.bscan import Array, Spacing
from retseg.errors import InputError
from retseg.geometry.etdrs import ETDRS, Ring, sector_thickness
from retseg.geometry.thickness import SLABS, Slab, ThicknessProfile, thickness_profile
from retseg.geometry.volume_map import ScanGrid, thickness_map
from retseg.inference.members import Mode

Kind = Literal["columns", "areas", "scans"]
KINDS: tuple[Kind, ...] = ("columns", "areas", "scans")
"""What an interval is of: one column; the mean of an area about AREA_UM wide, as sectors are; the mean of a scan."""

AREA_UM = 1000.0
"""Length along a B-scan that area factors are calibrated on: the diameter of the central ETDRS field."""


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """Factors (L,) for columns, areas and scans, nan where too few scans were held out; for the slabs of SLABS.

    level: share of intervals that are meant to hold the truth. coverage: that was found, see `calibration`.
    """

    level: float
    columns: Array
    areas: Array
    scans: Array
    num_scans: int
    num_subjects: int
    data_name: str
    label_origin: str

    @property
    def words(self) -> str:
        """Where they come from, for tables and reports."""
        return (
            f"{self.level:.0%} intervals, calibrated on {self.num_scans} held-out scans of {self.num_subjects} "
            f"subjects ({self.data_name}, labels {self.label_origin})"
        )

    def half_widths(self, row_sd: Array, spacing: Spacing) -> Array:
        """Half-widths (L, W) of the thickness of each column, from the sd (S, W) in px of the surfaces' rows."""
        return np.asarray(self.columns[:, None] * slab_sd(row_sd, spacing).values)

    def scan_half_widths(self, surface_rows: Array, row_sd: Array, spacing: Spacing) -> Array:
        """Half-widths (L,) of the mean thickness of a scan over its known columns (`mean_thickness`)."""
        known = np.isfinite(thickness_profile(surface_rows, spacing).values)
        sd = slab_sd(row_sd, spacing).values
        return np.asarray(self.scans * mean_over(sd, known))

    def sector_half_widths(
        self,
        row_sds: Sequence[Array],
        spacing: Spacing,
        grid: ScanGrid,
        centre_um: tuple[float, float],
        rings: Sequence[Ring] = ETDRS,
    ) -> Array:
        """Half-widths (L, K) of `sector_thickness` of a volume's map, from the sd (S, W) of each of its B-scans (B)."""
        spread = thickness_map([slab_sd(row_sd, spacing) for row_sd in row_sds], grid)
        return np.asarray(self.areas[:, None] * sector_thickness(spread, centre_um, rings).mean)


def slab_sd(row_sd: Array, spacing: Spacing, slabs: Sequence[Slab] = SLABS) -> ThicknessProfile:
    """Standard deviation (L, W) of each slab's thickness in its unit, from that (S, W) in px of the surfaces' rows."""
    variance = row_sd.astype(np.float64) ** 2
    sd_px = np.sqrt(variance[[slab.last for slab in slabs]] + variance[[slab.first - 1 for slab in slabs]])
    if spacing.axial_um is None:
        return ThicknessProfile(tuple(slabs), sd_px, "px", "unknown, so pixels")
    return ThicknessProfile(tuple(slabs), sd_px * spacing.axial_um, "um", spacing.source)


def mean_over(values: Array, is_known: Array) -> Array:
    """Mean (...) over the last axis where known; nan without any."""
    count = is_known.sum(axis=-1)
    total = np.where(is_known, values, 0).sum(axis=-1)
    return np.asarray(np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0))


def find_intervals(reference: Mapping[str, Any], mode: Mode, level: float = 0.9) -> tuple[Intervals | None, str]:
    """The intervals of a reference (what `retseg calibrate` writes) for a way of predicting; "" or why there are none.

    InputError where the reference is damaged.
    """
    entries = reference.get("intervals", ())
    try:
        mine = [entry for entry in entries if _is_of(entry, mode)]
        fitting = [entry for entry in mine if abs(entry["level"] - level) < 1e-9]
        if fitting:
            return _read(fitting[-1]), ""
        known = sorted({str(entry["mode"]["words"]) for entry in entries})
        levels = sorted({f"{entry['level']:g}" for entry in mine})
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"reference: intervals are damaged ({error!r}); run `retseg calibrate` again") from error
    if levels:
        return None, f"no intervals at {level:g}: calibrated at {', '.join(levels)}; run `retseg calibrate --level`"
    if known:
        return None, (
            f"no intervals: calibrated for {'; '.join(known)}, not for {mode.words} of these networks; "
            "run `retseg calibrate` with the same runs and options"
        )
    return None, "no intervals: these networks were never calibrated; run `retseg calibrate RUN`"


def _is_of(entry: Mapping[str, Any], mode: Mode) -> bool:
    return Mode.from_json(entry["mode"]) == mode


def _read(entry: Mapping[str, Any]) -> Intervals:
    if entry["slabs"] != [slab.name for slab in SLABS]:
        raise ValueError("of other layers")
    factors = {
        kind: np.array([np.nan if value is None else value for value in entry["factors"][kind]]) for kind in KINDS
    }
    return Intervals(
        level=float(entry["level"]),
        columns=factors["columns"],
        areas=factors["areas"],
        scans=factors["scans"],
        num_scans=int(entry["num_scans"]),
        num_subjects=int(entry["num_subjects"]),
        data_name=str(entry["data_name"]),
        label_origin=str(entry["label_origin"]),
    )
