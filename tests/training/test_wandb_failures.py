"""W&B may die, hang or be out of reach: training ends all the same, says so in a line, and the next job logs again."""

import gc
import logging
import subprocess
import time
from types import SimpleNamespace

import pytest
import wandb

from retseg.training import wandb_run
from retseg.training.callbacks.progress import RunProgress
from retseg.training.wandb_run import wandb_logger
from tests.conftest import TINY
from tests.training.offline_run import read_run, runs_below
from tests.training.wandb_server import WandbServer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # W&B's own

QUICK = (
    *(option for option in TINY if not option.startswith(("logger=", "callbacks."))),
    "callbacks.gradcam=null",
    "callbacks.predictions=null",
)


@pytest.fixture(autouse=True)
def no_run_is_left(logged_out):
    wandb.teardown()  # W&B reads its environment once
    yield
    wandb_run.finish()
    wandb.teardown()


@pytest.fixture
def server(monkeypatch):
    """A server that takes any key."""
    found = WandbServer()
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", found.url)
    yield found
    found.close()


def kill_wandb() -> None:
    """Kill W&B's own process, a child of this one, as a machine short of memory would."""
    (process,) = [
        process
        for process in gc.get_objects()
        if type(process) is subprocess.Popen and "wandb-core" in str(process.args) and process.poll() is None
    ]
    process.kill()
    process.wait()
    time.sleep(0.2)  # until the connection knows


def test_a_training_outlives_wandb_and_the_next_one_logs_again(train, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setattr(RunProgress, "on_train_epoch_end", lambda *_: kill_wandb())
        with pytest.warns(UserWarning, match=r"W&B (failed \(\w+: .*\); training goes on|does not finish)") as told:
            first = train("first", "trainer.max_epochs=1", tiny=QUICK)
    assert len([warning for warning in told if "training goes on without it" in str(warning.message)]) == 1
    assert (first / "metrics.json").exists()
    assert (first / "figures" / "curves.png").exists()
    second = train("second", "trainer.max_epochs=1", tiny=QUICK)
    (run,) = runs_below(second)
    assert run.has_ended
    assert run.summary["best/epoch"] == 1


def test_without_a_server_a_run_is_offline(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "1")
    with pytest.warns(UserWarning, match=r"W&B does not start online \(CommError: .*"):
        logger = wandb_logger("retseg", str(tmp_path / "run"), "name")
    logger.log_metrics({"val/loss": 1.5, "epoch": 0}, step=3)
    wandb_run.finish()
    (path,) = (tmp_path / "run").glob("wandb/offline-run-*/*.wandb")
    run = read_run(path)
    assert run.values("val/loss") == [1.5]


def test_where_wandb_does_not_start_at_all_a_run_goes_without(monkeypatch, tmp_path):
    def refuse(**given):
        if given["mode"] != "disabled":
            raise OSError("No space left on device")
        return started(**given)

    started = wandb_run.wandb.init
    monkeypatch.setattr(wandb_run.wandb, "init", refuse)
    with pytest.warns(UserWarning, match=r"W&B does not start offline \(OSError: No space left on device\)"):
        logger = wandb_logger("retseg", str(tmp_path / "run"), "name")
    assert logger.has_failed
    logger.log_metrics({"val/loss": 1.5}, step=3)
    logger.log_tags(["leaky"])
    logger.log_checkpoint(tmp_path / "no file", ["best"], {})


def test_its_own_log_on_a_full_disk_shows_nothing(monkeypatch, tmp_path, capfd):
    own = logging.getLogger("wandb")

    def start(**given):
        own.addHandler(logging.FileHandler("/dev/full"))
        return SimpleNamespace(define_metric=lambda *_, **__: None)

    monkeypatch.setattr(wandb_run.wandb, "init", start)
    wandb_run._started("retseg", tmp_path, "name", None, [])
    own.warning("a line")
    handler = own.handlers[-1]
    own.removeHandler(handler)
    with pytest.raises(OSError, match="No space left"):
        handler.close()
    assert capfd.readouterr() == ("", "")


def test_a_network_that_goes_away_holds_nothing_up(server, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "8")
    logger = wandb_logger("retseg", str(tmp_path / "run"), "name")
    assert "UpsertBucket" in [operation for operation, _ in server.requests]
    server.go_away()
    begun = time.monotonic()
    for epoch in range(20):
        logger.log_metrics({"val/loss": 1.0 / (1 + epoch), "epoch": epoch}, step=epoch)
    logger.log_summary({"best/epoch": 20})
    assert time.monotonic() - begun < 5
    wandb_run.finish()
    assert 0.5 < time.monotonic() - begun < 60
    (run,) = runs_below(tmp_path / "run")
    assert len(run.values("val/loss")) == 20, "what could not be sent is on the disk, for `wandb sync`"
    assert run.summary["best/epoch"] == 20
