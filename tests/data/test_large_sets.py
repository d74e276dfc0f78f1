"""Sets too large to read first: reads and bytes counted, the streamed audit against the one that keeps everything."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from rich.console import Console

from retseg.bscan import BScan, ScanKey
from retseg.commands import later_audit, read_scans
from retseg.commands.later_audit import audited_later
from retseg.commands.read_scans import read_and_audit
from retseg.data import audit_findings
from retseg.data.audit import AuditRecorder
from retseg.data.audit_ids import audit_of_ids
from retseg.data.audit_stream import stream_audit
from retseg.data.splits import PaperSplit, Split, SubjectHoldout
from retseg.errors import InputError
from retseg.training import datamodule
from retseg.training.datamodule import OctDataModule

ROWS = np.arange(8)[:, None] * 2 + np.zeros(24, np.float32)


class Many:
    """5,000 B-scans of 50 subjects, their reads counted; pixels are drawn from the key."""

    name, label_origin, notices = "many", "exact", ()

    def __init__(self, num_subjects=50, fluid=None):
        self.keys = tuple(ScanKey(1, f"s{s:02d}", b) for s in range(1, num_subjects + 1) for b in range(100))
        self.num_reads, self.fluid = 0, fluid

    def read(self, key):
        self.num_reads += 1
        rng = np.random.default_rng([int(key.subject[1:]), key.bscan])
        return BScan(key, rng.integers(0, 256, (20, 24)).astype(np.uint8), ROWS, fluid=self.fluid)


def module(source, **settings):
    return OctDataModule(source, SubjectHoldout([1, 2, 3]), **({"batch_size": 4, "size": (20, 24)} | settings))


def options(**audit):
    return OmegaConf.create({"audit": {"fail": False, "before": 2000} | audit})


QUIET = Console(quiet=True)


@pytest.mark.parametrize("num_subjects", [25, 50])
def test_as_few_scans_are_read_before_the_first_batch_whatever_their_number(num_subjects):
    source = Many(num_subjects)
    made = module(source, cache="auto")
    audit = read_and_audit(QUIET, made, options())
    next(iter(made.train_dataloader()))
    assert len(source.keys) == 100 * num_subjects
    assert 64 < source.num_reads <= 2 * 64 + 4
    assert audit.stamp == "subjects apart (3 held out) (by ids, content not compared yet)"


def test_a_smaller_set_or_one_that_must_not_leak_is_read_whole(monkeypatch):
    source = Many(4)
    assert read_and_audit(QUIET, module(source), options()).content == "all"
    assert source.num_reads == 400
    monkeypatch.setattr(read_scans, "MOST_BEFORE", 100)
    assert read_and_audit(QUIET, module(source), options(before=100, fail=True)).content == "all"
    with pytest.raises(InputError, match=r"audit\.fail=true: leaky split: "):
        read_and_audit(QUIET, OctDataModule(source, leaky_split), options(before=100, fail=True))
    with pytest.raises(InputError, match=r"audit\.before: 'many', expected a number of scans"):
        read_and_audit(QUIET, module(source), options(before="many"))


def leaky_split(keys):
    return Split("made up", keys[:300], keys[290:])


def test_of_a_large_set_some_scans_tell_whether_there_is_fluid_to_learn():
    looked = Many(25, fluid=np.zeros((20, 24), bool))
    read_and_audit(QUIET, module(looked, targets=["fluid"]), options())
    with pytest.raises(InputError, match="says of no scan that trains, of 63 looked at, where fluid is"):
        read_and_audit(QUIET, module(Many(25), targets=["fluid"]), options())


def test_the_cache_keeps_to_its_bytes_and_gives_what_reading_gives(monkeypatch):
    monkeypatch.setattr(datamodule, "CACHE_BYTES", 10 * (20 * 24 * 5 + 8))
    made, fresh = module(Many(4), cache="auto"), module(Many(4), cache=False)
    for _ in range(2):
        for ours, theirs in zip(made.train_dataloader(), fresh.train_dataloader(), strict=True):
            assert ours["name"] == theirs["name"]
            assert torch.equal(ours["image"], theirs["image"])
    assert made.train_dataset.cache.num_bytes == 10 * (20 * 24 * 5 + 8)
    assert made.source.num_reads == 100 + 90, "ten scans are kept"
    assert fresh.train_dataset.cache.num_bytes == 0
    assert module(Many(4), cache="auto", num_workers=2).train_dataset.cache.most_bytes == 5 * (20 * 24 * 5 + 8)
    with pytest.raises(InputError, match=r"data\.cache: 'some', expected auto, true or false"):
        module(Many(4), cache="some")


def test_training_scans_scored_at_the_end_are_a_sample_of_a_large_set(monkeypatch):
    small, _ = module(Many(4)).scoring_loaders()
    names = [name for batch in small for name in batch["name"]]
    assert names == [name for batch in module(Many(4)).train_dataloader() for name in batch["name"]]
    monkeypatch.setattr(datamodule, "MOST_SCORED", 40)
    sample, val = module(Many(4)).scoring_loaders()
    assert sorted(name for batch in sample for name in batch["name"]) == [f"s04_b{n:02d}_g1" for n in range(0, 100, 3)]
    assert sum(len(batch["name"]) for batch in val) == 300


def planted():
    """Scans of 12 subjects by two graders; s11 and s12 hold copies of the others', in every form."""
    noise = np.random.default_rng(0).integers(0, 256, (10, 4, 48, 64)).astype(np.uint8)
    scans = {}
    for grader in (1, 2):
        for subject in range(1, 13):
            for number in range(4):
                image = noise[(subject - 1) % 10, number]
                if subject > 10:
                    image = (image, image[:, ::-1], image // 2, noise[number, number][::-1])[number]
                key = ScanKey(grader, f"s{subject:02d}", number)
                scans[key] = BScan(key, image, np.arange(8)[:, None] + np.full(64, grader, np.float32))
    return scans


@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("split", [SubjectHoldout([1, 11]), PaperSplit(val_fraction=0.3), None])
def test_the_streamed_audit_says_what_the_one_that_keeps_everything_says(monkeypatch, split, ids):
    scans = planted()
    keys = tuple(sorted(scans))
    sides = (keys[30:], keys[:20], keys[20:30]) if split is None else (split(keys).train, split(keys).val)
    recorder = AuditRecorder(ids=ids)
    for scan in scans.values():
        recorder(scan)
    whole = recorder.audit(*sides)
    monkeypatch.setattr(audit_findings, "BLOCK", 7)
    assert stream_audit(scans.__getitem__, *sides, ids=ids) == whole
    assert whole.finding("copies").by_content > 0
    assert recorder.audit(*sides) == whole


def test_a_sample_says_so_and_compares_ids_and_pixels_of_all():
    scans = planted()
    split = SubjectHoldout([11, 12])(tuple(sorted(scans)))
    audit = partial(stream_audit, scans.__getitem__, split.train, split.val)
    whole, sample = audit(), audit(most_compared=4)
    assert (whole.content, sample.content) == ("all", "sample")
    assert sample.finding("identical") == whole.finding("identical")
    assert 0 < sample.finding("copies").count < whole.finding("copies").count
    assert sample.stamp.endswith("(pixels compared of all scans, looks of a sample of those held out)")
    assert sample.verdict == whole.verdict == "leaky"


def test_ids_alone_say_of_ids_what_the_full_audit_says():
    scans = planted()
    split = PaperSplit(val_fraction=0.3)(tuple(sorted(scans)))
    told, whole = audit_of_ids(split.train, split.val), stream_audit(scans.__getitem__, split.train, split.val)
    for kind in ("copies", "subjects"):
        assert told.finding(kind).by_ids == told.finding(kind).count == whole.finding(kind).by_ids > 0
    assert told.is_leaky


def audited(monkeypatch, run_dir, capsys, code):
    """What is told of an audit beside training whose process runs code, and its result."""
    start = subprocess.Popen
    monkeypatch.setattr(later_audit.subprocess, "Popen", lambda _, **how: start([sys.executable, "-c", code], **how))
    keys = Many(2).keys
    with audited_later(Console(soft_wrap=True), run_dir, audit_of_ids(keys[:100], keys[100:])) as complete:
        found = complete()
    return found, capsys.readouterr().out


def test_the_audit_beside_training_is_waited_for(monkeypatch, tmp_path, capsys):
    keys = tuple(planted())
    stream_audit(planted().__getitem__, keys[:8], keys[8:16]).save(tmp_path / "done.json")
    code = f"import os; os.rename({str(tmp_path / 'done.json')!r}, {str(tmp_path / 'audit.json')!r})"
    found, said = audited(monkeypatch, tmp_path, capsys, code)
    assert found.content == "all"
    assert f"audit        {found.stamp}" in said


def test_an_audit_that_fails_beside_training_is_told_and_leaves_the_stamp(monkeypatch, tmp_path, capsys):
    found, said = audited(monkeypatch, tmp_path, capsys, "import sys; sys.exit('retseg: p1.h5: is damaged')")
    assert "content not compared yet" in found.stamp
    assert f"content was not compared: retseg: p1.h5: is damaged; do it by: retseg audit {tmp_path}" in said


def test_the_audit_ends_with_training(monkeypatch, tmp_path):
    start, made = subprocess.Popen, []

    def popen(_, **how):
        made.append(start([sys.executable, "-c", "import time; time.sleep(60)"], **how))
        return made[0]

    monkeypatch.setattr(later_audit.subprocess, "Popen", popen)
    keys = Many(2).keys
    with pytest.raises(SystemExit), audited_later(QUIET, tmp_path, audit_of_ids(keys[:100], keys[100:])):
        raise SystemExit(143)
    assert made[0].poll() is not None
