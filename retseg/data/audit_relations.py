"""How scans on one side of a split are related to those on another, by what ids say and by what pixels say."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from retseg.bscan import Array, BScan, ScanKey
from retseg.data.fingerprint import NO_TEXTURE, Fingerprint, fingerprint, least_similarities, similarities


@dataclass(frozen=True, slots=True, eq=False)
class AuditRecord:
    """What the audit keeps of one scan. key and labels_sha256 are None where nothing is known of them."""

    name: str
    fingerprint: Fingerprint
    key: ScanKey | None = None
    labels_sha256: str | None = None

    @classmethod
    def of_scan(cls, scan: BScan) -> "AuditRecord":
        """Of a scan as its source gives it, before any crop (which may depend on the grader)."""
        return cls(scan.key.name, fingerprint(scan.image), scan.key, _labels_sha256(scan))

    def without_texture(self) -> "AuditRecord":
        """The record in a fraction of its bytes: its look is compared no more, its pixels and ids still are."""
        return replace(self, fingerprint=replace(self.fingerprint, texture=NO_TEXTURE))


@dataclass(frozen=True, eq=False)
class Relations:
    """Of N held-out scans with M others, bool (N, M) each. `_by_ids` is all False where ids are unknown."""

    same_scan_by_ids: Array
    other_grader_by_ids: Array
    neighbours_by_ids: Array
    same_subject_by_ids: Array
    other_subject_by_ids: Array
    same_pixels: Array
    other_labels: Array
    mirrored: Array
    near: Array

    @property
    def copies(self) -> Array:
        """Pairs that pixels tell to be one B-scan, in whatever form."""
        return np.asarray(self.same_pixels | self.mirrored | self.near)


def relate(held: Sequence[AuditRecord], others: Sequence[AuditRecord], ranks: dict[ScanKey, int]) -> Relations:
    """Relations of each of N held-out records with each of M others; ranks as `volume_ranks` gives them."""
    same_subject = _equal([_subject(r) for r in held], [_subject(r) for r in others])
    known = np.logical_and.outer([r.key is not None for r in held], [r.key is not None for r in others])
    same_scan = _equal([_scan_name(r) for r in held], [_scan_name(r) for r in others])
    same_grader = _equal([r.key and r.key.grader for r in held], [r.key and r.key.grader for r in others])
    steps = np.subtract.outer(*([ranks[r.key] if r.key else 0 for r in side] for side in (held, others)))
    same_pixels = _equal([r.fingerprint.pixels_sha256 for r in held], [r.fingerprint.pixels_sha256 for r in others])
    same_labels = _equal([r.labels_sha256 for r in held], [r.labels_sha256 for r in others])
    with_labels = [r.labels_sha256 is not None for r in held], [r.labels_sha256 is not None for r in others]
    alike, is_flipped = _looks(held, others)
    return Relations(
        same_scan_by_ids=same_scan,
        other_grader_by_ids=same_scan & ~same_grader,
        neighbours_by_ids=same_subject & (np.abs(steps) == 1),
        same_subject_by_ids=same_subject,
        other_subject_by_ids=known & ~same_subject,
        same_pixels=same_pixels,
        other_labels=same_pixels & ~same_labels & np.logical_and.outer(*with_labels),
        mirrored=alike & ~same_pixels & is_flipped,
        near=alike & ~same_pixels & ~is_flipped,
    )


def _looks(held: Sequence[AuditRecord], others: Sequence[AuditRecord]) -> tuple[Array, Array]:
    """Which pairs (N, M) look alike, and which do so rather mirrored than straight; none without both textures."""
    alike, is_flipped = np.zeros((2, len(held), len(others)), bool)
    rows, columns = (
        np.array([place for place, r in enumerate(side) if r.fingerprint.has_texture], int) for side in (held, others)
    )
    if len(rows) and len(columns):
        first, second = [held[row].fingerprint for row in rows], [others[column].fingerprint for column in columns]
        straight, flipped = similarities(first, second)
        pairs = np.ix_(rows, columns)
        alike[pairs] = np.maximum(straight, flipped) >= least_similarities(first, second)
        is_flipped[pairs] = flipped > straight
    return alike, is_flipped


def volume_ranks(keys: Iterable[ScanKey | None]) -> dict[ScanKey, int]:
    """Place of each key's B-scan among the B-scans of its subject that the keys name, from 0."""
    bscans: dict[str, set[int]] = {}
    known = [key for key in keys if key is not None]
    for key in known:
        bscans.setdefault(key.subject, set()).add(key.bscan)
    places = {subject: {bscan: i for i, bscan in enumerate(sorted(found))} for subject, found in bscans.items()}
    return {key: places[key.subject][key.bscan] for key in known}


def _equal(first: Sequence[object], second: Sequence[object]) -> Array:
    """Which pairs (N, M) hold equal values; None equals nothing."""
    numbers: dict[object, int] = {}
    codes = [
        np.array([numbers.setdefault(value, len(numbers)) if value is not None else missing for value in values])
        for values, missing in ((first, -1), (second, -2))
    ]
    return np.asarray(np.equal.outer(*codes))


def _subject(record: AuditRecord) -> str | None:
    return None if record.key is None else record.key.subject


def _scan_name(record: AuditRecord) -> str | None:
    return None if record.key is None else record.key.scan_name


def _labels_sha256(scan: BScan) -> str | None:
    """Hash of surfaces and mask; None where nobody labelled the scan."""
    labels = [plane for plane in (scan.surface_rows, scan.mask) if plane is not None]
    if not labels:
        return None
    digest = hashlib.sha256()
    for plane in labels:
        digest.update(np.ascontiguousarray(plane).data)
    return digest.hexdigest()
