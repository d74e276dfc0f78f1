"""`retseg evaluate` on a run whose network seeks fluid beside the layers."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml

from retseg.bscan import ScanKey
from retseg.commands.evaluate import evaluate_run, pool_evaluations
from retseg.data.sources.hdf5_convert import convert
from retseg.data.sources.phantom import PhantomSource
from retseg.evaluation.store import read_npz
from retseg.metrics.fluid import dice, fluid_counts
from tests.commands.trained import WITH_FLUID, train_in

PHANTOM = {"num_subjects": 4, "bscans_per_subject": 2, "height": 64, "width": 96}
FLUID_FILES = {"fluid_scores.csv", "fluid_scans.csv", "fluid_subjects.csv"}


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_fluid_is_scored_beside_the_layers(own_fluid_run, retseg):
    code, screen, errors = retseg("evaluate", own_fluid_run)
    assert (code, errors) == (0, "")
    folder = own_fluid_run / "evaluation"
    assert {path.name for path in folder.iterdir()} >= FLUID_FILES
    section = metrics(folder)["fluid"]
    assert (section["label_origin"], section["bscan_distance_um"]) == ("exact", 492.0)
    assert section["num_scans"] == 8
    assert "Fluid, labels exact: 8 scans of 2 subjects" in screen
    for words in ("Dice, pooled over all pixels", "precision: half covered", "second grader", "limits of agreement"):
        assert words in screen
    assert "a part of the eye's fluid unless all its B-scans are scored" in " ".join(screen.split())
    assert "Printed by others" not in screen

    saved = [read_npz(folder / kind / "s02_b00_g1.npz")["fluid"] for kind in ("predictions", "truth")]
    with (folder / "fluid_scans.csv").open(newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["scan"] == "s02_b00_g1")
    assert float(row["dice"] or "nan") == pytest.approx(dice(fluid_counts(saved[0] == 1, saved[1])), nan_ok=True)
    drawn = PhantomSource(**PHANTOM).read(ScanKey(1, "s02", 0)).fluid
    assert np.array_equal(saved[1] == 1, drawn)


def test_weights_that_no_score_has_chosen_are_not_called_optimistic(own_fluid_run, trained_run, retseg):
    checkpoint = metrics(own_fluid_run)["checkpoint"]
    assert (checkpoint["epoch"], checkpoint["chosen_by"]) == (2, "last epoch: no score has chosen it")
    assert metrics(trained_run)["checkpoint"]["chosen_by"].startswith("lowest val/loss: scores on the same validation")
    screen = retseg("evaluate", own_fluid_run, "--no-figures")[1]
    assert "chosen on these validation scans" not in " ".join(screen.split())


def test_scored_again_needs_no_data_and_gives_the_same(own_fluid_run, tmp_path):
    data = tmp_path / "data"
    convert(PhantomSource(**PHANTOM, num_graders=2), data)
    config = yaml.safe_load((own_fluid_run / "config.yaml").read_text())
    config["data"]["source"] = {"_target_": "retseg.data.sources.hdf5.Hdf5Source", "root": str(data)}
    (own_fluid_run / "config.yaml").write_text(yaml.safe_dump(config))
    evaluate_run(own_fluid_run, quiet=True, figures=False)
    names = ("metrics.json", *FLUID_FILES)
    before = {name: (own_fluid_run / "evaluation" / name).read_bytes() for name in names}
    shutil.rmtree(data)
    evaluate_run(own_fluid_run, quiet=True, figures=False)
    assert {name: (own_fluid_run / "evaluation" / name).read_bytes() for name in names} == before


def test_data_without_fluid_say_so(own_fluid_run, tmp_path, retseg):
    class WithoutFluid(PhantomSource):
        name = "another phantom"

        def read(self, key):
            return replace(super().read(key), fluid=None)

    other = tmp_path / "other"
    convert(WithoutFluid(**PHANTOM, seed=3), other)
    code, screen, _ = retseg("evaluate", own_fluid_run, "--no-figures", "--data", "hdf5", "--data", f"root={other}")
    assert code == 0
    assert "fluid is not scored: nobody looked for it in these scans" in " ".join(screen.split())
    assert metrics(own_fluid_run / "evaluation_hdf5")["fluid"]["scores"] == []


@pytest.mark.slow
def test_folds_are_pooled_with_their_fluid(fluid_run, tmp_path):
    other = train_in(tmp_path / "other", "split.subjects=[1,4]", base=WITH_FLUID)
    first = shutil.copytree(fluid_run, tmp_path / "first")
    pooled = pool_evaluations([first, other], tmp_path / "evaluation", quiet=True).fluid
    apart = [evaluate_run(run, quiet=True, figures=False)[0].fluid for run in (first, other)]
    counts = sum(scan.record.counts for fluid in apart for scan in fluid.scans)
    assert len(pooled.scans) == 16
    assert pooled.find("dice", "fluid", "pooled").value == pytest.approx(float(dice(counts)))
