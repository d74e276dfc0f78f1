"""Sums over scans, from which every pooled score follows. N rows: single scans, subjects, or draws of subjects.

C classes, S surfaces, L layers, M draws or groups. Distances are in microns or in pixels, as `unit` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from retseg.bscan import Array
from retseg.evaluation.record import ScanRecord

Unit = Literal["um", "px"]


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Counts (N, C, C), and sums of errors over known columns, of surfaces (N, S) and of thickness (N, L).

    absolute, squared, signed: sums of the errors taken so. columns: how many are summed. true_columns (N, S): columns
    whose true surface is known, whether a surface was found there or not.
    """

    confusion: Array
    surface_absolute: Array
    surface_squared: Array
    surface_signed: Array
    surface_columns: Array
    true_columns: Array
    thickness_absolute: Array
    thickness_signed: Array
    thickness_columns: Array

    def weighted(self, weights: Array) -> "Sums":
        """M rows, each a sum of these N rows weighted by weights (M, N)."""
        rows = (getattr(self, field.name) for field in fields(self))
        return Sums(*(np.tensordot(weights.astype(np.float64), values, axes=1) for values in rows))


def scan_sums(records: Sequence[ScanRecord], unit: Unit) -> Sums:
    """One row a scan. In um, a scan whose scale is unknown adds nothing to the sums of distances."""
    rows = [(record.confusion, *_distance_sums(record, unit)) for record in records]
    return Sums(*(np.array(column, np.float64) for column in zip(*rows, strict=True)))


def _distance_sums(record: ScanRecord, unit: Unit) -> tuple[Array, ...]:
    surfaces, thickness = scaled_errors(record, unit)
    return (
        np.nansum(np.abs(surfaces), axis=1),
        np.nansum(np.square(surfaces), axis=1),
        np.nansum(surfaces, axis=1),
        np.isfinite(surfaces).sum(axis=1),
        record.num_true_columns * (unit == "px" or np.isfinite(record.axial_um)),
        np.nansum(np.abs(thickness), axis=1),
        np.nansum(thickness, axis=1),
        np.isfinite(thickness).sum(axis=1),
    )


def scaled_errors(record: ScanRecord, unit: Unit) -> tuple[Array, Array]:
    """Errors of surfaces (S, W) and of thickness (L, W) float64 in a unit; all nan in um where the scale is unknown."""
    factor = 1.0 if unit == "px" else record.axial_um
    surfaces, thickness = record.surface_errors_px, record.thickness_errors_px
    return surfaces.astype(np.float64) * factor, thickness.astype(np.float64) * factor


def subject_rows(records: Sequence[ScanRecord]) -> tuple[tuple[str, ...], Array]:
    """Names of the subjects, sorted, and which scans are whose: (subjects, scans) of 0 and 1."""
    subjects = tuple(sorted({record.subject for record in records}))
    membership = np.array([[record.subject == subject for record in records] for subject in subjects], np.float64)
    return subjects, membership
