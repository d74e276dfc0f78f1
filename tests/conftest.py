import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.browser import browser, page, problems  # noqa: F401  fixtures of every test

settings.register_profile("retseg", deadline=None)  # a busy machine is no failure
settings.load_profile("retseg")
os.environ["RETSEG_ALLOW_TARGETS"] = "tests"  # classes of the tests stand in configurations, also of other processes

TINY = (
    "experiment=phantom",
    "logger=csv",
    "model.width=2",
    "data.source.num_subjects=4",
    "data.source.bscans_per_subject=2",
    "data.source.height=64",
    "data.source.width=96",
    "data.size=[64,64]",
    "data.batch_size=2",
    "split.subjects=[2]",
    "callbacks.gradcam.layers=[conv2d_19]",
    "callbacks.gradcam.num_scans=1",
    "trainer.max_epochs=2",
    "evaluate=false",
)
"""Options of a run of seconds: 6 scans train (3 steps an epoch), 2 validate."""


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Tiny networks gain nothing from threads, and beside other work on the machine they wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """Runs `python -m retseg.train` in this process with TINY and more options; gives the run folder."""

    def run(name: str, *options: str, tiny: Sequence[str] = TINY) -> Path:
        from retseg.train import main

        run_dir = tmp_path / name
        arguments = [*tiny, *options] + (
            [] if any("resume=" in o or "hydra." in o for o in options) else [f"hydra.run.dir={run_dir}"]
        )
        arguments.sort(key=lambda argument: not argument.startswith("-"))  # flags first, as argparse wants them
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["retseg.train", *arguments])
        try:
            main()
        finally:
            torch.use_deterministic_algorithms(False)  # training turns them on for the whole process
        return run_dir

    return run
