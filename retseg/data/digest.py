"""Which data was read, as hashes: equal if and only if names, gray levels and layers of all scans are (not fluid)."""

import hashlib
from collections.abc import Iterable, Mapping

from retseg.data.audit_relations import AuditRecord


def data_digests(records: Iterable[AuditRecord]) -> dict[str, str]:
    """Hash of each subject's scans (names, gray levels, layers) in the order of their names; {subject: sha256}.

    Scans of nobody known are those of the subject "". A scan on several sides of a split counts once.
    """
    lines: dict[str, set[str]] = {}
    for record in records:
        subject = "" if record.key is None else record.key.subject
        line = f"{record.name} {record.fingerprint.pixels_sha256} {record.labels_sha256}"
        lines.setdefault(subject, set()).add(line)
    return {subject: _sha256(found) for subject, found in sorted(lines.items())}


def total_digest(digests: Mapping[str, str]) -> str:
    """Hash of all subjects' hashes."""
    return _sha256(f"{subject} {digest}" for subject, digest in digests.items())


def _sha256(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
