"""Two runs pointed at one folder: the second is refused at once; a run that is gone keeps nobody out."""

import errno
import os
import signal
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from retseg.commands import run_lock
from retseg.commands.config_folder import compose_config
from retseg.commands.run_lock import LOCK, run_locked
from retseg.errors import InputError
from tests.conftest import TINY

HOLD = """
import pathlib, sys
from retseg.commands.run_lock import run_locked
with run_locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_is_refused_at_once_and_is_told_who_is_there(holder, tmp_path):
    message = rf"run: process {holder.pid} on \S+ since .* trains here; wait until it ends, or choose another"
    with pytest.raises(InputError, match=message), run_locked(tmp_path / "run"):
        pass
    assert (tmp_path / "run" / LOCK).read_text().startswith(f"process {holder.pid} ")
    holder.communicate("")
    assert not (tmp_path / "run" / LOCK).exists()
    with run_locked(tmp_path / "run"):
        pass


def test_killed_it_keeps_nobody_out(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / LOCK).exists()
    with run_locked(tmp_path / "run"):
        assert (tmp_path / "run" / LOCK).read_text().startswith(f"process {os.getpid()} ")


@pytest.mark.parametrize("how", ["resume", "anew"])
def test_neither_resumed_nor_started_while_it_trains(train, holder, tmp_path, capsys, how):
    run_dir = tmp_path / "run"
    OmegaConf.save(compose_config([*TINY, f"paths.run_dir={run_dir}"]), run_dir / "config.yaml", resolve=True)
    (run_dir / "checkpoints").mkdir()
    (run_dir / "checkpoints" / "last.ckpt").touch()
    before = sorted(path.name for path in run_dir.rglob("*"))
    options = (f"resume={run_dir}",) if how == "resume" else (*TINY, "existing=continue")
    with pytest.raises(SystemExit) as leave:
        train("run", *options, tiny=())
    assert leave.value.code == 2
    errors = capsys.readouterr().err
    assert "trains here; wait until it ends" in errors
    assert errors.count("\n") == 1
    assert sorted(path.name for path in run_dir.rglob("*")) == before


def test_a_lock_that_was_removed_by_its_holder_is_no_lock(monkeypatch, tmp_path):
    """Opened before the holder removed it, locked after: the next one would make a file of its own beside it."""
    lock, opened = run_lock._lock, []

    def late(path, descriptor, work):
        lock(path, descriptor, work)
        if not opened:
            path.unlink()
        opened.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(run_lock, "_lock", late)
    with run_locked(tmp_path):
        assert (tmp_path / LOCK).stat().st_ino == opened[-1]
    assert len(opened) == 2


def test_where_there_are_no_locks_a_warning_says_so(monkeypatch, tmp_path):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(run_lock.fcntl, "lockf", refuse)
    with pytest.warns(UserWarning, match="no locks on this file system .* see yourself"), run_locked(tmp_path):
        pass


def test_a_read_only_folder_is_refused(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(run_lock.os, "open", refuse)
    message = r"run: a run cannot write here \(Read-only file system\); choose another folder with hydra.run.dir"
    with pytest.raises(InputError, match=message), run_locked(tmp_path / "run"):
        pass


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("hydra.run.dir", "file: cannot be made a run folder (File exists); choose another hydra.run.dir"),
        ("paths.run_dir", "file: a run cannot write here (File exists); choose another folder with hydra.run.dir"),
    ],
)
def test_a_file_in_the_place_of_the_folder(train, capsys, tmp_path, option, message):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SystemExit) as leave:
        train("", f"{option}={tmp_path / 'file'}", f"hydra.sweep.dir={tmp_path}")
    assert leave.value.code == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"
