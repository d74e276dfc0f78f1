"""Everything known about one set of scored scans: where it comes from, its records, its scores, what to mind."""

import heapq
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch

from retseg.anatomy import SURFACE_NAMES
from retseg.evaluation.case import Case
from retseg.evaluation.fluid import FluidEvaluation, FluidOrigin, evaluate_fluid
from retseg.evaluation.fluid_protocols import published
from retseg.evaluation.misclassified import Misclassified
from retseg.evaluation.network_scores import network_scores
from retseg.evaluation.parallel import in_order
from retseg.evaluation.quantities import nanmean
from retseg.evaluation.record import ScanRecord, measure_scan
from retseg.evaluation.scores import NUM_DRAWS, Score, score_table
from retseg.evaluation.sums import Unit
from retseg.evaluation.temperature import Scaling
from retseg.evaluation.topology_scores import topology_scores
from retseg.metrics.overlap import dice

T = TypeVar("T")

NUM_WORST = 3
GRADER = re.compile(r"_g\d$")
"""What tells keys of one B-scan apart: the end of their names."""
FEW_SUBJECTS = 6
"""Below this a bootstrap over subjects is rough: few different draws, and too narrow intervals."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What has to stand beside every score: who was scored on what, against whose labels, and what the ceiling is.

    stamp is one line on leakage and labels. ceiling is the title of the ceiling's column, ceiling_note what it is
    worth. split, checkpoint and made_from are kept as they are in metrics.json. source_notices: those of notices that
    cannot be said again without the data. fluid: who drew it; None where the network seeks none.
    """

    title: str
    stamp: str
    data_name: str
    label_origin: str
    ceiling: str
    ceiling_note: str
    split: dict[str, Any] = field(default_factory=dict)
    checkpoint: dict[str, Any] = field(default_factory=dict)
    made_from: dict[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    source_notices: tuple[str, ...] = ()
    fluid: FluidOrigin | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Scored scans. worst: the scans with the lowest mean Dice of the layers that they have, worst first.

    fluid: None where none was sought.
    """

    origin: Origin
    records: tuple[ScanRecord, ...]
    unit: Unit
    scores: tuple[Score, ...]
    scaling: Scaling
    misclassified: Misclassified
    worst: tuple[Case, ...]
    notices: tuple[str, ...]
    fluid: FluidEvaluation | None = None

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names of the subjects, sorted."""
        return tuple(sorted({record.subject for record in self.records}))

    def find(self, score: str, of: str, average: str) -> Score | None:
        """A row of the table; None if it has no such row."""
        return next((row for row in self.scores if (row.score, row.of, row.average) == (score, of, average)), None)


def _nothing() -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredSet:
    """Records of scans in their order, and the worst of the scans themselves."""

    records: tuple[ScanRecord, ...]
    worst: tuple[Case, ...]


def measure_scans(
    names: Iterable[T], case_of: Callable[[T], Case], advance: Callable[[], None] = _nothing
) -> MeasuredSet:
    """Measure the scan of each name, several side by side; only the worst are kept whole. advance: told after each."""
    records: list[ScanRecord] = []
    worst: list[tuple[float, int, Case]] = []

    def measured(name: T) -> tuple[Case, ScanRecord]:
        case = case_of(name)
        return case, measure_scan(case)

    for place, (case, record) in enumerate(in_order(measured, names)):
        records.append(record)
        score = mean_layer_dice(record)
        if np.isfinite(score):
            # Two graders' keys of one B-scan are one picture: enough are kept to have NUM_WORST without them.
            push = heapq.heappush if len(worst) < 2 * NUM_WORST else heapq.heappushpop
            push(worst, (-score, place, case))
        advance()
    by_bscan: dict[str, Case] = {}
    for *_, case in sorted(worst, key=lambda entry: entry[:2], reverse=True):
        by_bscan.setdefault(GRADER.sub("", case.name), case)
    return MeasuredSet(tuple(records), tuple(by_bscan.values())[:NUM_WORST])


def mean_layer_dice(record: ScanRecord) -> float:
    """Mean Dice of the layers that are in a scan's truth; nan where it has none."""
    is_present = record.confusion.sum(axis=1) > 0
    by_class = dice(torch.from_numpy(record.confusion).double()).numpy()
    return float(nanmean(np.where(is_present, by_class, np.nan)[1:], axis=0))


def evaluate(measured: MeasuredSet, origin: Origin, scaling: Scaling, num_draws: int = NUM_DRAWS) -> Evaluation:
    """All scores of measured scans, and what to mind about them."""
    records = measured.records
    unit: Unit = "um" if any(np.isfinite(record.axial_um) for record in records) else "px"
    scores = (
        *score_table(records, unit, num_draws),
        *topology_scores(records),
        *network_scores(records, scaling, num_draws),
    )
    notices = (*origin.notices, *_notices(records, unit))
    printed = published(origin.data_name, str(origin.split.get("rule")), str(origin.split.get("side")))
    fluid = evaluate_fluid(records, origin.fluid, printed, num_draws)
    found = Misclassified.of(records)
    return Evaluation(origin, records, unit, scores, scaling, found, measured.worst, notices, fluid)


def _notices(records: Sequence[ScanRecord], unit: Unit) -> list[str]:
    """One line for each thing that a reader of the table must know."""
    num_subjects = len({record.subject for record in records})
    lines = []
    num_bscans = len({GRADER.sub("", record.name) for record in records})
    if num_bscans < len(records):
        lines.append(f"the {len(records)} scans are {num_bscans} B-scans, scored against each of their graders")
    if num_subjects == 1:
        lines.append("one subject: no interval can be given, it would say nothing of other subjects")
    elif num_subjects < FEW_SUBJECTS:
        lines.append(f"{num_subjects} subjects: intervals are rough, and likely too narrow")
    with_scale = sum(bool(np.isfinite(record.axial_um)) for record in records)
    if unit == "px":
        lines.append("the pixel size is unknown: distances are in pixels (px), not in microns")
    elif with_scale < len(records):
        lines.append(f"distances in um are of the {with_scale} of {len(records)} scans whose pixel size is known")
    with_ceiling = sum(record.ceiling is not None for record in records)
    if 0 < with_ceiling < len(records):
        lines.append(f"{with_ceiling} of {len(records)} scans have second labels: the ceiling is of these")
    if unlabelled := sum(record.num_unlabelled for record in records):
        annotated = unlabelled + sum(int(record.confusion.sum()) for record in records)
        lines.append(f"{unlabelled:,} of {annotated:,} annotated pixels have no prediction and are in no score")
    return lines + _missing_surfaces(records)


def _missing_surfaces(records: Sequence[ScanRecord]) -> list[str]:
    """A line where surfaces were not found in columns that have them."""
    true = sum(record.num_true_columns for record in records)
    found = sum(np.isfinite(record.surface_errors_px).sum(axis=1) for record in records)
    shares = 1 - np.divide(found, true, out=np.ones(len(SURFACE_NAMES)), where=np.asarray(true) > 0)
    worst = int(np.argmax(shares))
    if shares[worst] == 0:
        return []
    return [
        f"surfaces not found are in no boundary error: up to {100 * shares[worst]:.2g} % of columns "
        f"({SURFACE_NAMES[worst]}); see surface_missing"
    ]


CEILINGS = {
    "manual": ("grader 1 vs 2", "human ceiling: what two graders reach with each other"),
    "silver": ("label set 1 vs 2", "NOT a human ceiling: both label sets are networks', so it only tests the code"),
    "exact": ("made-up grader 2", "NOT a human ceiling: the phantom's second grader is made up"),
}


def ceiling_words(label_origin: str) -> tuple[str, str]:
    """Title of the ceiling's column, and what the ceiling is worth, by who drew the labels."""
    unknown = ("second vs truth", f"labels are {label_origin}: not known to be a human ceiling")
    return CEILINGS.get(label_origin, unknown)


def with_label_origin(stamp: str, label_origin: str) -> str:
    """The stamp, and that labels are not a person's where they are not."""
    words = f"labels are {label_origin}, not manual"
    return stamp if label_origin in ("manual", "exact") or words in stamp else f"{stamp}; {words}"
