import json
from itertools import product

import numpy as np
import pytest

from benchmarks.audit import CHANGES, plant
from retseg.bscan import BScan, ScanKey
from retseg.data.audit import Audit, AuditRecorder, audit
from retseg.data.audit_relations import AuditRecord
from retseg.data.sources.paper_arrays import OFFICIAL_BSCANS
from retseg.data.sources.phantom import PhantomSource
from retseg.data.splits import PaperSplit, SubjectHoldout
from retseg.errors import InputError

RNG = np.random.default_rng(0)
IMAGES = {name: RNG.integers(0, 256, (40, 60)).astype(np.uint8) for name in product("abcdefghij", OFFICIAL_BSCANS)}
"""Ten people's noise: (H, W) for each person and B-scan."""


def scan(grader, person, bscan, image=None, subject=None):
    """B-scan of a person, labelled by a grader, under the subject's name s01, s02, ... or another."""
    rows = np.arange(8)[:, None] + np.full(60, grader, np.float32)
    subject = subject or f"s{ord(person) - ord('a') + 1:02d}"
    return BScan(ScanKey(grader, subject, bscan), IMAGES[person, bscan] if image is None else image, rows)


def records(*scans, ids=True):
    made = [AuditRecord.of_scan(scan) for scan in scans]
    return made if ids else [AuditRecord(r.name, r.fingerprint, None, r.labels_sha256) for r in made]


def counts(found, kind, **sides):
    finding = found.finding(kind, **sides)
    return finding.count, finding.by_ids, finding.by_content


def papers_split(ids):
    scans = {s.key: s for s in (scan(g, p, b) for g, p, b in product((1, 2), "abcdefghij", OFFICIAL_BSCANS))}
    split = PaperSplit()(tuple(scans))
    return audit(*(records(*(scans[key] for key in keys), ids=ids) for keys in (split.train, split.val)))


def test_the_papers_split_by_ids_and_by_content():
    found = papers_split(ids=True)
    assert (found.num_train, found.num_val) == (176, 44)
    assert counts(found, "copies") == counts(found, "identical") == counts(found, "other_grader") == (38, 38, 38)
    assert counts(found, "subjects") == (10, 10, 10)
    assert counts(found, "pairs", side="val", against="val") == (3, 3, 3)
    assert counts(found, "same_subject") == (44, 44, None)
    assert found.stamp == (
        "leaky split: 38 of 44 validation B-scans are also in training, 10 of 10 subjects are on both sides"
    )
    assert found.finding("identical").examples[0] == "s03_b10_g2 ~ s03_b10_g1"


def test_the_papers_split_by_content_alone():
    found = papers_split(ids=False)
    assert counts(found, "copies") == counts(found, "identical") == counts(found, "other_grader") == (38, None, 38)
    assert counts(found, "pairs", side="val", against="val") == (3, None, 3)
    assert counts(found, "subjects") == counts(found, "neighbours") == (0, None, None)
    assert found.stamp == (
        "leaky split: 38 of 44 validation B-scans are also in training (38 identical), subjects unknown"
    )


def test_subjects_apart():
    found = audit(records(scan(1, "a", 10), scan(1, "b", 10)), records(scan(1, "c", 10), scan(1, "c", 15)))
    assert (found.is_leaky, found.verdict, found.stamp) == (False, "apart", "subjects apart (1 held out)")
    assert all(finding.count == 0 for finding in found.findings)


def test_nothing_found_without_ids_is_no_proof():
    found = audit(records(scan(1, "a", 10), ids=False), records(scan(1, "b", 10), ids=False))
    assert (found.is_leaky, found.verdict) == (False, "unknown")
    assert found.stamp == "no copies on both sides by content, subjects unknown"


def test_copies_under_another_subjects_id_are_told_by_content_alone():
    train = records(scan(1, "a", 10), scan(1, "a", 15), scan(1, "b", 10), scan(1, "b", 15))
    mirrored, darker = IMAGES["a", 15][:, ::-1], IMAGES["b", 10] // 2
    val = records(
        scan(1, "a", 10, subject="s09"),
        scan(1, "c", 15, mirrored),
        scan(1, "c", 20, darker),
        scan(1, "d", 10),
    )
    found = audit(train, val)
    assert counts(found, "copies") == (3, 0, 3)
    assert counts(found, "other_subject") == (3, None, 3)
    assert counts(found, "identical") == (1, 0, 1)
    assert counts(found, "mirrored") == counts(found, "near") == (1, None, 1)
    assert counts(found, "subjects") == (2, 0, 2)
    assert found.finding("other_subject").examples == (
        "s09_b10_g1 ~ s01_b10_g1", "s03_b15_g1 ~ s01_b15_g1", "s03_b20_g1 ~ s02_b10_g1"
    )  # fmt: skip
    assert found.stamp == (
        "leaky split: 3 of 4 validation B-scans are also in training "
        "(3 by content alone: 1 identical, 1 mirrored, 1 near copies), 2 of 3 subjects are on both sides"
    )


def test_one_subject_on_both_sides_leaks_though_no_scan_does():
    found = audit(records(scan(1, "a", 10), scan(1, "a", 20)), records(scan(1, "a", 15), scan(1, "b", 10)))
    assert found.is_leaky
    assert counts(found, "neighbours") == counts(found, "same_subject") == (1, 1, None)
    assert found.stamp == (
        "leaky split: 0 of 2 validation B-scans are also in training, 1 of 2 subjects are on both sides"
    )


def test_the_stamp_is_of_the_test_scans_where_there_are_some():
    train, val = records(scan(1, "a", 10)), records(scan(2, "a", 10))
    apart = audit(train, val, records(scan(1, "c", 10)))
    assert apart.finding("copies", side="val").count == 1, "validation leaks, what is scored does not"
    assert (apart.stamp, apart.scored) == ("subjects apart (1 held out)", "test")
    leaky = audit(train, records(scan(1, "b", 10)), records(scan(1, "a", 10), scan(1, "b", 15)))
    assert leaky.stamp == (
        "leaky split: 1 of 2 test B-scans are also in training, 1 of 2 subjects are on both sides; "
        "0 of 2 test B-scans are also in validation, 1 of 2 subjects are on both sides"
    )


def test_the_same_scan_on_both_sides():
    found = audit(records(scan(1, "a", 10)), records(scan(1, "a", 10)))
    assert counts(found, "identical") == (1, 1, 1)
    assert counts(found, "other_grader") == (0, 0, 0)


def test_other_graders_are_unknown_where_labels_are():
    image = AuditRecord("a.png", records(scan(1, "a", 10))[0].fingerprint)
    assert counts(audit([image], [image]), "other_grader") == (0, None, None)


def test_stamps_agree_with_those_of_splits():
    source = PhantomSource(num_subjects=5, bscans_per_subject=2, height=64, width=96, num_graders=2)
    recorder = AuditRecorder()
    for key in source.keys:
        recorder(source.read(key))
    apart, leaky = SubjectHoldout([2, 4])(source.keys), PaperSplit()(source.keys)
    assert recorder.audit(apart.train, apart.val).stamp == apart.stamp
    found = recorder.audit(leaky.train, leaky.val)
    assert counts(found, "copies")[0] == len(leaky.shared_scans)
    assert found.stamp.split(",")[0] == leaky.stamp.split(",")[0]


def test_a_recorder_keeps_what_it_saw_first_and_ids_only_if_told():
    first, other = scan(1, "a", 10), scan(1, "b", 10)
    for recorder, known in ((AuditRecorder(), True), (AuditRecorder(ids=False), False)):
        for seen in (first, other, first):
            recorder(seen)
        assert recorder.audit([first.key], [other.key]).ids_known == known


def test_json_gives_the_audit_back(tmp_path):
    found = papers_split(ids=True)
    found.save(tmp_path / "audit.json")
    content = json.loads((tmp_path / "audit.json").read_text())
    assert (content["stamp"], content["is_leaky"], content["verdict"]) == (found.stamp, True, "leaky")
    assert all(row["definition"] for row in content["findings"])
    assert Audit.from_json(tmp_path / "audit.json") == found


@pytest.mark.parametrize("content", ["", "{}", '{"findings": 3}'])
def test_refuses_json_that_is_no_audit(tmp_path, content):
    (tmp_path / "audit.json").write_text(content)
    with pytest.raises(InputError, match=r"audit\.json: no audit .*make it by `retseg audit`"):
        Audit.from_json(tmp_path / "audit.json")


def test_planted_copies_are_all_found_and_nothing_else_is():
    """40 scans, 30 of them train, 5 copies of each of nine kinds; 110 scans and 20 copies: `benchmarks/audit.py`."""
    source = PhantomSource(num_subjects=8, bscans_per_subject=5, height=108, width=250, seed=7)
    images = [source.read(key).image for key in source.keys]
    rows, false_alarms, num_pairs = plant(images, range(30), num=5)
    assert [(row.planted, row.found, row.as_kind, row.wrong_partners) for row in rows] == [
        (name, 5, 5, 0) for name in CHANGES
    ]
    assert (false_alarms, num_pairs) == (0, 40 * 39 // 2)
