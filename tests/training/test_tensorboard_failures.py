"""TensorBoard on a disk that is full or read-only: a run goes on, says so once, and at its end what is not whole."""

import errno
import os
import threading
from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure
from tensorboard.summary.writer.record_writer import RecordWriter

from retseg.figures.captions import describe
from retseg.training.log_figure import log_figure, log_summary, log_table, log_tags
from retseg.training.tensorboard_run import RunTensorBoard
from retseg.training.undrawn import undrawn_lines


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def logger(tmp_path):
    return RunTensorBoard(save_dir=str(tmp_path), name="tensorboard", version="", default_hp_metric=False)


def log_all(logger, folder):
    figure = Figure()
    describe(figure, "title", "caption")
    trainer = SimpleNamespace(loggers=[logger], callbacks=[], global_step=3, default_root_dir=str(folder))
    log_tags(trainer, ["leaky"])
    log_table(trainer, "table", ["a"], [[1.5]])
    assert log_figure(trainer, "curves", figure).exists()
    logger.log_metrics({"val/loss": 1.0}, step=3)
    logger.finalize("success")
    log_summary(trainer, {"best/epoch": 2})
    return undrawn_lines(trainer)


def test_a_full_disk_is_one_warning_and_a_line_at_the_end(logger, tmp_path, monkeypatch, capfd):
    logger.log_hyperparams({"seed": 1})
    logger.save()
    monkeypatch.setattr(RecordWriter, "write", full)
    with pytest.warns(UserWarning, match="TensorBoard") as told:
        missing = log_all(logger, tmp_path)
    reason = "OSError: [Errno 28] No space left on device"
    assert [str(warning.message) for warning in told] == [
        f"TensorBoard failed ({reason}); training goes on without it, the run folder holds all scores and figures"
    ]
    assert missing == [f"{tmp_path}/tensorboard/: not whole ({reason})"]
    assert capfd.readouterr().err == "", "no traceback of TensorBoard's own thread"


def test_what_is_logged_last_of_all_is_told_too(logger, tmp_path, monkeypatch):
    logger.log_metrics({"val/loss": 1.0}, step=3)
    logger.finalize("success")
    monkeypatch.setattr(RecordWriter, "write", full)
    with pytest.warns(UserWarning, match="TensorBoard failed"):
        log_summary(SimpleNamespace(loggers=[logger], global_step=3), {"best/epoch": 2})


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "tensorboard").write_text("a file")
    logger = RunTensorBoard(save_dir=str(tmp_path), name="tensorboard", version="", default_hp_metric=False)
    with pytest.warns(UserWarning, match=r"TensorBoard failed \(\w+Error: .*tensorboard") as told:
        missing = log_all(logger, tmp_path)
    assert (len(told), len(missing)) == (1, 1)


def test_other_threads_are_shown_as_before(logger, capfd, monkeypatch):
    shown = []
    monkeypatch.setattr(threading, "excepthook", shown.append)
    RunTensorBoard(save_dir=logger.root_dir)
    thread = threading.Thread(target=full)
    thread.start()
    thread.join()
    assert [str(args.exc_value) for args in shown] == ["[Errno 28] No space left on device"]
