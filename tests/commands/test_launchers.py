"""hydra/launcher=several, queue_here, slurm: what they ask for, and jobs in other processes."""

import json
import shlex
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from retseg.commands.config_folder import CONF
from tests.commands.cut_once import cut_once
from tests.conftest import TINY

submitit = pytest.importorskip("submitit", reason="of the extra slurm")
SMALL = (
    *(option for option in TINY if not option.startswith("callbacks.")),
    "callbacks.gradcam=null",
    "callbacks.predictions=null",
)


def launcher(*overrides):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", list(overrides), return_hydra_config=True)
    return {name: value for name, value in config.hydra.launcher.items() if name not in ("_target_", "submitit_folder")}


def test_slurm_asks_for_an_array_of_jobs_with_one_gpu_each_and_a_warning_before_the_end(tmp_path, monkeypatch):
    from submitit.slurm.slurm import SlurmExecutor, _make_sbatch_string

    (tmp_path / "srun").write_text("#!/bin/sh\n")
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")  # submitit looks whether there is a cluster
    given = launcher("hydra/launcher=slurm", "hydra.launcher.partition=gpu", "name=rates")
    executor = submitit.AutoExecutor(tmp_path, cluster="slurm", slurm_max_num_timeout=given.pop("max_num_timeout"))
    shared = (
        "timeout_min",
        "cpus_per_task",
        "gpus_per_node",
        "tasks_per_node",
        "mem_gb",
        "nodes",
        "name",
        "stderr_to_stdout",
    )
    executor.update_parameters(**{name if name in shared else f"slurm_{name}": value for name, value in given.items()})
    inner = executor._executor
    assert isinstance(inner, SlurmExecutor)
    text = _make_sbatch_string(command="run", folder=tmp_path, map_count=6, **inner.parameters)
    asked = {line.removeprefix("#SBATCH --").strip() for line in text.splitlines() if line.startswith("#SBATCH --")}
    wanted = {
        "array=0-5%6",
        "gpus-per-node=1",
        "nodes=1",
        "partition=gpu",
        "signal=USR2@180",
        "time=240",
        "job-name=rates",
    }
    assert wanted <= asked, asked
    assert inner.max_num_timeout == 20


def test_several_jobs_share_the_machine():
    given = launcher("hydra/launcher=several", "hydra.launcher.n_jobs=3")
    assert (given["n_jobs"], given["prefer"]) == (3, "processes")


@pytest.mark.slow
def test_jobs_side_by_side_divide_the_threads_and_tell_of_failures(train, tmp_path, monkeypatch):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    sweep = tmp_path / "sweep"
    options = ("-m", "hydra/launcher=several", "seed=0,1", "optimizer.lr=1e-3,-1", f"hydra.sweep.dir={sweep}")
    with pytest.raises(SystemExit) as left:
        train("", *options, tiny=SMALL)
    assert left.value.code == 1
    import joblib

    for job in ("job0", "job2"):
        threads = json.loads((sweep / job / "environment.json").read_text())["threads"]["torch"]
        assert threads == max(joblib.cpu_count() // 2, 1)
    assert (sweep / "job1" / "FAILED").read_text().startswith("optimizer: Invalid learning rate")
    assert (sweep / "summary.csv").read_text().count("\n") == 5


@pytest.mark.slow
def test_a_preempted_job_is_queued_again_and_ends_with_the_weights_of_one_that_was_not(train, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    states = []
    for name in ("preempted", "undisturbed"):
        mark = tmp_path / f"{name}.mark"
        if name == "undisturbed":
            mark.touch()
        cut = cut_once(mark, seed=0, step=3, name="SIGUSR2")
        sweep = tmp_path / name
        train("", "-m", "hydra/launcher=queue_here", "seed=0", cut, f"hydra.sweep.dir={sweep}", tiny=SMALL)
        states.append(torch.load(sweep / "job0" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])
        logs = " ".join(path.read_text() for path in (sweep / ".submitit").rglob("*.err"))
        logs += " ".join(path.read_text() for path in (sweep / ".submitit").rglob("*.out"))
        assert ("Requeued job" in logs) is (name == "preempted")
    assert all(torch.equal(tensor, states[1][key]) for key, tensor in states[0].items())


def test_the_commands_in_the_presets_compose():
    for path in (CONF / "hydra" / "launcher").glob("*.yaml"):
        (line,) = (line for line in path.read_text().splitlines() if line.startswith("#   python -m retseg.train"))
        words = [word for word in shlex.split(line)[4:] if word != "-m" and "," not in word]
        assert launcher(*words)
