"""`python -m retseg.train` as it is typed: what it answers, leaves behind, and refuses."""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from retseg.anatomy import CLASS_NAMES
from retseg.build import load_net
from retseg.data.sources.phantom import PhantomSource
from retseg.data.sources.phantom_export import write_duke_mat
from retseg.training.environment import weights_sha256
from retseg.training.history import read_history
from tests.conftest import TINY

FAST = (
    "model.width=2",
    "data.size=[64,64]",
    "data.batch_size=2",
    "trainer.max_epochs=1",
    "callbacks.gradcam.num_scans=1",
)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A finished run of two epochs, made by the command itself."""
    folder = tmp_path_factory.mktemp("finished")
    command = [
        sys.executable,
        "-W",
        "error::UserWarning:retseg",
        "-m",
        "retseg.train",
        *TINY,
        f"hydra.run.dir={folder}",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout)
    return folder


def test_run_folder_is_whole(run_dir):
    files = {str(path.relative_to(run_dir)) for path in run_dir.rglob("*") if path.is_file()}
    wanted = {"config.yaml", "split.json", "environment.json", "metrics.csv", "metrics.json"}
    wanted |= {"checkpoints/best.ckpt", "checkpoints/last.ckpt", "gradcam/table3.csv", "gradcam/epoch_002.npz"}
    wanted |= {f"figures/{name}.{kind}" for name in ("curves", "confusion", "predictions") for kind in ("png", "pdf")}
    assert wanted <= files
    assert not [name for name in files if "=" in name or name.endswith(".part")]


def test_metrics_json_agrees_with_the_confusion_matrix_and_names_every_score(run_dir):
    metrics = json.loads((run_dir / "metrics.json").read_text())
    scores, confusion = metrics["val"]["scores"], np.array(metrics["val"]["confusion"])
    for c, name in enumerate(CLASS_NAMES):
        total = confusion[c].sum() + confusion[:, c].sum()
        assert scores[f"dice/{name}"] == pytest.approx(2 * confusion[c, c] / total, abs=1e-6)
    assert metrics["stamp"] == "subjects apart (1 held out)"
    assert {name: metrics["data"][name] for name in ("name", "label_origin")} == {
        "name": "phantom",
        "label_origin": "exact",
    }
    assert metrics["data"]["scan"]["shape"] == [64, 96]
    assert metrics["val"]["num_scans"] == 2
    assert metrics["train"]["num_scans"] == 6
    described = " ".join(metrics["definitions"])
    assert all(name.split("/")[0] in described for name in scores)


def test_history_has_one_row_an_epoch_with_both_stages(run_dir):
    rows = read_history(run_dir / "metrics.csv")
    assert [row["epoch"] for row in rows] == ["0", "1"]
    for name in ("lr", "train/loss", "val/loss", "val/accuracy", "val/dice_micro_soft", "val/iou_micro_soft"):
        assert all(float(row[name]) >= 0 for row in rows), name
    assert {f"val_class/{kind}/{layer}" for kind in ("dice", "iou", "accuracy") for layer in CLASS_NAMES} <= set(
        rows[0]
    )


def test_the_logged_validation_of_the_best_epoch_is_what_the_checkpoint_scores(run_dir):
    metrics = json.loads((run_dir / "metrics.json").read_text())
    row = read_history(run_dir / "metrics.csv")[metrics["checkpoint"]["epoch"] - 1]
    for name in ("loss", "accuracy", "dice_micro_soft", "dice_macro_layers"):
        assert metrics["val"]["scores"][name] == pytest.approx(float(row[f"val/{name}"]), abs=1e-5)


def test_a_run_folder_gives_its_network_back(run_dir):
    net = load_net(run_dir)
    assert weights_sha256(net) == json.loads((run_dir / "metrics.json").read_text())["checkpoint"]["weights_sha256"]
    assert net(torch.rand(1, 1, 64, 64)).shape == (1, 8, 64, 64)


def test_saved_configuration_is_resolved_and_plain(run_dir):
    text = (run_dir / "config.yaml").read_text()
    assert "${" not in text
    assert yaml.safe_load(text)["paths"]["run_dir"] == str(run_dir)


def test_checkpoints_load_without_pickle(run_dir):
    checkpoint = torch.load(run_dir / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint["epoch"] in (0, 1)


def test_screen_ends_with_table_run_folder_and_figures(run_dir):
    screen = (run_dir / "stdout.txt").read_text()
    assert "epoch 2/2" in screen
    assert "left" in screen
    assert all(name in screen for name in CLASS_NAMES)
    assert f"run folder   {run_dir}" in screen
    assert "figures/predictions.png" in screen
    assert "subjects apart (1 held out)" in screen
    called = "retseg" if shutil.which("retseg") else str(Path(sys.executable).with_name("retseg"))
    assert f"next         {called} report ." in screen  # the run folder is where it was started


def test_a_leaky_split_is_said_beside_the_scores(train, capsys):
    tiny = [option for option in TINY if not option.startswith("split.")]
    folder = train("leaky", "split=paper", "data.source.num_graders=2", "trainer.max_epochs=1", tiny=tiny)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["stamp"].startswith("leaky split: ")
    assert "leaky split: " in capsys.readouterr().out


def test_trains_from_duke_files_with_the_papers_split_and_shows_it_in_tensorboard(train, tmp_path):
    phantom = PhantomSource(num_subjects=2, bscans_per_subject=2, height=80, width=120, num_graders=2)
    write_duke_mat(phantom, tmp_path / "mat", num_bscans=4, annotated_bscans=(1, 2), gaps=True, wedges=True)
    options = ("data=duke", f"data.root={tmp_path / 'mat'}", "split=paper", "logger=tensorboard", "data.crop.rows=64")
    folder = train("duke", *options, *FAST, tiny=())
    split = json.loads((folder / "split.json").read_text())
    assert (split["num_train"], split["num_val"]) == (6, 2)
    assert {name[-2:] for name in split["train"] + split["val"]} == {"g1", "g2"}
    assert json.loads((folder / "metrics.json").read_text())["data"]["name"] == "Duke DME"
    assert list((folder / "tensorboard").glob("events.out.tfevents.*"))
    evaluated = json.loads((folder / "evaluation" / "metrics.json").read_text())
    assert (evaluated["num_scans"], evaluated["ceiling"]["title"]) == (2, "grader 1 vs 2")
    assert evaluated["stamp"].startswith("leaky split: 0 of 2")


def test_two_processes_train_one_run(tmp_path):
    """Gloo on CPUs; started by the first, the second takes its run folder, whose name is a time, for its own."""
    command = [sys.executable, "-m", "retseg.train", *TINY]
    devices = ["trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp", "callbacks.gradcam=null"]
    done = subprocess.run([*command, *devices], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs" / "phantom").iterdir()
    metrics = json.loads((run / "metrics.json").read_text())
    row = read_history(run / "metrics.csv")[metrics["checkpoint"]["epoch"] - 1]
    for name in ("accuracy", "dice_micro_soft", "dice_macro_layers"):
        assert metrics["val"]["scores"][name] == pytest.approx(float(row[f"val/{name}"]), abs=1e-5)
    assert done.stdout.count("run folder") == 2, "the first process alone speaks: at the start and at the end"


def test_a_second_run_into_the_same_folder_is_refused(train, run_dir, capsys):
    with pytest.raises(SystemExit) as leave:
        train("", f"hydra.run.dir={run_dir}")
    assert leave.value.code == 2
    assert "holds a run already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("experiment=duke_segne", "experiment=duke_segne: no such choice, did you mean duke_segnet; experiment offers"),
        ("optimizer.lrr=1", "optimizer.lrr: no such option, did you mean lr; optimizer has lr, betas"),
        ("nonsense", "nonsense: not an option of the form a.b=VALUE"),
        ("optimizer.lr=abc", "optimizer.lr='abc': expected float"),
        ("optimizer.lr=-1", "optimizer: Invalid learning rate: -1"),
        ("trainer.max_epochs=0", "trainer.max_epochs=0: expected a whole number, 1 or more"),
        ("data.batch_size=0", "data.batch_size=0: expected a whole number, 1 or more"),
        ("model.width=wide", "model.width='wide': expected int"),
        ("loss.class_weights=[1,2]", "loss.class_weights: 2 numbers for 8 classes"),
        ("split.subjects=[99]", "no subject s99; the data has s01"),
        ("callbacks.gradcam.layers=[conv2d_99]", "conv2d_99"),
        ("resume=nowhere", "nowhere: no config.yaml here"),
    ],
)
def test_wrong_options_are_one_line_and_exit_code_2(train, capsys, option, message):
    with pytest.raises(SystemExit) as leave:
        train("refused", option)
    errors = capsys.readouterr().err
    assert leave.value.code == 2
    assert message in errors
    assert errors.startswith("retseg: ")
    assert errors.count("\n") == 1


def test_missing_duke_files_say_where_to_get_them(train, capsys):
    with pytest.raises(SystemExit):
        train("missing", "data=duke", "data.root=no/such/folder", tiny=())
    errors = capsys.readouterr().err
    assert all(
        word in errors for word in ("no/such/folder", "Chiu_BOE_2014_dataset", "data.download=true", "data=phantom")
    )
    assert errors.count("\n") == 1


@pytest.mark.parametrize("argument", ["--help", "--cfg=job", "optimizer.lrr=1"])
def test_questions_are_answered_without_torch(argument, tmp_path):
    command = [sys.executable, "-X", "importtime", "-m", "retseg.train", argument]
    start = time.monotonic()
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - start
    assert answer.returncode == (2 if "lrr" in argument else 0)
    assert "import time:" in answer.stderr
    assert not [line for line in answer.stderr.splitlines() if line.endswith((" torch", " lightning"))]
    assert seconds < 10, "two seconds are promised; ten allow for a busy machine"


def test_multirun_gives_a_folder_a_job_and_one_table(train, tmp_path):
    options = ("seed=0,1", "optimizer.lr=1e-3,3e-4", "trainer.max_epochs=1", "callbacks.predictions=null")
    train("", "-m", *options, f"hydra.sweep.dir={tmp_path / 'sweep'}", "callbacks.gradcam=null")
    with (tmp_path / "sweep" / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["optimizer.lr"]) for row in rows] == [
        ("0", "0.001"), ("0", "0.0003"), ("1", "0.001"), ("1", "0.0003")
    ]  # fmt: skip
    for row in rows:
        metrics = json.loads((tmp_path / "sweep" / row["job"] / "metrics.json").read_text())
        assert float(row["val/dice_macro_layers"]) == pytest.approx(metrics["val"]["scores"]["dice_macro_layers"])


def test_a_run_folder_elsewhere_is_no_job_of_a_sweep(train, tmp_path):
    train("", f"paths.run_dir={tmp_path / 'elsewhere'}", "trainer.max_epochs=1", "callbacks.gradcam=null")
    assert (tmp_path / "elsewhere" / "metrics.json").exists()


def test_a_wheel_carries_configuration_and_weights_where_the_package_looks_for_them(tmp_path):
    """Built with the build backend of this environment: nothing is downloaded."""
    root = Path(__file__).parents[1]
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(root)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    assert (tmp_path / "site" / "retseg" / "weights" / "zero_shot.safetensors").is_file()
    command = [sys.executable, "-m", "retseg.train", "--cfg", "job", "experiment=duke_segnet"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    answer = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert yaml.safe_load(answer.stdout)["name"] == "duke_segnet"
