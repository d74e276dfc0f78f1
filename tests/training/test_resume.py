"""A run that was cut off and resumed ends with the weights of one that was not, bit for bit."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from retseg.training.history import read_history
from tests.conftest import TINY

# A rate that falls at every validation: the state of the plateau scheduler matters.
NEVER_CONTENT = ("scheduler=constant", "scheduler._target_=tests.training.interruptions.NeverContent")
RUN = (*NEVER_CONTENT, "trainer.max_epochs=4", "optimizer.lr=0.01", "callbacks.predictions.scans=1")


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    return torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("undisturbed")
    assert run_cut_off(run_dir, step=10**9, signal_name="SIGKILL").returncode == 0
    return run_dir


def run_cut_off(
    run_dir: Path, step: int, signal_name: str, options: Sequence[str] = RUN
) -> subprocess.CompletedProcess[str]:
    """A run in a process of its own that sends itself a signal in the middle of a step (3 steps an epoch)."""
    interrupt = "+callbacks.cut={_target_: tests.training.interruptions.Interrupt,"
    interrupt += f"step: {step}, name: {signal_name}}}"
    command = [sys.executable, "-m", "retseg.train", *TINY, *options, interrupt, f"hydra.run.dir={run_dir}"]
    root = Path(__file__).parents[2]
    threads = str(torch.get_num_threads())  # as many as here, where runs are resumed: sums come out alike
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": threads}
    return subprocess.run(command, cwd=run_dir, env=environment, capture_output=True, text=True, check=False)


def resume(train, run_dir: Path) -> None:
    """Resume in this process, without the interruption."""
    train("", f"resume={run_dir}", "callbacks.cut.step=1000000000", tiny=())


def test_the_last_checkpoint_is_of_the_last_epoch_though_that_was_not_the_best(train):
    run_dir = train("falling", "+callbacks.best.mode=max")  # the "best" epoch is then the first
    paths = {name: run_dir / "checkpoints" / f"{name}.ckpt" for name in ("best", "last")}
    assert {name: torch.load(path, weights_only=True)["epoch"] for name, path in paths.items()} == {
        "best": 0,
        "last": 1,
    }


def test_killed_in_mid_epoch_and_resumed_is_the_undisturbed_run(train, undisturbed, tmp_path):
    killed = run_cut_off(tmp_path, step=7, signal_name="SIGKILL")
    assert killed.returncode == -9
    assert len(read_history(tmp_path / "metrics.csv")) == 2
    resume(train, tmp_path)
    assert_same(weights(tmp_path), weights(undisturbed))
    rates = [[row["lr"] for row in read_history(run / "metrics.csv")] for run in (tmp_path, undisturbed)]
    assert rates[0] == rates[1]
    assert len(set(rates[1])) > 2, "the plateau scheduler did not act: the test would not notice its loss"
    losses = [[row["val/loss"] for row in read_history(run / "metrics.csv")] for run in (tmp_path, undisturbed)]
    assert losses[0] == losses[1]


def test_sigterm_saves_after_the_step_leaves_with_143_and_resumes_in_mid_epoch(train, undisturbed, tmp_path):
    stopped = run_cut_off(tmp_path, step=7, signal_name="SIGTERM")
    assert stopped.returncode == 143
    assert f"go on with: resume={tmp_path}" in stopped.stdout
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 8
    resume(train, tmp_path)
    assert_same(weights(tmp_path), weights(undisturbed))
    assert read_history(tmp_path / "metrics.csv") == read_history(undisturbed / "metrics.csv")


@pytest.mark.slow
def test_ctrl_c_at_the_last_step_of_an_epoch_waits_for_its_validation(train, undisturbed, tmp_path):
    stopped = run_cut_off(tmp_path, step=5, signal_name="SIGINT")
    assert stopped.returncode == 130
    assert len(read_history(tmp_path / "metrics.csv")) == 2
    resume(train, tmp_path)
    assert_same(weights(tmp_path), weights(undisturbed))


def test_a_folder_that_was_moved_goes_on_where_it_lies_now(train, tmp_path):
    there, here = (
        train("there", "scheduler=constant", "trainer.max_epochs=1", "+callbacks.best.mode=max"),
        tmp_path / "here",
    )
    there.rename(here)
    train("", f"resume={here}", "trainer.max_epochs=3", tiny=())
    assert not there.exists()
    assert len(read_history(here / "metrics.csv")) == 3
    best = torch.load(here / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["epoch"] == 0, "the score of the best epoch was forgotten with the folder's old place"


def test_another_seed_gives_other_weights(train, undisturbed):
    other = weights(train("other", *RUN, "seed=1"))
    assert not torch.equal(other["net.head.weight"], weights(undisturbed)["net.head.weight"])
