"""What a run tells W&B and TensorBoard, read back from the files that it wrote."""

import json

import numpy as np
import pytest
import wandb
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from retseg.anatomy import CLASS_NAMES
from retseg.training import wandb_run
from retseg.training.history import read_history
from retseg.training.wandb_run import is_logged_in, wandb_logger
from tests.conftest import TINY
from tests.training.offline_run import read_run, runs_below

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # W&B's own

WITHOUT_LOGGER = [option for option in TINY if not option.startswith("logger=")]
QUICK = ("trainer.max_epochs=1", "callbacks.gradcam=null", "callbacks.predictions=null")


@pytest.fixture(scope="module")
def events(logged_run):
    found = EventAccumulator(str(logged_run / "tensorboard"))
    found.Reload()
    return found


@pytest.fixture(scope="module")
def metrics(logged_run):
    return json.loads((logged_run / "metrics.json").read_text())


def test_logged_in_means_a_key_is_to_be_found(logged_out, monkeypatch):
    assert not is_logged_in()
    logged_out.write_text("machine example.org login user password secret\n")
    assert not is_logged_in()
    for host in ("api.wandb.ai", wandb.Settings().base_url.removeprefix("https://")):
        logged_out.write_text(f"machine {host} login user password secret\n")
        assert is_logged_in()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org:8443")
    assert not is_logged_in()
    logged_out.write_text("machine wandb.example.org:8443 login user password secret\n")
    assert is_logged_in()
    logged_out.unlink()
    monkeypatch.setenv("WANDB_API_KEY", "x")
    assert is_logged_in()


def test_name_tags_and_configuration(told):
    assert told.name == "phantom/run"
    assert told.group == ""
    assert told.tags == ["subjects apart", "labels exact"]
    assert told.config["optimizer"]["lr"] == 1e-3
    assert told.config["model"]["width"] == 2
    assert told.config["stamp"] == "subjects apart (1 held out)"
    assert told.has_ended


def test_each_layer_has_a_history_over_epochs(told, logged_run):
    saved = read_history(logged_run / "metrics.csv")
    for stage in ("train", "val"):
        for kind in ("dice", "iou"):
            for name in CLASS_NAMES:
                key = f"{stage}_class/{kind}/{name}"
                assert told.values(key) == pytest.approx([float(row[key]) for row in saved], nan_ok=True)
    for key in ("val/loss", "val/dice_macro_layers"):
        rows = [row for row in told.history if key in row]
        assert [row["epoch"] for row in rows] == [0, 1]
    for curves in ("val/*", "val_class/*", "train/*", "train_class/*"):
        assert told.step_metrics[curves] == "epoch"


def test_scans_are_not_black_and_carry_both_masks_with_the_names_of_layers(told):
    keys = {key for row in told.history for key in row if key.startswith("scans/")}
    assert keys == {"scans/s02_b00_g1", "scans/s02_b01_g1"}
    for key in keys:
        sent = told.values(key)[-1]
        assert np.asarray(Image.open(told.media / sent["filenames"][0])).mean() > 5
        (masks,) = sent["all_masks"]
        assert set(masks) == {"prediction", "truth"}
        truth = np.asarray(Image.open(told.media / masks["truth"]["path"]))
        assert truth.shape == (64, 64)
        assert set(np.unique(truth)) == set(range(len(CLASS_NAMES))), "every layer is in a phantom"
        prediction = np.asarray(Image.open(told.media / masks["prediction"]["path"]))
        assert set(np.unique(prediction)) <= set(range(len(CLASS_NAMES)))
    # W&B keeps the names of classes once for all images of a key, in the configuration.
    names = told.config["_wandb"]["mask/class_labels"]
    for key in keys:
        for mask in ("prediction", "truth"):
            labels = names[f"{key}_wandb_delimeter_{mask}"]["value"]
            assert [labels[str(c)] for c in range(len(CLASS_NAMES))] == list(CLASS_NAMES)


def test_figures_are_the_run_folders_own(told, logged_run):
    for key in ("predictions", "confusion", "curves", "gradcam/s02_b01_g1"):
        sent = told.media / told.values(key)[-1]["filenames"][0]
        assert sent.read_bytes() == (logged_run / "figures" / f"{key}.png").read_bytes()
        assert np.asarray(Image.open(sent).convert("L")).std() > 10, key


def test_tables_hold_the_scores_of_the_best_checkpoint(told, metrics):
    columns, rows = told.table("scores")
    assert columns == ["class", "dice", "iou", "accuracy"]
    assert [row[0] for row in rows] == list(CLASS_NAMES)
    assert [row[1] for row in rows] == pytest.approx([metrics["val"]["scores"][f"dice/{c}"] for c in CLASS_NAMES])
    columns, rows = told.table("confusion_px")
    assert columns == ["truth", *CLASS_NAMES]
    assert [row[1:] for row in rows] == metrics["val"]["confusion"]
    assert told.table("table1")[0] == ["metric", "train", "val"]
    columns, rows = told.table("gradcam/table3")
    assert len(rows) == len(CLASS_NAMES)
    assert columns[0] == "epoch"


def test_the_summary_says_which_epoch_is_the_best_and_what_it_is_worth(told, metrics):
    scores = {f"best/{name}": value for name, value in metrics["val"]["scores"].items()}
    assert {name: told.summary[name] for name in scores} == pytest.approx(scores)
    assert told.summary["best/epoch"] == metrics["checkpoint"]["epoch"]
    assert told.summary["best/chosen_by"].startswith("lowest val/loss")
    assert told.summary["stamp"] == metrics["stamp"]


def test_the_best_checkpoint_is_an_artifact_with_aliases_and_scores(told, logged_run, metrics):
    (model,) = [artifact for artifact in told.artifacts if artifact.type == "model"]
    assert model.name == f"model-{told.run_id}"
    assert set(model.aliases) == {"best", "latest"}
    (file,) = model.manifest.contents
    assert (file.path, file.local_path) == ("best.ckpt", str(logged_run / "checkpoints" / "best.ckpt"))
    assert file.size == (logged_run / "checkpoints" / "best.ckpt").stat().st_size
    about = json.loads(model.metadata)
    assert about["best/weights_sha256"] == metrics["checkpoint"]["weights_sha256"]
    assert about["best/dice_macro_layers"] == pytest.approx(metrics["val"]["scores"]["dice_macro_layers"])


def test_tensorboard_has_the_same_curves_figures_tables_and_values(events, logged_run, told):
    tags = events.Tags()
    for row_name in ("val/loss", "val/dice_macro_layers", *(f"val_class/dice/{name}" for name in CLASS_NAMES)):
        assert [event.value for event in events.Scalars(row_name)] == pytest.approx(told.values(row_name), nan_ok=True)
    curves = {name for name in read_history(logged_run / "metrics.csv")[0] if "/" in name}
    assert curves <= set(tags["scalars"])
    assert {"predictions", "confusion", "curves", "gradcam/s02_b01_g1"} == set(tags["images"])
    for key in tags["images"]:
        (image,) = events.Images(key)
        assert image.width > 600
        assert image.height > 200
    (best,) = events.Scalars("best/epoch")
    assert best.value == told.summary["best/epoch"]
    texts = {tag.removesuffix("/text_summary") for tag in tags["tensors"]}
    assert {"tags", "best", "scores", "confusion_px", "table1", "gradcam/table3"} <= texts
    (summary,) = events.Tensors("best/text_summary")
    lines = summary.tensor_proto.string_val[0].decode().splitlines()
    assert "| stamp | subjects apart (1 held out) |" in lines
    assert len(lines) == 2 + len([name for name in told.summary if name.startswith(("best/", "stamp"))])
    assert "hparams" in events.summary_metadata["_hparams_/session_start_info"].plugin_data.plugin_name
    (scores,) = events.Tensors("scores/text_summary")
    assert scores.tensor_proto.string_val[0].decode().splitlines()[2].startswith("| background | ")
    (marks,) = events.Tensors("tags/text_summary")
    assert marks.tensor_proto.string_val[0] == b"subjects apart, labels exact"


def test_each_job_of_a_multirun_is_a_run_of_its_own_in_one_group_and_says_that_its_split_leaks(
    train, logged_out, tmp_path
):
    leaky = [option for option in WITHOUT_LOGGER if not option.startswith("split.")]
    options = ("-m", "seed=0,1", "split=paper", "logger.wandb.checkpoint=false", *QUICK)
    train("", *options, f"hydra.sweep.dir={tmp_path / 'sweep'}", tiny=leaky)
    runs = runs_below(tmp_path / "sweep")
    assert len({run.run_id for run in runs}) == 2
    assert [run.name for run in runs] == ["phantom/job0", "phantom/job1"]
    assert [run.group for run in runs] == [f"{tmp_path.name}/sweep"] * 2
    assert [run.tags for run in runs] == [["leaky", "labels exact"]] * 2
    assert [run.config["seed"] for run in runs] == [0, 1]
    assert not [artifact for run in runs for artifact in run.artifacts if artifact.type == "model"]


def test_a_job_that_goes_on_says_so(logged_out, tmp_path):
    for _ in range(2):
        wandb_logger("retseg", str(tmp_path / "run"), "name", tags=["mine"])
        wandb_run.finish()
    found = [read_run(path) for path in sorted((tmp_path / "run").glob("wandb/offline-run-*/*.wandb"))]
    assert sorted(run.tags for run in found) == [["mine"], ["mine", "resumed"]]
    assert {run.name for run in found} == {"name/run"}
