"""SIGKILL in a checkpoint and in mid-prediction: nothing is lost. `python -m benchmarks.kills` draws moments."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from benchmarks.kills_content import content, differences
from benchmarks.kills_process import Moment, run
from benchmarks.kills_whole import broken, leftovers
from retseg.commands import training
from retseg.commands.existing_run import ExistingRun
from retseg.evaluation.atomic import remove_partial, replacing_folder
from tests.conftest import TINY
from tests.faults.cut_off import SCALE, write_scans

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
TRAINING = (*TINY, "callbacks.gradcam=null", "callbacks.predictions=null", "existing=continue", "trainer.max_epochs=3")


def alone(task: Callable[[], None]) -> Callable[[], None]:
    """A task for a forked process: it must not wait for PyTorch's threads, which stay behind."""

    def in_one_thread() -> None:
        torch.set_num_threads(1)
        task()

    return in_one_thread


def train_main() -> None:
    from retseg.train import main

    main()


def retseg_main() -> None:
    from retseg.__main__ import main

    main()


def test_a_training_killed_in_its_checkpoint_goes_on_to_the_same_files(tmp_path: Path):
    run_dir, log = tmp_path / "run", tmp_path / "output.log"
    words = ["retseg.train", *TRAINING, f"hydra.run.dir={run_dir}"]
    assert run(alone(train_main), words, run_dir, log).code == 0
    undisturbed = content(run_dir)
    run_dir.rename(tmp_path / "undisturbed")
    second_epoch = Moment(write=2, file="rename last.ckpt")  # written and flushed, not yet under its name
    assert run(alone(train_main), words, run_dir, log, second_epoch).code == -signal.SIGKILL
    assert broken(run_dir) == []
    assert [name for name in leftovers(run_dir) if "last.ckpt" in name]
    last = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] == 0, "the older checkpoint is still there"
    after_the_last = Moment(write=6, file="rename metrics.csv")  # three an epoch, the third after its checkpoint
    assert run(alone(train_main), words, run_dir, log, after_the_last).code == -signal.SIGKILL
    last = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] == 2, "trained to the end, not scored"
    assert run(alone(train_main), words, run_dir, log).code == 0
    assert (broken(run_dir), leftovers(run_dir)) == ([], [])
    assert differences(undisturbed, content(run_dir)) == []


def test_a_prediction_killed_in_mid_volume_goes_on_and_loses_no_whole_scan(tmp_path: Path):
    scans, out, log = write_scans(tmp_path / "scans"), tmp_path / "out", tmp_path / "output.log"
    kinds = "mask,surfaces,thickness,tables"
    words = ["retseg", "predict", str(scans), "-o", str(out), "--save", kinds, "--predict-anyway", "--jobs", "1"]
    words += SCALE
    assert run(alone(retseg_main), words, out, log).code == 0
    undisturbed = content(out)
    out.rename(tmp_path / "undisturbed")
    in_fourth_scan = Moment(write=1, file="rename volume_b001_thickness.csv")
    assert run(alone(retseg_main), words, out, log, in_fourth_scan).code == -signal.SIGKILL
    assert broken(out) == []
    first = out / "volume" / "volume_b000_mask.png"
    old = first.stat().st_mtime_ns
    ended = run(alone(retseg_main), words, out, log)
    assert ended.code == 0
    assert "3 of 5 scans are done already, kept" in ended.output
    assert first.stat().st_mtime_ns == old
    assert (broken(out), leftovers(out)) == ([], [])
    assert differences(undisturbed, content(out)) == []


def test_what_a_kill_left_goes_and_a_folder_put_aside_comes_back(tmp_path: Path):
    with replacing_folder(tmp_path / "figures") as partial:
        (partial / "old.png").write_text("old")
    (tmp_path / "figures").rename(tmp_path / ".figures.77.old")
    (tmp_path / ".figures.77.part").mkdir()
    (tmp_path / ".figures.77.part" / "new.png").write_text("new")
    (tmp_path / ".scans.csv.77.part.csv").write_text("half")
    (tmp_path / ".parts.partial").write_text("somebody else's")
    remove_partial(tmp_path)
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    assert names == [".parts.partial", "figures", "figures/old.png"]


def test_a_run_that_was_cut_off_in_its_evaluation_gets_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    evaluated: list[Path] = []

    def evaluate(run_dir: Path) -> tuple[None, Path]:
        evaluated.append(run_dir)
        (run_dir / "evaluation").mkdir(exist_ok=True)
        shutil.copy(run_dir / "metrics.json", run_dir / "evaluation")
        return None, run_dir

    (tmp_path / "config.yaml").touch()
    (tmp_path / "metrics.json").write_text('{"checkpoint": {"weights_sha256": "ab"}}')
    monkeypatch.setattr(training, "existing_run", lambda run_dir, config: ExistingRun(0.5, None))
    monkeypatch.setattr(training, "evaluate_run", evaluate)
    monkeypatch.setattr(training, "tell", lambda *found: None)
    config = OmegaConf.create({"existing": "continue", "evaluate": True})
    for words in ("trained already, not evaluated yet", "done already, left as it is"):
        assert training._train_if_need_be(config, tmp_path, None) == 0.5
        assert words in capsys.readouterr().out
    assert evaluated == [tmp_path]
    (tmp_path / "metrics.json").write_text('{"checkpoint": {"weights_sha256": "cd"}}')  # it was extended
    training._train_if_need_be(config, tmp_path, None)
    assert evaluated == [tmp_path, tmp_path]
