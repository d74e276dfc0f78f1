"""The viewer's temporary folder: what a killed viewer left goes, and nothing that is somebody's."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from retseg.errors import InputError
from retseg.view.own_folder import LOCK, PREFIX, own_folder

HOLD = """
import time
from retseg.view.own_folder import own_folder
with own_folder() as folder:
    (folder / "scans").mkdir()
    (folder / "scans" / "patient.png").write_text("pixels")
    (folder / "link").symlink_to("/")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_what_a_kill_left_goes_when_the_next_one_starts_and_not_before_it_ended(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        assert folder.parent == tmp_path
        with own_folder():
            assert (folder / "scans" / "patient.png").exists(), "its process lives"
        process.send_signal(signal.SIGKILL)
    assert (folder / "scans" / "patient.png").exists()
    with own_folder() as next_one:
        assert list(tmp_path.iterdir()) == [next_one]
    assert list(tmp_path.iterdir()) == []


def left(folder: Path) -> Path:
    folder.mkdir()
    (folder / LOCK).write_text("")
    (folder / "scan.png").write_text("pixels")
    return folder


def test_what_is_another_users_a_link_or_without_a_lock_stays(tmp_path, monkeypatch):
    elsewhere = left(tmp_path / "elsewhere")
    link = tmp_path / f"{PREFIX}link"
    link.symlink_to(elsewhere)
    unlocked = tmp_path / f"{PREFIX}older"
    unlocked.mkdir()
    to_another_lock = left(tmp_path / f"{PREFIX}x")
    (to_another_lock / LOCK).unlink()
    (to_another_lock / LOCK).symlink_to(elsewhere / LOCK)
    with own_folder():
        assert (elsewhere / "scan.png").exists()
        assert link.is_symlink()
        assert unlocked.is_dir()
        assert (to_another_lock / "scan.png").exists()
    theirs = left(tmp_path / f"{PREFIX}theirs")
    with monkeypatch.context() as patch:
        patch.setattr(os, "getuid", lambda: theirs.stat().st_uid + 1)
        with own_folder():
            assert (theirs / "scan.png").exists()
    with own_folder():
        assert not theirs.exists(), "it is the same folder for its own user"


def test_a_temporary_folder_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    def read_only(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", read_only)
    with pytest.raises(InputError, match=r"cannot be kept here \(Read-only file system\); set TMPDIR to") as caught:
        own_folder().__enter__()
    assert str(caught.value).startswith(f"{tmp_path}: ")
