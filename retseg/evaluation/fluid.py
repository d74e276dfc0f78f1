"""All that is known of the fluid of scored scans: scores, volumes by subject, what was printed, what to mind."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from retseg.bscan import Array
from retseg.data.readers.matlab import DUKE_DISTANCE
from retseg.data.source import ScanSource
from retseg.evaluation.fluid_protocols import DUKE, Published
from retseg.evaluation.fluid_scores import FluidScan, Volume, fluid_scores, volumes
from retseg.evaluation.record import ScanRecord
from retseg.evaluation.scores import NUM_DRAWS, Score
from retseg.metrics.fluid_volume import Agreement, agreement

MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class FluidOrigin:
    """Who drew the fluid of a data set, and how far its B-scans lie apart (um; None: nobody said) by whose word."""

    label_origin: str
    distance_um: float | None = None
    distance_source: str = ""

    @classmethod
    def of_source(cls, source: ScanSource) -> "FluidOrigin":
        """Of an open source. Fluid of the Duke files is a person's whoever drew the layers in them."""
        if source.name == DUKE:
            return cls(MANUAL, DUKE_DISTANCE.um, DUKE_DISTANCE.source)
        distance_um = getattr(source, "bscan_spacing_um", None)  # the phantom's own
        return cls(source.label_origin, distance_um, "" if distance_um is None else source.name)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "FluidOrigin":
        """From what metrics.json keeps of it."""
        return cls(content["label_origin"], content["distance_um"], content["distance_source"])

    def to_json(self) -> dict[str, Any]:
        """What metrics.json keeps."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class FluidEvaluation:
    """Scored fluid of a set of scans.

    agreement: of volumes, found against drawn, over subjects (and graders); None where no volume is known.
    published: what others printed for the same split, in no table of ours.
    """

    origin: FluidOrigin
    scans: tuple[FluidScan, ...]
    scores: tuple[Score, ...]
    volumes: tuple[Volume, ...]
    agreement: Agreement | None
    published: tuple[Published, ...]
    notices: tuple[str, ...]

    def find(self, score: str, of: str, average: str) -> Score | None:
        """A row of the table; None if it has no such row."""
        return next((row for row in self.scores if (row.score, row.of, row.average) == (score, of, average)), None)

    @property
    def has_ceiling(self) -> bool:
        """Whether a second grader drew fluid in some of the scans."""
        return any(scan.record.ceiling is not None for scan in self.scans)


def evaluate_fluid(
    records: Sequence[ScanRecord],
    origin: FluidOrigin | None,
    printed: tuple[Published, ...] = (),
    num_draws: int = NUM_DRAWS,
) -> FluidEvaluation | None:
    """Scores of the fluid in records; None where none was sought (origin None). No labels: no scores, but a notice.

    printed: what others published for the same scans.
    """
    if origin is None:
        return None
    scans = tuple(
        FluidScan(record.name, record.subject, _grader(record.name), record.fluid)
        for record in records
        if record.fluid is not None
    )
    if not scans:
        notice = "fluid is not scored: nobody looked for it in these scans (for Duke files set data.source.fluid=true)"
        return FluidEvaluation(origin, (), (), (), None, (), (notice,))
    distance_um = np.nan if origin.distance_um is None else origin.distance_um
    measured = tuple(volumes(scans, distance_um))
    found, true = (np.array([getattr(volume, name) for volume in measured]) for name in ("found_mm3", "true_mm3"))
    agreed = agreement(found, true)
    return FluidEvaluation(
        origin=origin,
        scans=scans,
        scores=tuple(fluid_scores(scans, distance_um, num_draws)),
        volumes=measured,
        agreement=agreed if agreed.num else None,
        published=printed,
        notices=tuple(_notices(scans, len(records), origin, found)),
    )


def _grader(name: str) -> str:
    """Who drew a scan's truth, from the scan's name: "g1", "" where it does not say."""
    grader = name.rpartition("_")[2]
    return grader if grader in ("g1", "g2") else ""


def _notices(scans: Sequence[FluidScan], num_scans: int, origin: FluidOrigin, found_mm3: Array) -> list[str]:
    """One line for each thing that a reader of the numbers must know."""
    lines = []
    if len(scans) < num_scans:
        lines.append(f"fluid is scored in {len(scans)} of {num_scans} scans: in the others nobody looked for it")
    outside = sum(scan.record.num_outside for scan in scans)
    if outside:
        true_px = outside + sum(scan.record.true_px for scan in scans)
        lines.append(
            f"{outside:,} of {true_px:,} px of true fluid ({100 * outside / true_px:.2g} %) lie outside of what is "
            "scored (window, or columns of the protocol): they are in no score"
        )
    if origin.distance_um is None:
        lines.append("the distance of B-scans is not known: no volume of fluid")
    elif not np.isfinite(found_mm3).any():
        lines.append("the pixel size is not known: no volume of fluid")
    else:
        lines.append(
            f"volumes of fluid are of the scored B-scans alone, each as a slab of {origin.distance_um:g} um "
            f"({origin.distance_source}): a part of the eye's fluid unless all its B-scans are scored"
        )
    return lines
