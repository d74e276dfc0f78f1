"""What a run folder holds, read once: every part that is not there is None, and `wanting` names the command for it."""

import csv
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retseg.anatomy import CLASS_NAMES
from retseg.errors import InputError
from retseg.evaluation.json_files import read_object

Row = Mapping[str, str]
Content = Mapping[str, Any]

EVALUATION, EXPLANATION, REPRODUCTION = "evaluation", "explanation", "reproduction"
SCAN = "scan"
"""Layer of the rows of scans.csv that are of a scan as a whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """What `retseg explain` left: explanation.json, its rows by method and layer, verdicts (empty if not tested)."""

    content: Content
    summary: Sequence[Row]
    verdicts: Sequence[Row]
    maps: Sequence[Row]

    @property
    def layers(self) -> list[str]:
        """Layers of the network, in their order."""
        return list(self.content["layers"])

    @property
    def methods(self) -> list[str]:
        """Methods, in their order."""
        return list(self.content["methods"])


@dataclass(frozen=True, slots=True, eq=False)
class ReportedRun:
    """One finished run. letter and name are unique in a report; name is the run's in files of marks.

    scan_rows: rows of scans.csv by scan, then by layer. verdicts: of `retseg reproduce`, counted by outcome.
    """

    letter: str
    name: str
    folder: Path
    config: Content
    metrics: Content
    split: Content
    environment: Content
    history: Sequence[Row]
    audit: Content | None = None
    evaluation: Content | None = None
    scan_rows: Mapping[str, Mapping[str, Row]] | None = None
    reference: Content | None = None
    explained: Explained | None = None
    verdicts: Mapping[str, int] | None = None

    @property
    def data_name(self) -> str:
        """Name of the data set."""
        return str(self.metrics["data"]["name"])

    @property
    def label_origin(self) -> str:
        """Who drew the labels: "manual", "silver", "exact"."""
        return str(self.metrics["data"]["label_origin"])

    @property
    def is_made_up(self) -> bool:
        """Whether the scans that are scored are drawn by a program."""
        return self.scored_data == "phantom" or self.label_origin == "exact"

    @property
    def scored_data(self) -> str:
        """Name of the data that the evaluation scores; the run's own without one."""
        return self.data_name if self.evaluation is None else str(self.evaluation["data"]["name"])

    @property
    def stamp(self) -> str:
        """What stands beside every score."""
        return str((self.evaluation or self.audit or self.metrics)["stamp"])

    @property
    def weights_sha256(self) -> str | None:
        """Hash of the weights of the best checkpoint."""
        return (self.metrics.get("checkpoint") or {}).get("weights_sha256")

    @property
    def scans(self) -> tuple[str, ...]:
        """Names of the scored scans."""
        return () if self.evaluation is None else tuple(self.evaluation["scans"])

    @property
    def unit(self) -> str:
        """Of distances: "um", or "px" where the scale is unknown."""
        return "um" if self.evaluation is None else str(self.evaluation["unit"])

    def find(self, score: str, of: str, average: str = "pooled") -> Content | None:
        """A row of the evaluation's scores; None if it has no such row, or no value in it."""
        for row in (self.evaluation or {}).get("scores", ()):
            if (row["score"], row["of"], row["average"]) == (score, of, average):
                return None if row["value"] is None else dict(row)
        return None

    def scan_dice(self, scan: str) -> float | None:
        """Mean Dice of the layers that a scan has; None where it is not known."""
        row = (self.scan_rows or {}).get(scan, {}).get(SCAN)
        return None if row is None or not row["dice"] else float(row["dice"])

    def wanting(self, what: str) -> str:
        """The command that makes a part of this run that is not there."""
        return f"retseg {MAKERS[what]} {shlex.quote(str(self.folder))}"


NEEDED = {
    "audit": ("stamp", "is_leaky", "findings"),
    EVALUATION: (
        *("stamp", "data", "split", "scans", "subjects", "unit", "ceiling", "notices", "definitions", "scores"),
        *("calibration", "misclassification", "checkpoint"),
    ),
    EXPLANATION: ("data", "stamp", "scans", "score", "methods", "layers"),
    "reference": ("intervals",),
}
"""What a part has to hold to be shown: others were made by other versions."""

MAKERS = {
    "audit": "audit",
    EVALUATION: "evaluate",
    EXPLANATION: "explain",
    "reference": "calibrate",
    REPRODUCTION: "reproduce",
}
"""Which command of retseg makes which part of a run folder."""


def read_runs(folders: Sequence[Path], configs: Sequence[Content]) -> list[ReportedRun]:
    """Runs in the order given, lettered A, B, ... InputError where one is not finished, damaged, or there twice."""
    names = unique_names(folders)
    letters = (chr(ord("A") + place) for place in range(len(folders)))
    return [_read(*run) for run in zip(letters, names, folders, configs, strict=True)]


def unique_names(folders: Sequence[Path]) -> list[str]:
    """The last parts of each path, as many as it takes to tell them apart. InputError where two are the same folder."""
    parts = [folder.resolve().parts for folder in folders]
    for place, own in enumerate(parts):
        if own in parts[:place]:
            raise InputError(f"{folders[place]}: named twice; name each run once")
    longest = max(len(own) for own in parts)
    for count in range(1, longest + 1):
        names = ["/".join(part.strip("/") for part in own[-count:]) for own in parts]
        if len(set(names)) == len(names):
            return names
    raise AssertionError(parts)


def _read(letter: str, name: str, folder: Path, config: Content) -> ReportedRun:
    for needed in ("metrics.json", "split.json", "environment.json", "metrics.csv"):
        if not (folder / needed).is_file():
            raise InputError(
                f"{folder}: no {needed}, training has not finished; go on with `python -m retseg.train resume={folder}`"
            )
    metrics = read_object(folder / "metrics.json")
    if not isinstance(metrics.get("data"), dict) or "stamp" not in metrics:
        raise InputError(f"{folder / 'metrics.json'}: not the scores of a training run; name a run folder")
    evaluation = _optional(folder / EVALUATION / "metrics.json", EVALUATION)
    return ReportedRun(
        letter=letter,
        name=name,
        folder=folder,
        config=config,
        metrics=metrics,
        split=read_object(folder / "split.json"),
        environment=read_object(folder / "environment.json"),
        history=read_rows(folder / "metrics.csv"),
        audit=_optional(folder / "audit.json", "audit"),
        evaluation=evaluation,
        scan_rows=None if evaluation is None else _by_scan(folder / EVALUATION / "scans.csv"),
        reference=_optional(folder / "reference.json", "reference"),
        explained=_explained(folder / EXPLANATION),
        verdicts=_verdicts(folder / REPRODUCTION / "verdicts.csv"),
    )


def read_rows(path: Path) -> list[Row]:
    """Rows of a CSV of ours. InputError where it cannot be read."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}); make it again with the command that wrote it") from error


def _optional(path: Path, what: str) -> Content | None:
    """A part of the run, None where it is not there. InputError where it lacks something that is shown of it."""
    if not path.is_file():
        return None
    content = read_object(path)
    if lacking := [name for name in NEEDED[what] if name not in content]:
        raise InputError(f"{path}: no {', '.join(lacking)} in it; run `retseg {MAKERS[what]}` on the run again")
    return content


def _by_scan(path: Path) -> dict[str, dict[str, Row]]:
    by_scan: dict[str, dict[str, Row]] = {}
    for row in read_rows(path):
        if row.get("layer") not in (*CLASS_NAMES, SCAN) or row.get("scan") is None:
            found = f"layer {row.get('layer')!r} of scan {row.get('scan')!r}"
            raise InputError(f"{path}: {found} is no row of scans; run `retseg evaluate` again")
        by_scan.setdefault(row["scan"], {})[row["layer"]] = row
    return by_scan


def _explained(folder: Path) -> Explained | None:
    content = _optional(folder / "explanation.json", EXPLANATION)
    if content is None:
        return None
    verdicts = folder / "verdicts.csv"
    return Explained(
        content,
        read_rows(folder / "summary.csv"),
        read_rows(verdicts) if verdicts.is_file() else [],
        read_rows(folder / "maps.csv"),
    )


def _verdicts(path: Path) -> dict[str, int] | None:
    if not path.is_file():
        return None
    counts: dict[str, int] = {}
    for row in read_rows(path):
        counts[row["verdict"]] = counts.get(row["verdict"], 0) + 1
    return counts
