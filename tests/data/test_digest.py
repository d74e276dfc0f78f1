"""Hashes of what was read: the same for the same scans in any order, other for another pixel, label or name."""

from dataclasses import replace

import numpy as np

from retseg.bscan import BScan, ScanKey
from retseg.data.audit import Audit, audit
from retseg.data.audit_relations import AuditRecord
from retseg.data.digest import data_digests, total_digest


def scan(subject: str, bscan: int, level: int = 0, row: float = 2.0) -> AuditRecord:
    image = np.arange(35, dtype=np.uint8).reshape(5, 7)
    image[0, 0] = level
    surfaces = np.full((8, 7), row, np.float32)
    return AuditRecord.of_scan(BScan(ScanKey(1, subject, bscan), image, surface_rows=surfaces))


SCANS = [scan("s01", 0), scan("s01", 1), scan("s02", 0)]


def test_order_and_doubles_do_not_count():
    assert data_digests(SCANS) == data_digests([*SCANS[::-1], SCANS[0]])
    assert list(data_digests(SCANS)) == ["s01", "s02"]


def test_another_pixel_label_or_name_changes_its_subject_alone():
    before = data_digests(SCANS)
    for other in (scan("s02", 0, level=9), scan("s02", 0, row=3.0), scan("s02", 1)):
        after = data_digests([*SCANS[:2], other])
        assert after["s01"] == before["s01"]
        assert after["s02"] != before["s02"]
        assert total_digest(after) != total_digest(before)


def test_scans_of_nobody_known_have_a_hash_too():
    unknown = [replace(record, key=None) for record in SCANS]
    assert list(data_digests(unknown)) == [""]


def test_an_audit_keeps_the_hashes_of_its_scans(tmp_path):
    found = audit(SCANS[:2], SCANS[2:])
    assert found.data == data_digests(SCANS)
    found.save(tmp_path / "audit.json")
    assert Audit.from_json(tmp_path / "audit.json") == found
