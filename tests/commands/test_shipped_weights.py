"""The weights that come with retseg: whole, small, of nothing real, useful at once, and to be made again."""

import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning import seed_everything
from omegaconf import OmegaConf
from PIL import Image

from retseg.anatomy import NUM_CLASSES
from retseg.bscan import Spacing
from retseg.build import build_data, build_run
from retseg.commands.config_folder import compose_config
from retseg.commands.open_network import open_scan_network
from retseg.commands.training import EXPECTED_WARNINGS
from retseg.data.sources.phantom import PhantomSource
from retseg.geometry.surfaces import paint_mask
from retseg.inference.members import members_of
from retseg.inference.predictor import ScanPredictor
from retseg.inference.shipped import shipped_weights
from retseg.metrics.overlap import confusion_matrix, dice

LARGEST_BYTES = 4_000_000
FOLDER = shipped_weights().parent


@pytest.fixture(scope="module")
def record():
    return json.loads((FOLDER / "zero_shot.json").read_text())


def test_the_file_is_the_one_that_is_described(record):
    content = shipped_weights().read_bytes()
    assert hashlib.sha256(content).hexdigest() == record["file_sha256"]
    assert len(content) <= LARGEST_BYTES
    network = open_scan_network(shipped_weights())
    assert network.card.sha256 == record["weights_sha256"]
    assert (network.card.data_name, network.card.label_origin) == ("random phantom", "exact")
    assert network.card.is_of_any_scale
    assert record["file_sha256"] in (FOLDER / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize("is_known", [True, False])
def test_it_segments_phantoms_of_a_style_that_it_was_not_trained_on(is_known):
    """The look of one data set, on that set's grid; with and without the size of its pixels."""
    source = PhantomSource(num_subjects=2, bscans_per_subject=4, seed=11)
    predictor = ScanPredictor(members_of([open_scan_network(shipped_weights())], 1, 0))
    total = torch.zeros(NUM_CLASSES, NUM_CLASSES, dtype=torch.long)
    errors = []
    for key in source.keys:
        scan = source.read(key)
        rows = predictor.answer(scan.image, scan.spacing if is_known else Spacing()).rows
        found, truth = (np.maximum(paint_mask(r, scan.shape[0]), 0) for r in (rows, scan.surface_rows))
        total += confusion_matrix(torch.from_numpy(found).long(), torch.from_numpy(truth).long(), NUM_CLASSES)
        errors.append(np.nanmean(np.abs(rows - scan.surface_rows)))
    assert float(dice(total)[1:].mean()) > 0.8
    assert np.mean(errors) < 2


def test_predict_needs_neither_run_nor_weights(retseg, tmp_path: Path):
    source = PhantomSource(num_subjects=1, bscans_per_subject=2, seed=3)
    Image.fromarray(source.read(source.keys[0]).image).save(tmp_path / "scan.png")
    code, told, _ = retseg("predict", tmp_path / "scan.png", "-o", tmp_path / "out", "--save", "mask,surfaces")
    assert code == 0
    assert "zero_shot" in told
    mask = np.asarray(Image.open(tmp_path / "out" / "scan_mask.png"))
    assert set(np.unique(mask)) == set(range(NUM_CLASSES))


def test_the_first_epoch_of_its_training_comes_out_as_it_did(record, tmp_path: Path):
    """About a minute. Other processors round otherwise, so numbers agree to a hundredth."""
    config = compose_config([*record["options"], f"paths.run_dir={tmp_path}", "logger=csv", "evaluate=false"])
    OmegaConf.update(config, "trainer.max_steps", config.trainer.limit_train_batches, force_add=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    seed_everything(config.seed, workers=True, verbose=False)
    run = build_run(config, build_data(config))
    with warnings.catch_warnings():
        for message in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        try:
            run.trainer.fit(run.module, datamodule=run.data)
        finally:
            torch.use_deterministic_algorithms(False)
    seen = {name: float(run.trainer.callback_metrics[name]) for name in record["first_epoch"]}
    assert seen == pytest.approx(record["first_epoch"], abs=0.01)
