"""A training in which something breaks: a full disk, no memory, a step that is not finite, a signal."""

import errno
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from retseg.commands import training
from retseg.commands.config_folder import compose_config
from retseg.commands.training_faults import faults_told
from retseg.errors import InputError
from retseg.training import checkpoint_file, history, log_figure
from retseg.training.checkpoint_file import check_whole
from retseg.training.history import read_history
from retseg.training.module import SegmentationModule

QUIET = ("callbacks.gradcam=null", "callbacks.predictions=null")


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def refused(train, capsys, *options, tiny=None):
    """Exit code 2 and one line, which is given."""
    with pytest.raises(SystemExit) as leave:
        train("run", *options, **({} if tiny is None else {"tiny": tiny}))
    errors = capsys.readouterr().err
    assert leave.value.code == 2
    assert errors.count("\n") == 1
    return errors


def test_a_disk_that_fills_up_at_a_checkpoint_keeps_the_last_good_one(train, monkeypatch, capsys, tmp_path):
    write, written = checkpoint_file._Hashed.write, []

    def write_until_full(self, data):
        if self.digest not in written:
            written.append(self.digest)
        return full() if len(written) > 2 else write(self, data)  # best and last of the first epoch are whole

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_file._Hashed, "write", write_until_full)
        error = refused(train, capsys, *QUIET)
    run_dir = tmp_path / "run"
    assert ".ckpt: cannot be written (No space left on device; " in error
    assert "MiB free, the last checkpoint took 0." in error
    assert f"make room, then go on with resume={run_dir} (last.ckpt is whole)" in error
    check_whole(run_dir / "checkpoints" / "last.ckpt")
    assert {path.name for path in (run_dir / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    train("", f"resume={run_dir}", tiny=())
    assert [row["epoch"] for row in read_history(run_dir / "metrics.csv")] == ["0", "1"]


def test_figures_and_rows_that_cannot_be_written_end_no_run(train, monkeypatch, capsys):
    replacing, calls = history.replacing_file, []

    def full_at_first(path):
        calls.append(path)
        return full() if len(calls) <= 2 else replacing(path)

    monkeypatch.setattr(history, "replacing_file", full_at_first)
    monkeypatch.setattr(log_figure, "save_png_and_pdf", full)
    with pytest.warns(UserWarning, match="training goes on") as told:
        run_dir = train("run")
    lines = [str(warning.message) for warning in told if "training goes on" in str(warning.message)]
    reason = "(OSError: [Errno 28] No space left on device)"
    assert lines[0] == "metrics.csv: epoch 0 not written (No space left on device); training goes on, and tries again"
    assert f"predictions of epoch 2: not drawn {reason}; training goes on" in lines
    assert f"Grad-CAM of epoch 2: not drawn {reason}; training goes on" in lines
    screen = capsys.readouterr().out
    assert f"missing      curves and confusion matrix: not drawn {reason}" in screen
    assert f"missing      predictions of epoch 2: not drawn {reason}" in screen
    assert "metrics.csv" not in screen, "it is whole again"
    assert len(read_history(run_dir / "metrics.csv")) == 2
    assert (run_dir / "metrics.json").is_file()


class Killed(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        os.kill(os.getpid(), signal.SIGKILL)


def lose_a_worker():
    list(DataLoader(Killed(), num_workers=1))


def raised(error):
    def action():
        raise error

    return action


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            lambda: torch.empty(2**60),
            r"memory is short \(.*allocate memory.*\); lower data.batch_size \(\d+\), data.size",
        ),
        (
            lambda: np.empty(2**50),
            r"memory is short \(.*\); lower .*, model.width \(\d+\), then start again: nothing is",
        ),
        (raised(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")), "memory is short .CUDA out of"),
        (raised(OSError(errno.ENOMEM, "Cannot allocate memory")), "memory is short .*Cannot allocate memory"),
        (lose_a_worker, r"a process that reads scans has gone \(.*; lower data.num_workers \(0; 0 needs none\), then"),
        (full, r"run: cannot be written \(No space left on device; no folder\); make room, then start again"),
    ],
)
def test_what_the_machine_lacks_is_said_with_what_to_lower(tmp_path, action, message):
    config = compose_config([f"paths.run_dir={tmp_path / 'run'}"])
    with pytest.raises(InputError, match=message) as caught, faults_told(tmp_path / "run", config):
        action()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2"), OSError(errno.ENOENT, "x"), InputError("a rule")])
def test_other_errors_pass_as_they_are(tmp_path, error):
    with pytest.raises(type(error)) as caught, faults_told(tmp_path, compose_config(["paths.run_dir=x"])):
        raise error
    assert caught.value is error


def test_a_loss_that_is_not_finite_stops_the_run_and_its_batch_is_kept(train, capsys, tmp_path):
    lower = ("optimizer.lr=1e30", "scheduler=constant")
    error = refused(train, capsys, *QUIET, *lower)
    kept = tmp_path / "run" / "nonfinite"
    report = json.loads((kept / "report.json").read_text())
    assert report["epoch"] == 1
    assert report["lr"] == [1e30]
    assert report["images_are_finite"]
    assert f"epoch 1, batch 2: {report['what']} on {', '.join(report['scans'])} (" in error
    assert f"lower optimizer.lr, or look at these scans, kept in {kept}" in error
    with np.load(kept / "batch.npz", allow_pickle=False) as batch:
        assert batch["name"].tolist() == report["scans"]
        assert batch["image"].shape == (2, 1, 64, 64)
        assert batch["mask"].shape == (2, 64, 64)


def test_a_gradient_that_is_not_finite_stops_the_run_before_a_weight_moves(train, monkeypatch, capsys, tmp_path):
    step = SegmentationModule._plain_step

    def steep(self, batch):
        slope = (0 * self.net.head.weight).square().sum().sqrt()  # its value is 0, its slope is not a number
        return {name: loss + slope for name, loss in step(self, batch).items()}

    monkeypatch.setattr(SegmentationModule, "_plain_step", steep)
    error = refused(train, capsys, *QUIET)
    assert "epoch 1, batch 1: gradient of head.weight not finite on " in error
    assert "(weights are finite)" in error
    report = json.loads((tmp_path / "run" / "nonfinite" / "report.json").read_text())
    assert (report["first_nonfinite_gradient"], report["first_nonfinite_weights"]) == ("head.weight", None)


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_while_scans_are_read_says_that_there_is_nothing_to_save(train, monkeypatch, capsys, name, code):
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(training, "read_and_audit", lambda *_: os.kill(os.getpid(), signal.Signals[name]))
    with pytest.raises(SystemExit) as leave:
        train("run")
    assert leave.value.code == code
    line = f"retseg: {name}: stopped before the first step, there is nothing to save; start again with the same command"
    assert capsys.readouterr().err.splitlines() == [line]
    assert signal.getsignal(signal.SIGINT) is before


def test_cut_off_while_it_is_scored_a_stopped_run_is_scored_by_resume_without_a_step(train, monkeypatch, capsys):
    stopping = "{_target_: lightning.pytorch.callbacks.EarlyStopping, monitor: val/loss, patience: 1, min_delta: 100,"
    options = (f"callbacks.early_stopping={stopping} check_on_train_epoch_end: false}}", "trainer.max_epochs=6")
    with monkeypatch.context() as patch:
        patch.setattr(training, "score_set", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(SystemExit) as leave:
            train("run", *QUIET, *options)
    assert leave.value.code == 143
    (line,) = capsys.readouterr().err.splitlines()
    run_dir = line.partition("go on with: resume=")[2].split(" (")[0]
    assert line.startswith("retseg: SIGTERM: stopped; go on with: resume=/")
    monkeypatch.setattr(SegmentationModule, "training_step", raised(AssertionError("it trained on")))
    train("", f"resume={run_dir}", tiny=())
    metrics = json.loads((Path(run_dir) / "metrics.json").read_text())
    assert metrics["checkpoint"]["epoch"] <= 2
    assert len(read_history(Path(run_dir) / "metrics.csv")) == 2, "early stopping came after the second epoch"
