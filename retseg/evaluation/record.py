"""All that is counted in one B-scan. Every score of a set is made of sums over such records.

C classes, S surfaces, L layers, W columns (A-scans), D bins of distance, R x K cells of the error map.
"""

from dataclasses import dataclass, replace

import numpy as np

from retseg.anatomy import IGNORE, NUM_CLASSES
from retseg.bscan import Array
from retseg.evaluation.case import Case, NetworkSums
from retseg.evaluation.fluid_record import FluidRecord, measure_fluid
from retseg.evaluation.labelling import Labelling
from retseg.metrics.boundary import surface_errors_px, thickness_errors_px
from retseg.metrics.misclassification import error_map, errors_by_distance
from retseg.metrics.topology import Topology, topology


@dataclass(frozen=True, slots=True, eq=False)
class ScanRecord:
    """Counts of one labelling of a scan against its truth, on the scan's own grid.

    confusion: (C, C) int64, [truth, found], of pixels that both have a class for. num_unlabelled: annotated pixels for
    which what is scored has none: they are in no score. surface_errors_px (S, W), thickness_errors_px (L, W): found
    minus true, nan where either is unknown. num_true_columns (S,): columns whose true surface is known.
    topology: of what is scored, in the annotated columns. distance (2, D), error_map (2, R, K): wrong and all pixels.
    axial_um: nan where the scale is unknown. true_topology, network and ceiling (the second grader against the same
    truth) are None in a ceiling itself, and where there is none. fluid: None where none was sought or nobody looked.
    """

    name: str
    subject: str
    confusion: Array
    num_unlabelled: int
    surface_errors_px: Array
    thickness_errors_px: Array
    num_true_columns: Array
    topology: Topology
    distance: Array
    error_map: Array
    axial_um: float
    true_topology: Topology | None = None
    network: NetworkSums | None = None
    ceiling: "ScanRecord | None" = None
    fluid: FluidRecord | None = None


def measure_scan(case: Case) -> ScanRecord:
    """The record of a scan, with the second grader's as its ceiling where there is one."""
    columns = case.truth.annotated_columns
    whole = (case.truth.mask != IGNORE).all(axis=0)
    ceiling = None if case.second is None else _record(case, case.second.within(columns), whole)
    true_topology = topology(case.truth.mask, whole)
    record = _record(case, case.prediction.within(columns), whole, true_topology, case.network, ceiling)
    return replace(record, fluid=measure_fluid(case.fluid, case.spacing))


def _record(
    case: Case,
    found: Labelling,
    whole: Array,
    true_topology: Topology | None = None,
    network: NetworkSums | None = None,
    ceiling: ScanRecord | None = None,
) -> ScanRecord:
    """Found against the truth of a case; whole (W,) are the columns that are annotated from top to bottom."""
    truth = case.truth
    is_unlabelled = found.mask == IGNORE
    scored = np.where(is_unlabelled, np.int8(IGNORE), truth.mask)
    prediction = np.where(is_unlabelled, np.int8(0), found.mask)
    axial_um = case.spacing.axial_um
    return ScanRecord(
        name=case.name,
        subject=case.subject,
        confusion=confusion_counts(prediction, scored),
        num_unlabelled=int((is_unlabelled & (truth.mask != IGNORE)).sum()),
        surface_errors_px=surface_errors_px(found.surface_rows, truth.surface_rows),
        thickness_errors_px=thickness_errors_px(found.surface_rows, truth.surface_rows),
        num_true_columns=np.isfinite(truth.surface_rows).sum(axis=1),
        topology=topology(found.mask, whole),
        distance=errors_by_distance(prediction, scored, truth.surface_rows),
        error_map=error_map(prediction, scored, truth.surface_rows),
        axial_um=np.nan if axial_um is None else axial_um,
        true_topology=true_topology,
        network=network,
        ceiling=ceiling,
    )


def confusion_counts(prediction: Array, truth: Array) -> Array:
    """Counts (C, C) int64, [truth, prediction], from class ids (H, W) each; pixels whose truth is IGNORE are left out.

    As `metrics.overlap.confusion_matrix`, in numpy: planes this small only wait for each other on torch's threads.
    """
    # Row 0 takes the pixels labelled IGNORE.
    pairs = (truth - IGNORE) * np.int8(NUM_CLASSES) + prediction
    counts = np.bincount(pairs.ravel(), minlength=(NUM_CLASSES + 1) * NUM_CLASSES)
    return counts.reshape(NUM_CLASSES + 1, NUM_CLASSES)[1:]
