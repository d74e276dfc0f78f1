"""Jobs of a sweep that fail or are cut off: FAILED at once, the others go on, and so does the sweep."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from retseg.commands.sweep import SweepStart
from tests.commands.cut_once import cut_once
from tests.conftest import TINY

SMALL = (
    *(option for option in TINY if not option.startswith("callbacks.")),
    "callbacks.gradcam=null",
    "callbacks.predictions=null",
)


def rows_of(sweep):
    with (sweep / "summary.csv").open() as file:
        return list(csv.DictReader(file))


def exit_code(train, *options):
    try:
        train("", *options, tiny=() if options[0].startswith("resume=") else SMALL)
    except SystemExit as leave:
        return leave.code
    return 0


def files_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def assert_same_weights(one, other):
    states = [torch.load(job / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for job in (one, other)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


def test_a_failed_job_says_why_at_once_and_the_sweep_goes_on(train, tmp_path, capsys):
    sweep, options = tmp_path / "sweep", ("-m", "optimizer.lr=-1,1e-3", "seed=0,1", "trainer.max_epochs=1")
    cut = cut_once(tmp_path / "mark", seed=1, step=1, name="error")
    assert exit_code(train, *options, cut, f"hydra.sweep.dir={sweep}") == 1
    states = ["failed", "failed", "done", "failed"]
    assert [row["state"] for row in rows_of(sweep)] == states
    reason = (sweep / "job0" / "FAILED").read_text().splitlines()
    assert reason[0].startswith("optimizer: ")
    assert reason[1] == "wrong input: exit code 2"
    assert (sweep / "job3" / "FAILED").read_text().splitlines()[0] == "RuntimeError: the disk caught fire"
    assert 'raise RuntimeError("the disk' in (sweep / "job3" / "traceback.txt").read_text()
    assert rows_of(sweep)[3]["reason"] == "RuntimeError: the disk caught fire"
    assert not (sweep / "job2" / "FAILED").exists()
    screen = capsys.readouterr().out
    assert "3 of 4 jobs are not done" in screen
    assert f"go on with: resume={sweep}" in screen
    assert exit_code(train, f"resume={sweep}") == 1, "two rates are still wrong"
    assert [row["state"] for row in rows_of(sweep)] == ["failed", "failed", "done", "done"]
    assert not {"FAILED", "traceback.txt"} & {path.name for path in (sweep / "job3").iterdir()}


def test_wrong_input_in_every_job_is_exit_code_2(train, tmp_path):
    assert exit_code(train, "-m", "optimizer.lr=-1,-2", f"hydra.sweep.dir={tmp_path / 'sweep'}") == 2
    assert [row["state"] for row in rows_of(tmp_path / "sweep")] == ["failed", "failed"]


def test_a_job_number_that_shifts_leaves_the_other_configurations_folder_alone(train, tmp_path):
    sweep = f"hydra.sweep.dir={tmp_path / 'sweep'}"
    assert exit_code(train, "-m", "seed=0", "trainer.max_epochs=1", sweep) == 0
    before = files_of(tmp_path / "sweep" / "job0")
    assert exit_code(train, "-m", "seed=1", "trainer.max_epochs=1", sweep) == 1
    assert files_of(tmp_path / "sweep" / "job0") == before
    done, refused = rows_of(tmp_path / "sweep")
    assert (done["state"], refused["state"]) == ("done", "refused")
    assert "was trained with seed=0, now it is 1" in refused["reason"]
    assert exit_code(train, "-m", "seed=0", "trainer.max_epochs=1", sweep) == 0, "the refused one is forgotten"


def test_a_run_that_failed_after_its_scores_is_scored_again(train, tmp_path, monkeypatch):
    def broken(*_):
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr("retseg.commands.training.print_summary", broken)
        with pytest.raises(OSError, match="no room"):
            train("run", "trainer.max_epochs=1", tiny=SMALL)
    assert (tmp_path / "run" / "metrics.json").is_file()
    assert (tmp_path / "run" / "FAILED").read_text().startswith("OSError: no room\nan error: exit code 1")
    train("run", "trainer.max_epochs=1", "existing=continue", tiny=SMALL)
    assert not (tmp_path / "run" / "FAILED").exists()


def test_a_sweep_that_was_killed_goes_on_and_ends_as_if_it_had_not_been(train, tmp_path):
    options = ("seed=0,1,2", "trainer.max_epochs=2")
    cut = cut_once(tmp_path / "mark", seed=1, step=4, name="SIGKILL")  # 3 steps an epoch: in the second
    sweep = tmp_path / "sweep"
    command = [sys.executable, "-m", "retseg.train", "-m", *SMALL, *options, cut, f"hydra.sweep.dir={sweep}"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
    }
    killed = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (sweep / "job2").exists()
    done = files_of(sweep / "job0")
    assert exit_code(train, f"resume={sweep}") == 0
    assert files_of(sweep / "job0") == done, "what is done stays"
    (tmp_path / "mark").touch()
    undisturbed = tmp_path / "undisturbed"
    assert exit_code(train, "-m", *options, cut, f"hydra.sweep.dir={undisturbed}") == 0
    for job in ("job0", "job1", "job2"):
        assert_same_weights(sweep / job, undisturbed / job)
    scores = [[row["val/dice_macro_layers"] for row in rows_of(folder)] for folder in (sweep, undisturbed)]
    assert scores[0] == scores[1]


def test_what_a_kill_left_of_a_sweeps_own_files_is_removed_and_jobs_are_left_alone(tmp_path):
    (tmp_path / "job0").mkdir()
    left, at_work = tmp_path / ".summary.csv.123.part.csv", tmp_path / "job0" / ".metrics.csv.124.part.csv"
    for path in (left, at_work):
        path.write_text("half")
    config = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}, "overrides": {"hydra": [], "task": []}}})
    SweepStart().on_multirun_start(config)
    assert not left.exists()
    assert at_work.exists()
    SweepStart.folder = None
