"""What a split leaks: which held-out B-scans and subjects are also in training, by ids and by content."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from retseg.bscan import Array, BScan, ScanKey
from retseg.data.audit_relations import AuditRecord, Relations, relate, volume_ranks
from retseg.data.digest import data_digests, total_digest
from retseg.data.fingerprint import COLUMNS, COPY_SIMILARITY, ROWS
from retseg.errors import InputError

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

SIDE_NAMES = {"train": "training", "val": "validation", "test": "test"}
NUM_EXAMPLES = 3


@dataclass(frozen=True)
class Finding:
    """How much of one kind was found: `count` of `total` held-out `unit`; None where ids or content say nothing.

    by_content_alone: of what content tells, that which ids do not call the same B-scan.
    """

    kind: str
    side: str
    against: str
    count: int
    total: int
    unit: str
    by_ids: int | None
    by_content: int | None
    by_content_alone: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Audit:
    """What was found of a split. Scores are taken on the test scans, or on validation where nothing is kept for a test.

    Every finding compares a held-out side with another; the kind "pairs" is within a side, and no leak by itself.
    data: hashes of what was read, see `data_digests`; empty in audits of before.
    """

    num_train: int
    num_val: int
    num_test: int
    ids_known: bool
    findings: tuple[Finding, ...]
    data: Mapping[str, str] = field(default_factory=dict)

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
            "findings": findings,
            "data": {"sha256": total_digest(self.data), "subjects": dict(self.data)},
        }
        path.write_text(json.dumps(content, indent=1) + "\n")

    @classmethod
    def from_json(cls, path: Path) -> "Audit":
        """What `save` wrote."""
        try:
            content: dict[str, Any] = json.loads(path.read_text())
            about = {name: content[name] for name in ("num_train", "num_val", "num_test", "ids_known")}
            findings = tuple(_finding(**row) for row in content["findings"])
            data = content.get("data", {}).get("subjects", {})
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{path}: no audit ({type(error).__name__}: {reason}); make it by `retseg audit`"
            ) from error
        return cls(**about, findings=findings, data=data)


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
    ids_known = all(record.key is not None for record in everybody)
    ranks = volume_ranks(everybody)
    findings: list[Finding] = []
    for side, against in (("val", "train"), ("test", "train"), ("test", "val")):
        if sides[side]:
            relations = relate(sides[side], sides[against], ranks)
            findings += _compare(side, against, relations, sides[side], sides[against], ids_known)
    findings += [_pairs(side, sides[side], ranks, ids_known) for side in ("val", "test") if sides[side]]
    return Audit(len(train), len(val), len(test), ids_known, tuple(findings), data_digests(everybody))


def _compare(
    side: str,
    against: str,
    relations: Relations,
    held: Sequence[AuditRecord],
    others: Sequence[AuditRecord],
    ids_known: bool,
) -> list[Finding]:
    """Findings of all kinds but pairs, for one side against another."""
    r = relations
    labels_known = all(record.labels_sha256 is not None for record in (*held, *others))
    nothing = np.zeros_like(r.copies)
    found: dict[str, tuple[Array | None, Array | None]] = {
        "copies": (r.same_scan_by_ids, r.copies),
        "identical": (r.same_scan_by_ids, r.same_pixels),
        "other_grader": (r.other_grader_by_ids, r.other_labels if labels_known else None),
        "mirrored": (None, r.mirrored),
        "near": (None, r.near),
        "other_subject": (None, r.copies & r.other_subject_by_ids if ids_known else None),
        "neighbours": (r.neighbours_by_ids, None),
        "same_subject": (r.same_subject_by_ids, None),
    }
    told_by_ids = r.same_scan_by_ids.any(axis=1)
    findings = []
    for kind, (by_ids, by_content) in found.items():
        by_ids = by_ids if ids_known else None
        pairs = (nothing if by_ids is None else by_ids) | (nothing if by_content is None else by_content)
        counts = (_count(by_ids), _count(by_content))
        alone = 0 if by_content is None else int((by_content.any(axis=1) & ~told_by_ids).sum())
        told = (int(pairs.any(axis=1).sum()), len(held), "B-scans", *counts, alone)
        findings.append(Finding(kind, side, against, *told, _examples(pairs, held, others)))
    return [*findings, _subjects(side, against, r, held, ids_known)]


def _count(pairs: Array | None) -> int | None:
    """Held-out scans in pairs (N, M)."""
    return None if pairs is None else int(pairs.any(axis=1).sum())


def _subjects(side: str, against: str, r: Relations, held: Sequence[AuditRecord], ids_known: bool) -> Finding:
    """Held-out subjects who are also on the other side: by name, or because a copy of a scan of theirs is there."""
    names = np.array(["" if record.key is None else record.key.subject for record in held])
    if not ids_known:
        return Finding("subjects", side, against, 0, 0, "subjects", None, None, 0)
    by_ids = set(names[r.same_subject_by_ids.any(axis=1)].tolist())
    by_content = set(names[r.copies.any(axis=1)].tolist())
    shared = sorted(by_ids | by_content)
    counts = (len(by_ids), len(by_content), len(by_content - by_ids))
    total = len(set(names.tolist()))
    return Finding("subjects", side, against, len(shared), total, "subjects", *counts, tuple(shared[:NUM_EXAMPLES]))


def _pairs(side: str, held: Sequence[AuditRecord], ranks: dict[ScanKey, int], ids_known: bool) -> Finding:
    """Pairs of one B-scan within a side."""
    relations = relate(held, held, ranks)
    by_ids, by_content = np.triu(relations.same_scan_by_ids, 1), np.triu(relations.copies, 1)
    pairs = by_ids | by_content
    counts = (int(by_ids.sum()) if ids_known else None, int(by_content.sum()), int((by_content & ~by_ids).sum()))
    return Finding("pairs", side, side, int(pairs.sum()), len(held), "pairs", *counts, _examples(pairs, held, held))


def _examples(pairs: Array, held: Sequence[AuditRecord], others: Sequence[AuditRecord]) -> tuple[str, ...]:
    """The first few held-out scans of pairs (N, M), each with the first that it is paired with."""
    rows = np.flatnonzero(pairs.any(axis=1))[:NUM_EXAMPLES]
    return tuple(f"{held[row].name} ~ {others[int(pairs[row].argmax())].name}" for row in rows)


def _finding(definition: str, examples: list[str], **fields: Any) -> Finding:
    """A finding of its JSON object."""
    return Finding(examples=tuple(examples), **fields)
