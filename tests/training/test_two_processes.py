"""Two processes (gloo, CPU) beside one with twice the batch. They are forks, started as a cluster starts them.

What can be equal: a loss that is a mean over pixels (cross-entropy; all scans are
annotated alike), no BatchNorm (each process has its own), no augmentation (each draws its own).
"""

import csv
import json
import multiprocessing
import os
import signal
import socket
import sys
import time
import types

import pytest
import torch
from hydra.types import RunMode
from lightning import Callback, Trainer

from retseg.commands import sweep_processes
from retseg.commands.sweep_processes import refuse_sweep_of_processes
from retseg.errors import InputError
from retseg.training.epoch_so_far import KEY
from retseg.training.shares import SharedBatches
from tests.conftest import TINY

EQUAL = (
    *TINY,
    "data.source.num_subjects=2",
    "data.source.bscans_per_subject=5",
    "loss=cross_entropy",
    "model.norm=none",
    "scheduler=one_cycle",
    "trainer.accelerator=cpu",
)
"""5 scans train: a batch of four, and one of a single scan, at which the second process has none. 5 validate."""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def process(rank, world, port, folder, options):
    """One process of a run, in a fork."""
    from retseg.train import main

    torch.set_num_threads(1)
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / f"{name}_{rank}", os.O_CREAT | os.O_WRONLY), stream)
    os.chdir(folder)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(world), "NODE_RANK": "0"}
    if world > 1:
        os.environ["LOCAL_RANK"] = str(rank)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    sys.argv = ["retseg.train", *options]
    main()


def train(folder, num_processes, *options):
    """Exit codes of the processes of a run, and what each said on stderr."""
    folder.mkdir()
    options = [*EQUAL, *options, f"data.batch_size={4 // num_processes}", f"hydra.run.dir={folder / 'run'}"]
    if num_processes > 1:
        options += [f"trainer.devices={num_processes}", "trainer.strategy=ddp"]
    return start(folder, num_processes, *options)


def start(folder, num_processes, *options):
    """The same of any command."""
    port, fork = free_port(), multiprocessing.get_context("fork")
    made = [
        fork.Process(target=process, args=(rank, num_processes, port, folder, options), daemon=True)
        for rank in range(num_processes)
    ]
    for one in made:
        one.start()
    for one in made:
        one.join(timeout=120)
    return [one.exitcode for one in made], [(folder / f"err_{rank}").read_text() for rank in range(num_processes)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of the same run by one process and by two."""
    place = tmp_path_factory.mktemp("runs")
    for name, num_processes in (("one", 1), ("two", 2)):
        codes, errors = train(place / name, num_processes)
        assert codes == [0] * num_processes, errors
    return place / "one" / "run", place / "two" / "run"


def numbers(path):
    with path.open(newline="") as file:
        return [{name: float(value or "nan") for name, value in row.items()} for row in csv.DictReader(file)]


def weights(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def test_split_metrics_and_weights_are_those_of_one_process(runs):
    one, two = runs
    assert (one / "split.json").read_bytes() == (two / "split.json").read_bytes()
    rows = [numbers(run / "metrics.csv") for run in runs]
    assert len(rows[0]) == len(rows[1]) == 2
    for ours, theirs in zip(*rows, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6, nan_ok=True)
    for name, value in weights(one).items():
        assert torch.allclose(value, weights(two)[name], rtol=0, atol=1e-6), name
    scores = [json.loads((run / "metrics.json").read_text()) for run in runs]
    for side in ("train", "val"):
        ours, theirs = (found[side] for found in scores)
        assert ours["num_scans"] == theirs["num_scans"] == 5
        assert ours["confusion"] == theirs["confusion"]
        filled = [{name: value for name, value in s["scores"].items() if value is not None} for s in (ours, theirs)]
        assert filled[0] == pytest.approx(filled[1], abs=1e-6)


def test_the_first_process_alone_writes(runs):
    listings = [sorted(str(path.relative_to(run)) for path in run.rglob("*")) for run in runs]
    assert listings[0] == listings[1]
    said = [(run.parent / f"out_{rank}").read_text() for run in runs for rank in range(1 + (run == runs[1]))]
    assert [text.count("run folder") for text in said] == [2, 2, 0], "at the start and at the end"


class Dies(Callback):
    """The process of a rank is killed at its second step."""

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_rank == self.rank and trainer.global_step == 1:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_dies_takes_the_other_down_with_a_line(tmp_path, rank):
    dies = f"+callbacks.dies={{_target_: tests.training.test_two_processes.Dies, rank: {rank}}}"
    start = time.monotonic()
    codes, errors = train(tmp_path / "place", 2, dies)
    assert codes[rank] == -signal.SIGKILL
    assert codes[1 - rank] == 2
    (line,) = [line for line in errors[1 - rank].splitlines() if line.startswith("retseg: ")]
    assert f"retseg: process {1 - rank} of 2: another process of this run has gone (" in line
    assert f"go on with resume={tmp_path / 'place' / 'run'}" in line
    assert "Traceback" not in errors[1 - rank]
    assert time.monotonic() - start < 100


class Told(Callback):
    """The first process alone is told to stop, before its first step of two."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_rank == 0 and trainer.global_step == 0:
            os.kill(os.getpid(), signal.SIGTERM)


def stopped(folder):
    """The run folder, after its first step."""
    told = "+callbacks.told={_target_: tests.training.test_two_processes.Told}"
    codes, errors = train(folder, 2, told)
    assert codes == [143, 143], errors
    return folder / "run"


def test_both_leave_with_a_checkpoint_where_one_is_told_to_stop(tmp_path):
    found = torch.load(stopped(tmp_path / "place") / "checkpoints" / "last.ckpt", weights_only=True)
    assert found["global_step"] == 1
    assert found[KEY]["train/loss"]["weight"].tolist() == [2, 2], "scans of each"


@pytest.mark.slow
def test_stopped_in_mid_epoch_they_go_on_to_the_same_rows(runs, tmp_path):
    """One step is left of the epoch, in which the second process has a stand-in alone."""
    run = stopped(tmp_path / "place")
    codes, errors = start(tmp_path / "place", 2, f"resume={run}")
    assert codes == [0, 0], errors
    assert not any("UserWarning" in text for text in errors)
    assert (run / "metrics.csv").read_text() == (runs[1] / "metrics.csv").read_text()


def test_refuses_more_processes_than_scans(tmp_path):
    codes, errors = train(tmp_path / "place", 1, "trainer.devices=6", "trainer.strategy=ddp")
    assert codes == [2]
    assert "retseg: trainer.devices: 6 processes for 5 training scans, expected at least one scan for each" in errors[0]


@pytest.mark.parametrize(("scans", "size", "world"), [(5, 2, 2), (12, 2, 3), (7, 4, 1), (13, 2, 3), (9, 1, 4)])
def test_batches_of_all_processes_are_those_of_one(scans, size, world):
    """Each scan once, beside stand-ins; as many batches everywhere; step by step the scans of one process."""

    def batches(replicas, rank, size):
        sampler = SharedBatches(range(scans), size, replicas, rank, seed=3)
        sampler.set_epoch(2)
        places = list(sampler)
        assert len(places) == len(sampler)
        return [places[start : start + size] for start in range(0, len(places), size)]

    shares = [batches(world, rank, size) for rank in range(world)]
    for whole, *parts in zip(batches(1, 0, size * world), *shares, strict=True):
        counted = [place for part in parts for place in part if type(place) is int]
        assert sorted(counted) == sorted(whole)
        for part in parts:
            assert len(part) == 1 or all(type(place) is int for place in part)


def test_refuses_a_sweep_whose_jobs_would_start_it_anew(monkeypatch):
    trainer = Trainer(accelerator="cpu", devices=2, strategy="ddp", logger=False)
    refuse_sweep_of_processes(trainer)
    sweep = types.SimpleNamespace(mode=RunMode.MULTIRUN)
    monkeypatch.setattr(sweep_processes.HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(sweep_processes.HydraConfig, "get", lambda: sweep)
    with pytest.raises(InputError, match=r"trainer\.devices: 2 processes a job of a sweep, .* take trainer\.devices=1"):
        refuse_sweep_of_processes(trainer)
    refuse_sweep_of_processes(Trainer(accelerator="cpu", devices=1, logger=False))
    monkeypatch.setenv("LOCAL_RANK", "0")
    refuse_sweep_of_processes(trainer)
