"""A run folder that is there already: refused, left alone if done, gone on with if cut off."""

import json

import pytest
import torch

from retseg.build import load_config
from retseg.commands.existing_run import ExistingRun, existing_run
from retseg.commands.sweep_folder import read_jobs
from retseg.commands.training import resume
from retseg.training.history import read_history


def files_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_continue_leaves_a_finished_run_as_it_is_and_gives_its_score(train, capsys):
    run_dir = train("done", "existing=continue")
    before = files_of(run_dir)
    train("done", "existing=continue")
    assert files_of(run_dir) == before
    assert "done already, left as it is" in capsys.readouterr().out


def test_continue_goes_on_where_a_run_was_cut_off(train):
    run_dir = train("whole")
    cut_off = train("cut", "existing=continue")
    (cut_off / "metrics.json").unlink()
    checkpoint = torch.load(cut_off / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 1
    train("cut", "existing=continue")
    assert len(read_history(cut_off / "metrics.csv")) == 2
    scores = [json.loads((folder / "metrics.json").read_text())["val"]["scores"] for folder in (run_dir, cut_off)]
    assert scores[0] == scores[1]


def test_a_run_that_goes_on_for_more_epochs_and_is_killed_is_not_done(own_run, monkeypatch):
    assert [job.state for job in read_jobs(own_run.parent)] == ["done"]

    def killed(*_, **__):
        raise SystemExit(137)

    monkeypatch.setattr("lightning.Trainer.fit", killed)
    with pytest.raises(SystemExit) as stopped:
        resume(own_run, ["trainer.max_epochs=5"])
    torch.use_deterministic_algorithms(False)  # training turns them on for the whole process
    assert stopped.value.code == 137
    assert [(job.state, job.reason) for job in read_jobs(own_run.parent)] == [("cut off", "after a checkpoint")]
    config = load_config(own_run)
    assert config.trainer.max_epochs == 5
    config.existing = "continue"
    assert existing_run(own_run, config) == ExistingRun(None, own_run / "checkpoints" / "last.ckpt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "holds a run already; go on with resume="),
        (("existing=continue", "seed=5"), "was trained with seed=0, now it is 5; choose another folder"),
        (("existing=continue", "model.width=3"), "was trained with model.width=2, now it is 3"),
        (("existing=continue", "+data.source.spacing_um=[8,9]"), "data.source.spacing_um=absent, now it is [8, 9]"),
        (("existing=overwrite",), "existing=overwrite: expected refuse or continue"),
    ],
)
def test_refuses_to_write_over_a_run_of_another_configuration(train, capsys, options, message):
    run_dir = train("first", "trainer.max_epochs=1")
    before = files_of(run_dir)
    with pytest.raises(SystemExit) as leave:
        train("first", "trainer.max_epochs=1", *options)
    assert leave.value.code == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert files_of(run_dir) == before
