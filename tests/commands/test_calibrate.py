"""`retseg calibrate` as it is typed, on a run that was really trained, its split changed to hold out three."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner

from retseg.commands.calibrate import LEVELS, calibrate
from retseg.commands.calibration import Call, calibrate_runs, held_out_scans
from retseg.commands.calibration_report import tell_calibration
from retseg.commands.open_network import REFERENCE, open_scan_network
from retseg.commands.scored_run import open_run
from retseg.data.sources.hdf5_convert import convert
from retseg.data.sources.phantom import PhantomSource
from retseg.errors import InputError
from retseg.inference.intervals import find_intervals
from retseg.inference.members import members_of, mode_of
from retseg.inference.predictor import ScanPredictor

LEVEL = 0.8  # of 6 scans: 9 would be needed at 0.9


@pytest.fixture
def wide_run(own_run: Path) -> Path:
    """A run whose split holds out subjects 2, 3 and 4, 2 B-scans each, as two graders drew them."""
    split = json.loads((own_run / "split.json").read_text())
    split["val"] = [f"s0{s}_b0{b}_g{g}" for s in (2, 3, 4) for b in (0, 1) for g in (1, 2)]
    (own_run / "split.json").write_text(json.dumps(split))
    return own_run


def call(*runs: Path, **given: object) -> Call:
    return Call(**({"runs": runs, "levels": (LEVEL,), "quiet": True} | given))


def read(run: Path) -> dict:
    return json.loads((run / REFERENCE).read_text())


def test_a_calibrated_run_gives_intervals_to_its_network(wide_run, capsys):
    found = calibrate_runs(call(wide_run))
    assert found.written == (wide_run / REFERENCE,)
    network = open_scan_network(wide_run)
    intervals, notice = find_intervals(network.card.reference, mode_of([network]), LEVEL)
    assert notice == ""
    assert (intervals.num_scans, intervals.num_subjects, intervals.label_origin) == (6, 3, "exact")
    scan = PhantomSource(num_subjects=4, bscans_per_subject=2, height=64, width=96, seed=9).read(found.scans.keys[0])
    answer = ScanPredictor(members_of([network])).answer(scan.image, scan.spacing)
    half = intervals.half_widths(answer.sd, scan.spacing)
    known = np.isfinite(answer.rows).all(axis=0)
    assert half.shape == (11, 96)
    assert (half[:, known] > 0).all()
    assert read(wide_run)["training"]["num_scans"] == 6
    tell_calibration(found)
    screen = capsys.readouterr().out
    assert "1 network, 1 view: 6 val scans of 3 subjects, phantom, labels exact" in screen
    assert "80% intervals, um" in screen
    assert all(name in screen for name in ("GCL-IPL", "total retina", "coverage, columns"))
    assert "the checkpoint was chosen on these validation scans" in screen
    assert f"written to {wide_run / REFERENCE}" in screen


def test_each_b_scan_counts_once_with_its_first_grader(wide_run):
    keys = held_out_scans([open_run(wide_run)], None, ()).keys
    assert [key.name for key in keys] == [f"s0{s}_b0{b}_g1" for s in (2, 3, 4) for b in (0, 1)]


def test_modes_and_levels_stand_side_by_side_and_those_of_other_weights_go(wide_run):
    calibrate_runs(call(wide_run))
    first = read(wide_run)
    calibrate_runs(call(wide_run, views=2, levels=(LEVEL, 0.5)))
    found = [(entry["mode"]["words"], entry["level"]) for entry in read(wide_run)["intervals"]]
    assert found == [("1 network, 1 view", 0.8), ("1 network, 2 views", 0.8), ("1 network, 2 views", 0.5)]
    assert read(wide_run)["intervals"][0] == first["intervals"][0]
    calibrate_runs(call(wide_run))
    assert len(read(wide_run)["intervals"]) == 3
    shutil.copy(wide_run / "checkpoints" / "last.ckpt", wide_run / "checkpoints" / "best.ckpt")
    other = read(wide_run)
    other["intervals"] = [entry | {"mode": entry["mode"] | {"sha256s": ["f" * 64]}} for entry in other["intervals"]]
    (wide_run / REFERENCE).write_text(json.dumps(other))
    calibrate_runs(call(wide_run))
    assert len(read(wide_run)["intervals"]) == 1


def test_several_runs_are_one_ensemble_and_each_knows_it(wide_run, tmp_path):
    twin = Path(shutil.copytree(wide_run, tmp_path / "twin"))
    found = calibrate_runs(call(wide_run, twin))
    assert found.mode.words == "2 networks, 1 view"
    for run in (wide_run, twin):
        networks = [open_scan_network(run), open_scan_network(twin)]
        assert find_intervals(networks[0].card.reference, mode_of(networks), LEVEL)[0] is not None
        assert read(run)["training"]["num_subjects"] == 3


def test_runs_that_hold_out_other_scans_are_told(wide_run, tmp_path):
    twin = Path(shutil.copytree(wide_run, tmp_path / "twin"))
    split = json.loads((twin / "split.json").read_text())
    split["val"] = ["s01_b00_g1"]
    (twin / "split.json").write_text(json.dumps(split))
    with pytest.raises(
        InputError, match="no val scan is held out by all of them; give other labelled scans with --data"
    ):
        calibrate_runs(call(wide_run, twin))


def test_other_data_is_taken_whole(wide_run, tmp_path):
    other = PhantomSource(num_subjects=3, bscans_per_subject=3, height=64, width=96, seed=4)
    other.name = "clinic"
    convert(other, tmp_path / "data")
    found = calibrate_runs(call(wide_run, data=("hdf5", f"root={tmp_path / 'data'}")))
    assert len(found.scores) == 9
    (entry,) = read(wide_run)["intervals"]
    assert (entry["data_name"], entry["scans"]) == ("clinic", "all scans of clinic")
    assert not any("checkpoint was chosen" in notice for notice in found.notices)


def test_data_that_is_gone_is_told_and_leaves_the_reference(wide_run, tmp_path):
    calibrate_runs(call(wide_run))
    config = yaml.safe_load((wide_run / "config.yaml").read_text())
    config["data"]["source"] = {"_target_": "retseg.data.sources.hdf5.Hdf5Source", "root": str(tmp_path / "gone")}
    (wide_run / "config.yaml").write_text(yaml.safe_dump(config))
    before = read(wide_run)
    with pytest.raises(InputError, match=r"gone: no .h5 file here"):
        calibrate_runs(call(wide_run))
    assert read(wide_run) == before


def test_what_is_wrong_is_said_before_anything_is_predicted(trained_run, own_run, monkeypatch):
    monkeypatch.setattr("retseg.commands.calibration.predicted_scores", None)
    with pytest.raises(InputError, match="2 held-out subjects, intervals need 3"):
        calibrate_runs(call(trained_run))
    with pytest.raises(InputError, match="has no dropout to sample from"):
        calibrate_runs(call(trained_run, dropout=2))
    with pytest.raises(InputError, match="--views 99: expected 1 to 8"):
        calibrate_runs(call(trained_run, views=99))
    with pytest.raises(InputError, match="--on test: the run's split has no such scans"):
        calibrate_runs(call(trained_run, side="test"))
    (own_run / "metrics.json").unlink()
    with pytest.raises(InputError, match="training has not finished"):
        calibrate_runs(call(own_run))
    assert not (trained_run / REFERENCE).exists()


def test_a_damaged_reference_is_told(wide_run):
    (wide_run / REFERENCE).write_text('{"intervals": [{"level": 1}]}')
    with pytest.raises(InputError, match=r"reference.json: is damaged \(KeyError\('mode'\)\); delete it"):
        calibrate_runs(call(wide_run))


def test_as_it_is_typed(wide_run):
    app = typer.Typer()
    app.command()(calibrate)
    done = CliRunner().invoke(app, [str(wide_run), "-q", "--level", str(LEVEL), "--views", "2"])
    assert (done.exit_code, done.output) == (0, "")
    assert [entry["mode"]["words"] for entry in read(wide_run)["intervals"]] == ["1 network, 2 views"]
    assert [entry["level"] for entry in read(wide_run)["intervals"]] == [LEVEL]
    told = CliRunner().invoke(app, [str(wide_run), "--level", str(LEVEL)])
    assert told.exit_code == 0
    assert f"written to {wide_run / REFERENCE}" in told.output
    asked = CliRunner().invoke(app, ["--help"])
    assert "retseg calibrate runs/phantom/2026-01-31_10-00-00" in asked.output
    assert LEVELS == (0.9, 0.95)
