"""`retseg repeat`: the same again is said to be the same, and what is not is named with where and why."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_limits

from retseg.commands.repeat_config import repeat_config
from retseg.training.history import read_history
from tests.conftest import TINY

BARE = ("callbacks.gradcam=null", "callbacks.predictions=null", "data.source.bscans_per_subject=1")


@pytest.fixture(autouse=True)
def not_deterministic():
    """Training turns deterministic operations on for the whole process."""
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs; tests leave it as it is."""
    from retseg.train import main

    folder = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.parent)
        patch.setattr("sys.argv", ["retseg.train", *TINY, *BARE, "scheduler=cosine", f"hydra.run.dir={folder}"])
        main()
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def account(folder: Path) -> dict:
    return json.loads((folder / "repeat.json").read_text())


def change_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_the_same_run_comes_out_the_same_and_is_left_as_it_is(run, retseg):
    before = bytes_of(run)
    num_threads = torch.get_num_threads()
    torch.set_num_threads(num_threads + 1)  # sums would come out otherwise: as many as the run had are taken
    try:
        with threadpool_limits(num_threads + 1, user_api="blas"):
            code, out, err = retseg("repeat", run)
        assert torch.get_num_threads() == num_threads + 1
    finally:
        torch.set_num_threads(num_threads)
    assert (code, err) == (0, "")
    assert "came out the same, bit for bit" in out
    again = run.with_name("run-repeat")
    content = account(again)
    assert content["same"] is True
    assert [check["what"] for check in content["checks"]] == [
        "weights of best.ckpt",
        "weights of last.ckpt",
        "metrics.csv",
        "split",
        "metrics.json",
    ]
    assert content["first"] is None
    assert bytes_of(run) == before
    environment = json.loads((again / "environment.json").read_text())
    assert environment["command"][1:] == ["repeat", str(run)]
    assert environment["torch_threads"] == num_threads
    was = json.loads((run / "environment.json").read_text())["blas"]
    shared = was.keys() & environment["blas"].keys()
    assert shared
    assert {name: environment["blas"][name]["threads"] for name in shared} == {
        name: was[name]["threads"] for name in shared
    }
    code, _, err = retseg("repeat", run)
    assert code == 2
    assert "run-repeat: repeated already, and came out the same (repeat.json); choose a new folder with -o" in err


def test_another_data_set_is_found_out(run, retseg, tmp_path):
    """The configuration is changed behind the run's back: other scans of as many subjects."""
    text = (run / "config.yaml").read_text()
    assert text.count("seed: 0") == 2
    head, tail = text.split("num_subjects:")
    (run / "config.yaml").write_text(f"{head}num_subjects:{tail.replace('seed: 0', 'seed: 5', 1)}")
    environment = json.loads((run / "environment.json").read_text())
    change_json(run / "environment.json", packages=environment["packages"] | {"torch": "1.0"})
    code, out, _ = retseg("repeat", run, "-o", tmp_path / "again")
    assert code == 1
    assert "came out different: first in epoch 1, train/" in out
    assert "largest difference" in out
    content = account(tmp_path / "again")
    assert content["same"] is False
    assert {check["what"]: check["is_same"] for check in content["checks"]} == {
        "weights of best.ckpt": False,
        "weights of last.ckpt": False,
        "metrics.csv": False,
        "split": True,
        "metrics.json": False,
    }
    rows = [read_history(folder / "metrics.csv")[0] for folder in (run, tmp_path / "again")]
    first = content["first"]
    assert [first["run"], first["repeat"]] == [row[first["metric"]] for row in rows]
    assert content["environment"]["packages.torch"][0] == "1.0"
    assert {"data.s01", "data.s02", "data.s03", "data.s04"} <= content["environment"].keys()
    assert "packages.torch" in out


def test_the_first_epochs_alone_follow_the_schedule_of_the_whole_run(run, retseg, tmp_path):
    rows = read_history(run / "metrics.csv")
    assert rows[0]["lr"] != rows[1]["lr"], "a schedule that does not move would hide a shortened one"
    code, out, _ = retseg("repeat", run, "-o", tmp_path / "again", "--epochs", "1")
    assert code == 0, out
    content = account(tmp_path / "again")
    assert [check["what"] for check in content["checks"]] == ["metrics.csv", "split"]
    assert len(read_history(tmp_path / "again" / "metrics.csv")) == 1


def test_a_repeat_that_was_cut_off_goes_on(run, retseg, tmp_path, monkeypatch):
    from retseg.commands import repeat_training

    def cut(config):
        raise SystemExit(143)

    again = tmp_path / "again"
    with monkeypatch.context() as patch:
        patch.setattr(repeat_training, "train", cut)
        assert retseg("repeat", run, "-o", again)[0] == 143
    assert account(again)["same"] is None
    code, _, err = retseg("repeat", run, "-o", again, "--epochs", "1")
    assert code == 2
    assert "again: began to repeat another run, or other epochs; choose a new folder with -o" in err
    code, _, _ = retseg("repeat", run, "-o", again)
    assert code == 0
    assert account(again)["same"] is True


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("config.yaml", "run: no config.yaml here; name a run folder"),
        ("metrics.json", "run: no metrics.json, the run is not finished; go on with resume="),
    ],
)
def test_no_finished_run_is_refused(run, retseg, name, line):
    (run / name).unlink()
    code, _, err = retseg("repeat", run)
    assert code == 2
    assert line in err
    assert not run.with_name("run-repeat").exists()


def test_folders_that_hold_something_are_refused(run, retseg, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    for output, line in (
        (run / "again", "again: inside the run itself, which is left as it is; choose another folder with -o"),
        (tmp_path / "full", "full: not empty, and no repeat of a run; choose a new folder with -o"),
        (tmp_path / "full" / "a", "a: a file; choose a folder with -o"),
    ):
        code, _, err = retseg("repeat", run, "-o", output)
        assert code == 2
        assert line in err


def test_data_that_is_gone_is_one_line_and_nothing_is_written(run, retseg, tmp_path):
    change_data(run, tmp_path / "gone")
    code, _, err = retseg("repeat", run)
    assert code == 2
    assert f"{run}: its data cannot be opened ({tmp_path / 'gone'}" in err
    assert "say where it lies now with --data NAME=VALUE" in err
    assert err.count("\n") == 1
    assert not run.with_name("run-repeat").exists()


def change_data(run: Path, root: Path) -> None:
    """Let the run have read HDF5 files."""
    from omegaconf import OmegaConf

    config = OmegaConf.load(run / "config.yaml")
    config.data.root = str(root)
    config.data.source = {"_target_": "retseg.data.sources.hdf5.Hdf5Source", "root": str(root)}
    OmegaConf.save(config, run / "config.yaml")


def test_data_that_moved_is_named(run, tmp_path):
    change_data(run, tmp_path / "gone")
    config = repeat_config(run, tmp_path / "out", ["root=/there"])
    assert config.data.root == config.data.source.root == "/there"


@pytest.mark.parametrize("option", ["root", "size=3", "nothing=3", "root="])
def test_options_that_the_data_has_not_are_refused(run, tmp_path, retseg, option):
    change_data(run, tmp_path)
    code, _, err = retseg("repeat", run, "--data", option)
    assert code == 2
    assert f"--data {option}: expected NAME=VALUE, NAME being an option of this run's data: root" in err


def test_paths_move_and_dashboards_stay_out(run, tmp_path):
    from omegaconf import OmegaConf

    config = OmegaConf.load(run / "config.yaml")
    config.logger.wandb = {"_target_": "retseg.training.wandb_run.wandb_logger"}
    OmegaConf.save(config, run / "config.yaml")
    moved = repeat_config(run, tmp_path / "out")
    assert list(moved.logger) == ["history"]
    assert moved.callbacks.best.dirpath == str(tmp_path / "out" / "checkpoints")
    assert str(config.paths.run_dir) not in OmegaConf.to_yaml(moved).replace(str(tmp_path / "out"), "")


def test_runs_of_several_processes_are_refused(run, retseg):
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("devices: 1", "devices: 2"))
    code, _, err = retseg("repeat", run)
    assert code == 2
    assert "trainer.devices=2; only runs of one process can be repeated" in err
