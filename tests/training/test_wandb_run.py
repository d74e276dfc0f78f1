"""What a run tells W&B, read back from the offline file that it wrote."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retseg.anatomy import CLASS_NAMES
from retseg.training.wandb_run import is_logged_in
from tests.conftest import TINY

WITH_WANDB = [option for option in TINY if not option.startswith("logger=")]


def records(run_file: Path) -> list[dict]:
    """All records of an offline run, in order."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(run_file)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in printed.splitlines()]


@pytest.fixture
def logged_out(monkeypatch, tmp_path):
    """Nobody is logged in, whatever this machine knows; gives the path of the netrc file."""
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return tmp_path / "netrc"


def test_logged_in_means_a_key_is_to_be_found(logged_out, monkeypatch):
    assert not is_logged_in()
    logged_out.write_text("machine example.org login user password secret\n")
    assert not is_logged_in()
    logged_out.write_text("machine api.wandb.ai login user password secret\n")
    assert is_logged_in()
    logged_out.unlink()
    monkeypatch.setenv("WANDB_API_KEY", "x")
    assert is_logged_in()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # W&B's own
def test_an_offline_run_holds_configuration_scores_images_and_maps(train, logged_out):
    run_dir = train("run", tiny=WITH_WANDB)
    (run_file,) = run_dir.glob("wandb/offline-run-*/*.wandb")
    found = records(run_file)
    text = run_file.parent / "files"
    told = json.dumps(found)
    for name in CLASS_NAMES:
        assert f"val_class/dice/{name}" in told
    for key in (
        "val/dice_micro_soft",
        "predictions",
        "confusion",
        "curves",
        "gradcam",
        "best/dice_macro_layers",
        "stamp",
    ):
        assert key in told, key
    assert "optimizer" in told
    assert found[-1]["type"] in ("exit", "final", "footer"), found[-1]
    images = sorted((text / "media" / "images").rglob("*.png"))
    scans = [path for path in images if path.parent.name == "scans" and "mask" not in path.name]
    masks = [path for path in images if path.name.endswith(".mask.png")]
    assert scans
    assert len(masks) == 2 * len(scans), "a prediction and a truth each"
    assert all(np.asarray(Image.open(path)).mean() > 5 for path in scans), "an image is black"
    assert set(np.unique(np.asarray(Image.open(masks[0])))) <= set(range(len(CLASS_NAMES) + 1))


def test_each_job_of_a_multirun_is_a_run_of_its_own_in_one_group(train, logged_out, tmp_path):
    quick = ("trainer.max_epochs=1", "callbacks.gradcam=null", "callbacks.predictions=null")
    train("", "-m", "seed=0,1", *quick, f"hydra.sweep.dir={tmp_path / 'sweep'}", tiny=WITH_WANDB)
    run_files = sorted(tmp_path.glob("sweep/job*/wandb/offline-run-*/*.wandb"))
    runs = [next(r["run"] for r in records(path) if r["type"] == "run") for path in run_files]
    assert len({run["run_id"] for run in runs}) == 2
    assert [run.get("run_group") for run in runs] == [f"{tmp_path.name}/sweep"] * 2
