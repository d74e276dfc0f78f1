"""What a split leaks: which held-out B-scans and subjects are also in training, by ids and by content."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from retseg.bscan import BScan, ScanKey
from retseg.data.audit_findings import Comparison, Finding, in_blocks, pairs_within
from retseg.data.audit_relations import AuditRecord, volume_ranks
from retseg.data.digest import data_digests, total_digest
from retseg.data.fingerprint import COLUMNS, COPY_SIMILARITY, ROWS
from retseg.errors import InputError, one_line

DEFINITIONS = {
    "copies": "B-scans that are also there in any form: the next four rows together",
    "identical": "the same B-scan by subject and number, or the very same pixels",
    "other_grader": "the same B-scan with another grader's labels: by ids, or the same pixels with other labels",
    "mirrored": "mirrored copies, left-right, upside down or both, whatever their size and brightness",
    "near": "copies of another size, gain, gamma, offset or noise",
    "other_subject": "copies that go by another subject's id",
    "neighbours": "next B-scans of one volume: the same subject, and no B-scan of the split in between",
    "same_subject": "B-scans of subjects that are also there",
    "subjects": "subjects that are also there",
    "pairs": "pairs of one B-scan within the side, in any form",
}
"""What each kind of finding counts."""

COMPARED = (("val", "train"), ("test", "train"), ("test", "val"))
"""Held-out sides, and those that each is compared with."""

SIDE_NAMES = {"train": "training", "val": "validation", "test": "test"}
CONTENT = {
    "all": "all held-out scans",
    "sample": "pixels compared of all scans, looks of a sample of those held out",
    "not yet": "by ids, content not compared yet",
}
"""What content was compared; but for the first the stamp says so."""


@dataclass(frozen=True)
class Audit:
    """What was found of a split. Scores are taken on the test scans, or on validation where nothing is kept for a test.

    Every finding compares a held-out side with another; the kind "pairs" is within a side, and no leak by itself.
    data: hashes of what was read, see `data_digests`; empty in audits of before. content: a key of CONTENT.
    """

    num_train: int
    num_val: int
    num_test: int
    ids_known: bool
    findings: tuple[Finding, ...]
    data: Mapping[str, str] = field(default_factory=dict)
    content: str = "all"

    @property
    def scored(self) -> str:
        """The side that scores are taken on."""
        return "test" if self.num_test else "val"

    def finding(self, kind: str, side: str | None = None, against: str = "train") -> Finding:
        """The finding of a kind, by default of what is scored against training."""
        wanted = (kind, side or self.scored, against)
        return next(f for f in self.findings if (f.kind, f.side, f.against) == wanted)

    @property
    def is_leaky(self) -> bool:
        """Whether a scored B-scan, or its subject, is also in training, or in what chose the checkpoint."""
        return any(self._leaks(against) for against in self._sides_before_scoring)

    @property
    def stamp(self) -> str:
        """One line that goes beside every score: "leaky split: ...", or "subjects apart (3 held out)"."""
        return self._stamp if self.content == "all" else f"{self._stamp} ({CONTENT[self.content]})"

    @property
    def _stamp(self) -> str:
        told = [self._sentence(against) for against in self._sides_before_scoring if self._leaks(against)]
        if told:
            return f"leaky split: {'; '.join(told)}"
        if not self.ids_known:
            return "no copies on both sides by content, subjects unknown"
        return f"subjects apart ({self.finding('subjects').total} held out)"

    @property
    def verdict(self) -> str:
        """The stamp's first word for tables of runs: leaky, apart, or unknown where ids say nothing of subjects."""
        if self.is_leaky:
            return "leaky"
        return "apart" if self.ids_known else "unknown"

    @property
    def _sides_before_scoring(self) -> tuple[str, ...]:
        return ("train", "val") if self.num_test else ("train",)

    def _leaks(self, against: str) -> bool:
        return any(self.finding(kind, against=against).count for kind in ("copies", "subjects"))

    def _sentence(self, against: str) -> str:
        copies, subjects = (self.finding(kind, against=against) for kind in ("copies", "subjects"))
        side = SIDE_NAMES[self.scored]
        words = f"{copies.count} of {copies.total} {side} B-scans are also in {SIDE_NAMES[against]}"
        if copies.by_content_alone and self.ids_known:
            words += f" ({copies.by_content_alone} by content alone: {self._kinds_by_content_alone(against)})"
        elif copies.count and not self.ids_known:
            words += f" ({self._kinds_by_content_alone(against)})"
        if not self.ids_known:
            return f"{words}, subjects unknown"
        return f"{words}, {subjects.count} of {subjects.total} subjects are on both sides"

    def _kinds_by_content_alone(self, against: str) -> str:
        names = {"identical": "identical", "mirrored": "mirrored", "near": "near copies"}
        counts = {name: self.finding(kind, against=against).by_content_alone for kind, name in names.items()}
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count)

    def save(self, path: Path) -> None:
        """Write stamp, verdict, method and findings as JSON."""
        findings = [asdict(finding) | {"definition": DEFINITIONS[finding.kind]} for finding in self.findings]
        content = {
            "stamp": self.stamp,
            "is_leaky": self.is_leaky,
            "verdict": self.verdict,
            "num_train": self.num_train,
            "num_val": self.num_val,
            "num_test": self.num_test,
            "ids_known": self.ids_known,
            "method": {"thumbnail": [ROWS, COLUMNS], "copy_similarity": COPY_SIMILARITY},
            "content": self.content,
            "findings": findings,
            "data": {"sha256": total_digest(self.data), "subjects": dict(self.data)},
        }
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            partial.write_text(json.dumps(content, indent=1) + "\n")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)  # left by a full disk

    @classmethod
    def from_json(cls, path: Path) -> "Audit":
        """What `save` wrote."""
        try:
            content: dict[str, Any] = json.loads(path.read_text())
            about = {name: content[name] for name in ("num_train", "num_val", "num_test", "ids_known")}
            findings = tuple(_finding(**row) for row in content["findings"])
            data = content.get("data", {}).get("subjects", {})
            told = content.get("content", "all")  # audits of before compared all
            if told not in CONTENT:
                raise ValueError(f"content {told!r} is none of {', '.join(CONTENT)}")
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            reason = one_line(error)
            raise InputError(
                f"{path}: no audit ({type(error).__name__}: {reason}); make it by `retseg audit`"
            ) from error
        return cls(**about, findings=findings, data=data, content=told)


class AuditRecorder:
    """Sees scans as they are read, in any order, and audits a split of them. A scan seen twice is kept once.

    With ids=False what the keys say of subjects and B-scans is not used.
    """

    def __init__(self, ids: bool = True) -> None:
        self._ids = ids
        self._records: dict[ScanKey, AuditRecord] = {}

    def __call__(self, scan: BScan) -> None:
        """Take note of a scan, before it is cropped."""
        if scan.key not in self._records:
            record = AuditRecord.of_scan(scan)
            self._records[scan.key] = record if self._ids else replace(record, key=None)

    def audit(self, train: Sequence[ScanKey], val: Sequence[ScanKey], test: Sequence[ScanKey] = ()) -> Audit:
        """Audit of a split of keys whose scans have all been seen."""
        return audit(*([self._records[key] for key in keys] for keys in (train, val, test)))


def audit(train: Sequence[AuditRecord], val: Sequence[AuditRecord], test: Sequence[AuditRecord] = ()) -> Audit:
    """What of a split is on two sides: validation against training, test against both, and pairs within each."""
    sides = {"train": train, "val": val, "test": test}
    everybody = (*train, *val, *test)
    ranks = volume_ranks(record.key for record in everybody)
    comparisons = [Comparison(side, against, sides[side]) for side, against in COMPARED if sides[side]]
    for comparison, (_, against) in zip(comparisons, [pair for pair in COMPARED if sides[pair[0]]], strict=True):
        for block in in_blocks(sides[against]):
            comparison.add(block, ranks)
    return concluded(comparisons, sides, ranks)


def concluded(
    comparisons: Sequence[Comparison],
    sides: Mapping[str, Sequence[AuditRecord]],
    ranks: dict[ScanKey, int],
    content: str = "all",
) -> Audit:
    """The audit of comparisons that have seen all records of all sides."""
    everybody = [record for records in sides.values() for record in records]
    ids_known = all(record.key is not None for record in everybody)
    findings = [finding for comparison in comparisons for finding in comparison.findings(ids_known)]
    findings += [pairs_within(side, sides[side], ranks, ids_known) for side in ("val", "test") if sides[side]]
    counts = (len(sides["train"]), len(sides["val"]), len(sides["test"]))
    return Audit(*counts, ids_known, tuple(findings), data_digests(everybody), content)


def _finding(definition: str, examples: list[str], **fields: Any) -> Finding:
    """A finding of its JSON object."""
    return Finding(examples=tuple(examples), **fields)
