"""What is known of a run, and what is missing: the one thing that tables, figures and verdicts read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from retseg.anatomy import CLASS_NAMES
from retseg.bscan import Array
from retseg.data.splits import Split
from retseg.figures.describe import Sample
from retseg.figures.scans import ScanPicture
from retseg.reproduction.networks import NetworkFacts
from retseg.reproduction.paper_values import PAPER, Paper
from retseg.reproduction.sweeps import Sweep

DUKE = "Duke DME"
"""How the names of the sources begin that hold the paper's scans."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that the run folder lacks, and the command that makes it."""

    what: str
    command: str


@dataclass(frozen=True, slots=True, eq=False)
class CamLayer:
    """Grad-CAM at one layer: weights (C, K), raw and normalised maps (C, h, w), peaks raw_max (C,)."""

    module: str
    weights: Array
    raw: Array
    raw_max: Array
    normalised: Array


@dataclass(frozen=True, slots=True, eq=False)
class CamFacts:
    """Grad-CAM of one scan at one epoch: image (H, W) in 0..1, probabilities (C, H, W), and its layers by name."""

    scan: str
    epoch: int
    image: Array
    probabilities: Array
    layers: Mapping[str, CamLayer]


@dataclass(frozen=True, slots=True, eq=False)
class ScanFacts:
    """What the run's data set shows when it is opened again.

    num_images counts annotated scans (a B-scan of two graders is two), shape is (H, W) of the run's window before it
    is resized, labels are the class ids in the samples' masks. predicted: validation scans on the network's grid.
    """

    num_images: int
    num_bscans: int
    num_subjects: int
    shape: tuple[int, int]
    dtype: str
    labels: tuple[int, ...]
    samples: tuple[Sample, ...]
    predicted: tuple[ScanPicture, ...]
    seconds_per_scan: float


@dataclass(frozen=True, slots=True, eq=False)
class RunFacts:
    """A finished run. Fields that are None were not found; `missing` says how to make them.

    paper_net is the network of `experiment=paper_code`, indices_net that of `experiment=duke_segnet`, paper_split the
    paper's split of the whole Duke set: these need no scan. evaluation is evaluation/metrics.json, elsewhere are those
    of other data sets (evaluation_NAME/metrics.json), weights_sha256 the
    hash of the weights in the checkpoint that metrics.json scores.
    """

    folder: str
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]
    split: Mapping[str, Any]
    environment: Mapping[str, Any]
    history: Sequence[Mapping[str, str]]
    run_net: NetworkFacts
    paper_net: NetworkFacts
    indices_net: NetworkFacts
    paper_split: Split
    files: frozenset[str]
    weights_sha256: str | None = None
    cam: CamFacts | None = None
    scans: ScanFacts | None = None
    evaluation: Mapping[str, Any] | None = None
    elsewhere: tuple[Mapping[str, Any], ...] = ()
    audit: Mapping[str, Any] | None = None
    ablation: Sweep | None = None
    leakage: Sweep | None = None
    seconds_per_scan: float | None = None
    missing: tuple[Missing, ...] = ()
    paper: Paper = field(default=PAPER)

    @property
    def data_name(self) -> str:
        """Name of the data set that the run trained on."""
        return str(self.metrics["data"]["name"])

    @property
    def label_origin(self) -> str:
        """Who drew the labels: "manual", "silver", "exact"."""
        return str(self.metrics["data"]["label_origin"])

    @property
    def is_duke(self) -> bool:
        """Whether the scans are the paper's."""
        return self.data_name.startswith(DUKE)

    @property
    def settles(self) -> bool:
        """Whether scores of this run can speak about the paper's: its scans, with labels that people drew."""
        return self.is_duke and self.label_origin == "manual"

    @property
    def why_unsettled(self) -> str:
        """Why scores of this run cannot; empty where they can."""
        if not self.is_duke:
            return f"the scans are those of “{self.data_name}”, not the Duke set's"
        return (
            ""
            if self.settles
            else f"the labels are {self.label_origin}, not manual: agreement with them is no accuracy"
        )

    @property
    def stamp(self) -> str:
        """What stands beside every score: the audit's line if there is one, and the origin of labels not manual."""
        line = str((self.audit or self.metrics)["stamp"])
        origin = f"labels are {self.label_origin}, not manual"
        return line if self.label_origin in ("manual", "exact") or origin in line else f"{line}; {origin}"

    def score(self, side: str, name: str) -> float | None:
        """A score of metrics.json, side "train" or "val"; None if absent there."""
        value = self.metrics[side]["scores"].get(name)
        return None if value is None else float(value)

    def evaluated(self, score: str, of: str, average: str | None = None) -> float | None:
        """A score of evaluation/metrics.json: its name, what it is of, how it averages (None: whichever is first)."""
        return score_in(self.evaluation or {}, score, of, average)

    @property
    def scored_side(self) -> str:
        """Which scans of the split the scores by class are of: "val", or "test" if that is what was evaluated."""
        return str((self.evaluation or {}).get("split", {}).get("side", "val"))

    def class_iou(self) -> list[float | None]:
        """IoU per class as Table 2 has it (mean over scans, absent counts 0) if evaluated, else pooled over pixels."""
        if self.evaluation is None:
            return [self.score("val", f"iou/{name}") for name in CLASS_NAMES]
        return [self.evaluated("paper_iou_per_scan", name) for name in CLASS_NAMES]

    def class_recall(self) -> list[float | None]:
        """Recall per class, which Table 2 calls accuracy: pooled over pixels."""
        if self.evaluation is None:
            return [self.score("val", f"accuracy/{name}") for name in CLASS_NAMES]
        return [self.evaluated("paper_recall", name) for name in CLASS_NAMES]

    def lacking(self, what: str) -> Missing:
        """The entry of `missing` about something; a general one where none was noted."""
        return next((m for m in self.missing if m.what == what), Missing(what, f"retseg reproduce {self.folder}"))


def score_in(evaluation: Mapping[str, Any], score: str, of: str, average: str | None = None) -> float | None:
    """A score of an evaluation's metrics.json: its name, what it is of, how it averages (None: whichever is first)."""
    for row in evaluation.get("scores", ()):
        if row["score"] == score and row["of"] == of and average in (None, row["average"]):
            return None if row["value"] is None else float(row["value"])
    return None
