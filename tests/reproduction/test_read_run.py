"""A run folder becomes facts, or one line that says what is wrong."""

import json
import shutil

import numpy as np
import pytest
from omegaconf import OmegaConf
from sklearn.model_selection import train_test_split

from retseg.build import load_config
from retseg.errors import InputError
from retseg.reproduction.read_run import on_image_grid, split_of_the_whole_set
from retseg.reproduction.tables import table_2
from tests.reproduction.finished import facts_of


@pytest.fixture
def copy(run_dir, tmp_path):
    """A copy of the run that a test may spoil."""
    shutil.copytree(run_dir, tmp_path / "copy", ignore=shutil.ignore_patterns("evaluation", "last.ckpt"))
    return tmp_path / "copy"


def test_facts_are_those_of_the_files(facts, run_dir):
    assert facts.metrics == json.loads((run_dir / "metrics.json").read_text())
    assert facts.weights_sha256 == facts.metrics["checkpoint"]["weights_sha256"]
    assert [row["epoch"] for row in facts.history] == ["0", "1"]
    with np.load(run_dir / "gradcam" / "epoch_002.npz") as arrays:
        np.testing.assert_array_equal(facts.cam.probabilities, arrays[f"{facts.cam.scan}/probabilities"])
    assert facts.cam.epoch == 2
    assert facts.cam.layers["conv2d_19"].module == "decoder1.relu2"
    assert facts.paper_net.num_parameters == 32_153_864
    assert facts.run_net.encoder_widths == (2, 4, 8, 16, 16)


def test_scans_are_opened_again(facts):
    scans = facts.scans
    assert (scans.num_images, scans.num_bscans, scans.num_subjects) == (8, 8, 4)
    assert (scans.shape, scans.dtype, scans.labels) == ((64, 96), "uint8", tuple(range(8)))
    assert [sample.image.shape for sample in scans.samples] == [(64, 96)] * 2
    assert [picture.prediction.shape for picture in scans.predicted] == [(64, 64)] * 2, "two scans validate"
    assert scans.seconds_per_scan > 0


def test_what_is_missing_is_named_with_the_command_that_makes_it(copy):
    shutil.rmtree(copy / "gradcam")
    config = load_config(copy)
    config.data.source = {"_target_": "retseg.data.sources.hdf5.Hdf5Source", "root": "nowhere"}
    OmegaConf.save(config, copy / "config.yaml")
    found = facts_of(copy)
    commands = {missing.what: missing.command for missing in found.missing}
    assert found.cam is None
    assert found.scans is None
    assert found.seconds_per_scan is None
    assert commands["evaluation"] == f"retseg evaluate {copy}"
    assert "callbacks.gradcam=null" in commands["gradcam"]
    assert "nowhere" in commands["scans"]
    assert "sweep=ablation" in commands["ablation"]


def test_evaluations_on_other_data_are_found_beside_the_runs_own(copy):
    for name in ("evaluation", "evaluation_hdf5"):
        (copy / name).mkdir()
        (copy / name / "metrics.json").write_text(json.dumps({"data": {"name": name}, "split": {"side": "test"}}))
    found = facts_of(copy)
    assert found.evaluation["data"]["name"] == "evaluation"
    assert [evaluation["data"]["name"] for evaluation in found.elsewhere] == ["evaluation_hdf5"]
    assert found.scored_side == "test"
    assert table_2(found).title.endswith("on the test set")


def test_damaged_numbers_are_refused_in_one_line(copy):
    (copy / "metrics.json").write_text("{")
    with pytest.raises(InputError, match=r"metrics\.json: not valid JSON"):
        facts_of(copy)
    (copy / "metrics.json").write_text("[1]")
    with pytest.raises(InputError, match=r"metrics\.json: list, expected a JSON object"):
        facts_of(copy)


def test_the_papers_split_of_the_whole_set_is_scikit_learns():
    split = split_of_the_whole_set()
    ordered = sorted([*split.train, *split.val])
    train, val = train_test_split(ordered, test_size=0.2, random_state=42)
    assert set(split.train) == set(train)
    assert set(split.val) == set(val)
    assert (len(split.shared_scans), len(split.shared_subjects)) == (38, 10)


def test_maps_are_enlarged_to_the_image():
    maps = np.arange(4, dtype=np.float32).reshape(1, 2, 2)
    assert on_image_grid(maps, (4, 6)).shape == (1, 4, 6)
