"""Folders on a disk that is mounted read-only: one line before any work is done, and what only reads them goes on."""

import errno
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from retseg.commands.config_folder import compose_config
from retseg.commands.run_lock import run_locked
from retseg.commands.sweep import SweepStart
from retseg.commands.training_faults import faults_told
from retseg.data.sources.hdf5 import Hdf5Source
from retseg.data.sources.hdf5_convert import convert
from retseg.data.sources.phantom import PhantomSource
from retseg.errors import InputError
from retseg.evaluation.atomic import FullDiskError, check_writable, make_folder, replacing_file, replacing_folder
from retseg.view.corrected import check_label_folder

Retseg = Callable[..., tuple[int, str, str]]
ReadOnly = Callable[[Path], None]
REASON = "(Read-only file system)"
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> ReadOnly:
    """Makes what lies below a folder answer as Linux does on a read-only mount: EROFS also for what is not there."""

    def refuse(path: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    def make(folder: Path) -> None:
        def guarded(function: Callable[..., object], writes: Callable[..., bool]) -> Callable[..., object]:
            def call(path: object, *args: object, **named: object) -> object:
                is_below = isinstance(path, str | Path) and folder in (Path(path), *Path(path).parents)
                return refuse(path) if is_below and writes(path, *args, **named) else function(path, *args, **named)

            return call

        def always(*_: object, **__: object) -> bool:
            return True

        def is_new(path: Path, *_: object, **__: object) -> bool:
            return not path.exists()

        def opens(path: object, mode: str = "r", *_: object, **__: object) -> bool:
            return bool(set(mode) & set("wax+"))

        for name in ("unlink", "rename", "replace", "rmdir"):
            monkeypatch.setattr(Path, name, guarded(getattr(Path, name), always))
        monkeypatch.setattr(Path, "mkdir", guarded(Path.mkdir, is_new))
        monkeypatch.setattr(Path, "open", guarded(Path.open, opens))
        monkeypatch.setattr(io, "open", guarded(io.open, opens))
        monkeypatch.setattr(os, "open", guarded(os.open, lambda path, flags, *_, **__: bool(flags & WRITES)))
        temporary = tempfile.TemporaryFile
        monkeypatch.setattr(
            tempfile, "TemporaryFile", lambda dir: refuse(dir) if folder in (dir, *dir.parents) else temporary(dir=dir)
        )

    return make


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))).save(folder / "a.png")
    return folder / "a.png"


def test_every_command_that_writes_there_says_so_at_once(
    retseg: Retseg, own_run: Path, scan: Path, tmp_path: Path, read_only: ReadOnly, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_only(own_run)
    for work in ("evaluation.inference.Predictor.case", "inference.predictor.ScanPredictor.answer"):
        monkeypatch.setattr(f"retseg.{work}", lambda *_: pytest.fail("scans were predicted"))
    for words, said in (
        (("predict", scan, "-o", own_run / "out"), f"run/out: cannot be made a folder {REASON}; choose another"),
        (("predict", scan, "-o", own_run), f"run: retseg predict cannot write here {REASON}; choose another folder"),
        (("report", own_run), f"run: cannot be written {REASON}; choose another file with -o"),
        (("evaluate", own_run), f"run/evaluation: cannot be made a folder {REASON}; choose another with -o"),
        (("export", own_run), f"run/export: cannot be made a folder {REASON}; choose another with -o"),
        (("calibrate", own_run), f"{REASON}; reference.json is written there: copy the run, and calibrate the copy"),
        (("compare", own_run, own_run), f"{REASON}; evaluate it with `retseg evaluate {own_run} -o FOLDER`, and name"),
    ):  # fmt: skip
        code, _, error = retseg(*words)
        assert (code, error.count("\n")) == (2, 1), error
        assert said in error


def test_scans_and_runs_are_read_from_there(
    retseg: Retseg, own_run: Path, scan: Path, tmp_path: Path, read_only: ReadOnly
) -> None:
    read_only(scan.parent)
    read_only(own_run)
    words = ("predict", scan, "--run", own_run, "-o", tmp_path / "out", "--save", "mask", "--predict-anyway", "-q")
    assert retseg(*words)[0] == 0


def test_training_files_are_read_from_there_and_labels_are_refused(tmp_path: Path, read_only: ReadOnly) -> None:
    root = tmp_path / "hdf5"
    convert(PhantomSource(height=48, width=64, num_subjects=1, bscans_per_subject=2), root)
    read_only(root)
    source = Hdf5Source(root)
    assert source.read(source.keys[0]).image.shape == (48, 64)
    with pytest.raises(InputError, match=r"hdf5: cannot be written \(Read-only file system\); name another"):
        check_label_folder(root)


def test_an_hdf5_file_that_cannot_be_made_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from retseg.data.sources import new_hdf5

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Unable to synchronously create file (unable to open file: name = ...)")

    monkeypatch.setattr(new_hdf5.h5py, "File", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with (
        pytest.raises(InputError, match=r"a\.h5: cannot be written \(Read-only file system\); choose a folder with"),
        new_hdf5.new_hdf5(tmp_path / "a.h5"),
    ):
        pass


def test_a_sweep_does_not_begin(tmp_path: Path, read_only: ReadOnly, capsys: pytest.CaptureFixture[str]) -> None:
    read_only(tmp_path)
    for folder, said in ((tmp_path / "sweep", "cannot be made a folder"), (tmp_path, "cannot be written")):
        hydra = {"sweep": {"dir": str(folder)}, "overrides": {"hydra": [], "task": []}}
        config = OmegaConf.create({"hydra": hydra, "show_traceback": False})
        with pytest.raises(SystemExit) as leave:
            SweepStart().on_multirun_start(config)
        assert (leave.value.code, SweepStart.folder) == (2, None)
        line = f"retseg: {folder}: {said} (Read-only file system); choose another folder with hydra.sweep.dir\n"
        assert capsys.readouterr().err == line


def test_a_disk_that_becomes_read_only_hides_no_reason(tmp_path: Path, read_only: ReadOnly) -> None:
    """The kernel does that to a disk with errors: files are open then, and cannot be removed any more."""
    (tmp_path / "checkpoints").mkdir()
    config = compose_config([f"paths.run_dir={tmp_path}"])

    def write() -> None:
        with run_locked(tmp_path), faults_told(tmp_path, config), replacing_file(tmp_path / "metrics.json") as partial:
            partial.write_text("{}")
            read_only(tmp_path)
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with pytest.raises(InputError, match=r"metrics\.json: .*Read-only .*; make it writable, then start again: nothing"):
        write()


def test_files_and_folders_that_appear_whole_do_not_appear(tmp_path: Path, read_only: ReadOnly) -> None:
    read_only(tmp_path)
    for writing in (replacing_file, replacing_folder):
        with pytest.raises(FullDiskError, match=r"x: cannot be written \(Read-only file system\); choose another"):  # noqa: SIM117
            with writing(tmp_path / "x") as partial:
                partial.write_bytes(b"")
    with pytest.raises(FullDiskError, match=r"x: cannot be made a folder \(Read-only file system\); choose another"):
        make_folder(tmp_path / "x")
    with pytest.raises(FullDiskError, match=r"x/y: cannot be written \(Read-only file system\); go elsewhere"):
        check_writable(tmp_path / "x" / "y", "go elsewhere")
    check_writable(tmp_path.parent / "x", "go elsewhere")
    assert list(tmp_path.iterdir()) == []
