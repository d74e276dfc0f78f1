"""Findings about a held-out side of a split, collected while the scans of another side come in blocks.

N held-out scans, M others in a block. What is kept does not grow with the number of others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np

from retseg.bscan import Array, ScanKey
from retseg.data.audit_relations import AuditRecord, Relations, relate

NUM_EXAMPLES = 3

BLOCK = 512
"""Others that held-out scans are compared with at a time."""

Element = TypeVar("Element")


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


class _Hits:
    """For each held-out scan (N,) the place of the first other that it is paired with, -1 for none; their names."""

    def __init__(self, num_held: int) -> None:
        self.first = np.full(num_held, -1)
        self.names: dict[int, str] = {}

    def add(self, pairs: Array, others: Sequence[AuditRecord], start: int) -> None:
        """Take note of pairs (N, M) with others whose first stands at place start."""
        for row in np.flatnonzero(pairs.any(axis=1) & (self.first < 0)).tolist():
            column = int(pairs[row].argmax())
            self.first[row], self.names[row] = start + column, others[column].name

    @property
    def found(self) -> Array:
        """Whether each held-out scan (N,) is paired with any."""
        return np.asarray(self.first >= 0)


class Comparison:
    """One held-out side against another, whose records are added in their order, block by block."""

    def __init__(self, side: str, against: str, held: Sequence[AuditRecord]) -> None:
        self._side, self._against, self._held = side, against, held
        self._num_others = 0
        self._labels_known = all(record.labels_sha256 is not None for record in held)
        self._hits: dict[tuple[str, bool], _Hits] = {}

    def add(self, others: Sequence[AuditRecord], ranks: dict[ScanKey, int]) -> None:
        """Compare with a block of others; ranks as `volume_ranks` gives them."""
        self._labels_known &= all(record.labels_sha256 is not None for record in others)
        for kind, (by_ids, by_content) in _kinds(relate(self._held, others, ranks)).items():
            for is_content, pairs in ((False, by_ids), (True, by_content)):
                if pairs is not None:
                    hits = self._hits.setdefault((kind, is_content), _Hits(len(self._held)))
                    hits.add(pairs, others, self._num_others)
        self._num_others += len(others)

    def findings(self, ids_known: bool) -> list[Finding]:
        """Findings of all kinds but pairs, in all others that were added."""
        told_by_ids = self._hits["identical", False].found
        findings = []
        for kind in dict.fromkeys(kind for kind, _ in self._hits):
            by_ids = self._hits.get((kind, False)) if ids_known else None
            by_content = self._hits.get((kind, True)) if self._content_tells(kind, ids_known) else None
            counts = (_count(by_ids), _count(by_content))
            alone = 0 if by_content is None else int((by_content.found & ~told_by_ids).sum())
            told = [hits for hits in (by_ids, by_content) if hits is not None]
            pairs = self._first_partners(told)
            examples = tuple(f"{self._held[row].name} ~ {name}" for row, name in sorted(pairs.items())[:NUM_EXAMPLES])
            about = (kind, self._side, self._against, len(pairs), len(self._held), "B-scans")
            findings.append(Finding(*about, *counts, alone, examples))
        return [*findings, self._subjects(ids_known)]

    def _content_tells(self, kind: str, ids_known: bool) -> bool:
        return {"other_grader": self._labels_known, "other_subject": ids_known}.get(kind, True)

    def _first_partners(self, told: Sequence[_Hits]) -> dict[int, str]:
        """{place of a held-out scan: name of the first other that it is paired with, by ids or by content}."""
        partners: dict[int, tuple[int, str]] = {}
        for hits in told:
            for row, name in hits.names.items():
                partners[row] = min(partners.get(row, (self._num_others, "")), (int(hits.first[row]), name))
        return {row: name for row, (_, name) in partners.items()}

    def _subjects(self, ids_known: bool) -> Finding:
        """Held-out subjects who are on the other side too: by name, or as a copy of a scan of theirs is there."""
        if not ids_known:
            return Finding("subjects", self._side, self._against, 0, 0, "subjects", None, None, 0)
        names = np.array(["" if record.key is None else record.key.subject for record in self._held])
        by_ids = set(names[self._hits["same_subject", False].found].tolist())
        by_content = set(names[self._hits["copies", True].found].tolist())
        shared = sorted(by_ids | by_content)
        counts = (len(by_ids), len(by_content), len(by_content - by_ids))
        about = (len(shared), len(set(names.tolist())), "subjects")
        return Finding("subjects", self._side, self._against, *about, *counts, tuple(shared[:NUM_EXAMPLES]))


def _count(hits: _Hits | None) -> int | None:
    return None if hits is None else int(hits.found.sum())


def _kinds(r: Relations) -> dict[str, tuple[Array | None, Array | None]]:
    """Pairs (N, M) of each kind, by ids and by content."""
    return {
        "copies": (r.same_scan_by_ids, r.copies),
        "identical": (r.same_scan_by_ids, r.same_pixels),
        "other_grader": (r.other_grader_by_ids, r.other_labels),
        "mirrored": (None, r.mirrored),
        "near": (None, r.near),
        "other_subject": (None, r.copies & r.other_subject_by_ids),
        "neighbours": (r.neighbours_by_ids, None),
        "same_subject": (r.same_subject_by_ids, None),
    }


def pairs_within(side: str, held: Sequence[AuditRecord], ranks: dict[ScanKey, int], ids_known: bool) -> Finding:
    """Pairs of one B-scan within a side."""
    hits, num_pairs, counts = _Hits(len(held)), 0, np.zeros(3, int)
    for start in range(0, len(held), BLOCK):
        others = held[start : start + BLOCK]
        relations = relate(held, others, ranks)
        is_later = np.arange(len(held))[:, None] < start + np.arange(len(others))
        by_ids, by_content = relations.same_scan_by_ids & is_later, relations.copies & is_later
        num_pairs += int((by_ids | by_content).sum())
        counts += [by_ids.sum(), by_content.sum(), (by_content & ~by_ids).sum()]
        hits.add(by_ids | by_content, others, start)
    told, content, alone = counts.tolist()
    examples = tuple(f"{held[row].name} ~ {name}" for row, name in sorted(hits.names.items())[:NUM_EXAMPLES])
    about = ("pairs", side, side, num_pairs, len(held), "pairs")
    return Finding(*about, told if ids_known else None, content, alone, examples)


def in_blocks(elements: Iterable[Element]) -> Iterable[list[Element]]:
    """Lists of BLOCK elements and of what remains."""
    remaining = iter(elements)
    while block := list(islice(remaining, BLOCK)):
        yield block
