import numpy as np
import pytest

from retseg.bscan import BScan, ScanKey
from retseg.data.audit_relations import AuditRecord, relate, volume_ranks

NOISE = np.random.default_rng(0).integers(0, 256, (4, 60, 90)).astype(np.uint8)
ROWS = np.arange(8)[:, None] + np.zeros(90, np.float32)


def record(grader, subject, bscan, image, rows=ROWS, mask=None):
    return AuditRecord.of_scan(BScan(ScanKey(grader, subject, bscan), image, rows, mask))


def related(held, others):
    """Names of the relations that one record has with another."""
    found = relate([held], [others], volume_ranks([held.key, others.key]))
    names = [*found.__dataclass_fields__, "copies"]
    return {name for name in names if getattr(found, name).item()}


FIRST = record(1, "s01", 10, NOISE[0])


@pytest.mark.parametrize(
    ("other", "relations"),
    [
        (record(1, "s02", 10, NOISE[1]), {"other_subject_by_ids"}),
        (record(1, "s01", 15, NOISE[1]), {"same_subject_by_ids", "neighbours_by_ids"}),
        (
            record(2, "s01", 10, NOISE[0], ROWS + 1),
            {"same_subject_by_ids", "same_scan_by_ids", "other_grader_by_ids", "same_pixels", "other_labels", "copies"},
        ),
        (record(1, "s02", 10, NOISE[0]), {"other_subject_by_ids", "same_pixels", "copies"}),
        (record(1, "s02", 10, NOISE[0][:, ::-1]), {"other_subject_by_ids", "mirrored", "copies"}),
        (record(1, "s02", 10, NOISE[0] // 2), {"other_subject_by_ids", "near", "copies"}),
        (AuditRecord("a.png", FIRST.fingerprint), {"same_pixels", "copies"}),
        (AuditRecord("a.png", FIRST.fingerprint, labels_sha256="x"), {"same_pixels", "other_labels", "copies"}),
    ],
)
def test_relations_of_two_scans(other, relations):
    assert related(FIRST, other) == relations
    assert related(other, FIRST) == relations


def test_unknown_ids_are_related_to_nobody():
    unknown = [AuditRecord(str(i), record(1, "s01", i, NOISE[i]).fingerprint) for i in range(2)]
    assert related(*unknown) == set()


def test_neighbours_have_nothing_between_them():
    volume = [record(1, "s01", bscan, NOISE[i]) for i, bscan in enumerate((3, 10, 12, 40))]
    found = relate(volume, volume, volume_ranks(r.key for r in volume)).neighbours_by_ids
    assert np.argwhere(np.triu(found)).tolist() == [[0, 1], [1, 2], [2, 3]]
    assert volume_ranks([volume[3].key, volume[0].key]) == {volume[0].key: 0, volume[3].key: 1}


def test_relations_are_laid_out_held_out_by_others():
    others = [record(1, "s02", i, NOISE[i]) for i in range(3)]
    held = [record(1, "s01", 9, NOISE[2]), record(1, "s02", 0, NOISE[3])]
    found = relate(held, others, volume_ranks(r.key for r in [*held, *others]))
    assert found.same_pixels.tolist() == [[False, False, True], [False, False, False]]
    assert found.same_scan_by_ids.tolist() == [[False, False, False], [True, False, False]]


def test_labels_are_surfaces_and_mask():
    mask = np.zeros((60, 90), np.int8)
    hashes = [
        record(1, "s01", 1, NOISE[0], *labels).labels_sha256 for labels in ((ROWS, None), (None, mask), (None, None))
    ]
    assert hashes[2] is None
    assert len(set(hashes)) == 3
    assert record(2, "s07", 5, NOISE[1], None, mask + 0).labels_sha256 == hashes[1]
