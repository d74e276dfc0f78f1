"""Same seed, same machine, same threads: the same weights, whatever else a run does beside training them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from retseg.build import load_net
from retseg.training.environment import weights_sha256
from retseg.training.history import read_history
from tests.conftest import TINY

BARE = ("callbacks.gradcam=null", "callbacks.predictions=null")
AUGMENTED = "augmentation=strong"  # draws random numbers at every step
Hashes = tuple[str, str]


def hashes(run_dir: Path) -> Hashes:
    """Of the weights of the best and of the last checkpoint."""
    best, last = (weights_sha256(load_net(run_dir, name)) for name in ("best", "last"))
    return best, last


def history(run_dir: Path) -> list[dict[str, str]]:
    return read_history(run_dir / "metrics.csv")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that all others are held against: nothing beside training, no workers, scans kept in memory."""
    from retseg.train import main

    folder = tmp_path_factory.mktemp("base") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.parent)
        patch.setattr("sys.argv", ["retseg.train", *TINY, *BARE, AUGMENTED, f"hydra.run.dir={folder}"])
        try:
            main()
        finally:
            torch.use_deterministic_algorithms(False)
    return folder


@pytest.fixture
def again(train: Callable[..., Path]) -> Callable[..., Path]:
    """Trains the same with other options that must change nothing."""

    def run(*options: str, tiny: Sequence[str] = TINY) -> Path:
        return train("again", AUGMENTED, *options, tiny=tiny)

    return run


def same(run_dir: Path, base: Path) -> bool:
    return hashes(run_dir) == hashes(base) and history(run_dir) == history(base)


def test_the_same_again_whatever_was_drawn_before_in_the_process(base, again):
    torch.rand(7)
    run_dir = again(*BARE)
    assert same(run_dir, base)
    scores = [json.loads((folder / "metrics.json").read_text()) for folder in (run_dir, base)]
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("data.num_workers=1",), marks=pytest.mark.slow),
        ("data.num_workers=2", "data.cache=false", "callbacks.progress=null", "callbacks.early_stopping=null"),
    ],
)
def test_workers_cache_progress_and_early_stopping(base, again, options, monkeypatch):
    """In a terminal, too, where the bar asks Lightning for the number of steps, which sets up the loader."""
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes this for a terminal
    assert same(again(*BARE, *options), base)


def test_callbacks_figures_loggers_and_evaluation(base, again, monkeypatch):
    """Heat maps and pictures at every epoch, W&B offline, the evaluation at the end."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    options = [option for option in TINY if not option.startswith(("logger=", "evaluate="))]
    often = ("callbacks.gradcam.every_n_epochs=1", "callbacks.predictions.every_n_epochs=1")
    run_dir = again(*often, "logger=csv_wandb", "evaluate=true", tiny=options)
    assert (run_dir / "evaluation" / "metrics.json").is_file()
    assert (run_dir / "gradcam" / "epoch_001.npz").is_file()
    assert any((run_dir / "wandb").iterdir())
    assert same(run_dir, base)
