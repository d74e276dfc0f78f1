"""Predictions that are stopped, run out of disk, or meet another call's folder."""

import errno
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.kills_content import content, differences
from benchmarks.kills_whole import broken, leftovers
from retseg.inference.kept_scans import KeptScans
from tests.commands.conftest import retseg  # noqa: F401  a fixture
from tests.faults.cut_off import SCALE, write_scans

Retseg = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scans(tmp_path_factory.mktemp("faults") / "scans")


@pytest.fixture
def call(scans: Path, tmp_path: Path) -> tuple[object, ...]:
    return ("predict", scans, "-o", tmp_path / "out", "--save", "mask,tables", "--jobs", 1, "-q", *SCALE)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_keeps_whole_scans_and_the_same_command_goes_on(
    retseg: Retseg,  # noqa: F811
    call: tuple[object, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    code: int,
):
    out, kept, save = tmp_path / "out", [], KeptScans.save

    def save_and_signal(self, volume, scan, files):
        save(self, volume, scan, files)
        kept.append(scan.name)
        if len(kept) == 3:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(KeptScans, "save", save_and_signal)
        stopped, _, error = retseg(*call)
    assert (stopped, error) == (
        code,
        f"retseg: stopped: {len(kept)} of 5 scans are done and kept; the same command goes on\n",
    )
    assert (broken(out), leftovers(out)) == ([], [])
    assert '"status": "stopped"' in (out / "run.json").read_text()
    assert retseg(*call)[0] == 0
    assert len(kept) < 5, "the signal came too late to test anything"
    assert not (out / "unfinished").exists()
    undisturbed = [tmp_path / "undisturbed" if word == out else word for word in call]
    assert retseg(*undisturbed)[0] == 0
    assert differences(content(tmp_path / "undisturbed"), content(out)) == []


def test_a_full_disk_is_one_line_with_path_and_room_and_nothing_half_written(
    retseg: Retseg,  # noqa: F811
    call: tuple[object, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    out, flush, left = tmp_path / "out", os.fsync, [6]

    def full(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        code, _, error = retseg(*call)
    assert code == 2
    assert error.count("\n") == 1
    assert "out/" in error
    assert "cannot be written (No space left on device, " in error
    assert "MiB free); make room and start again, or choose another folder with -o" in error
    assert (broken(out), leftovers(out)) == ([], [])
    code, said, _ = retseg(*[word for word in call if word != "-q"])
    assert code == 0
    assert re.search("[12] of 5 scans are done already, kept", said)  # its record is written by another thread


def test_other_scans_do_not_go_into_a_folder_of_predictions(
    retseg: Retseg,  # noqa: F811
    scans: Path,
    tmp_path: Path,
):
    words = ("-o", tmp_path / "out", "--save", "mask", "-q")
    assert retseg("predict", scans / "a.png", *words)[0] == 0
    code, _, error = retseg("predict", scans / "b.png", *words)
    assert (code, error.count("\n")) == (2, 1)
    assert "out: holds predictions of other scans (a); choose another folder with -o, or write over it with" in error


def test_what_was_begun_anew_with_other_settings_mixes_with_nothing_older(
    retseg: Retseg,  # noqa: F811
    call: tuple[object, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    assert retseg(*call)[0] == 0
    anew = (*call, "--views", 2)
    save, signals = KeptScans.save, [signal.SIGTERM]  # one alone: a second ends the process at once, and this is it

    def save_and_signal(self, volume, scan, files):
        save(self, volume, scan, files)
        if signals:
            os.kill(os.getpid(), signals.pop())

    with monkeypatch.context() as patch:
        patch.setattr(KeptScans, "save", save_and_signal)
        code, _, error = retseg(*anew, "--overwrite")
    assert code == 143
    assert "the same command without --overwrite goes on" in error
    code, said, _ = retseg(*[word for word in anew if word != "-q"])
    assert code == 0
    assert "5 of 5" not in said
    other = [tmp_path / "other" if word == tmp_path / "out" else word for word in anew]
    assert retseg(*other)[0] == 0
    assert differences(content(tmp_path / "other"), content(tmp_path / "out")) == []
