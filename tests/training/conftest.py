from pathlib import Path

import pytest

from tests.conftest import TINY
from tests.training.offline_run import OfflineRun, runs_below


@pytest.fixture
def logged_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nobody is logged in to W&B, whatever this machine knows; gives the path of the netrc file."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_SWEEP_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return tmp_path / "netrc"


@pytest.fixture(scope="session")
def logged_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of two epochs that logged to W&B, offline, and to TensorBoard."""
    from retseg.train import main

    folder = tmp_path_factory.mktemp("dashboards") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.chdir(folder.parent)
        options = [option for option in TINY if not option.startswith("logger=")]
        loggers = "logger=[csv_wandb,tensorboard]"
        patch.setattr("sys.argv", ["retseg.train", *options, loggers, f"hydra.run.dir={folder}"])
        main()
    return folder


@pytest.fixture(scope="session")
def told(logged_run: Path) -> OfflineRun:
    """What that run told W&B."""
    (run,) = runs_below(logged_run)
    return run
