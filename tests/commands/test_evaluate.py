"""`retseg evaluate` as it is typed, on a run that was really trained."""

import csv
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml

from retseg.anatomy import LAYER_NAMES
from retseg.commands.evaluate import ensure_evaluated, evaluate_run, pool_evaluations
from retseg.data.sources.hdf5_convert import convert
from retseg.data.sources.phantom import PhantomSource
from retseg.errors import InputError
from tests.commands.trained import train_in

PHANTOM = {"num_subjects": 4, "bscans_per_subject": 2, "height": 64, "width": 96}
FILES = {"metrics.json", "scores.csv", "scans.csv", "misclassification.csv", "network.npz"}
FOLDERS = {"predictions", "truth", "second", "figures"}


@pytest.fixture(scope="module")
def evaluated(trained_run, tmp_path_factory):
    """A copy of the run, evaluated by the command itself, and what the command printed."""
    run = tmp_path_factory.mktemp("evaluated") / "run"
    shutil.copytree(trained_run, run)
    command = [sys.executable, "-m", "retseg", "evaluate", str(run)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return run, done.stdout


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def score(content, name, of, average):
    return next(row for row in content["scores"] if (row["score"], row["of"], row["average"]) == (name, of, average))


def test_folder_is_whole(evaluated):
    run, _ = evaluated
    assert {path.name for path in (run / "evaluation").iterdir()} == FILES | FOLDERS
    figures = {path.name for path in (run / "evaluation" / "figures").iterdir()}
    names = ("scores", "errors_by_distance", "error_map", "over_and_under", "reliability", "worst_scans")
    assert figures == {f"{name}.{ending}" for name in names for ending in ("png", "pdf")}


def test_papers_scores_are_those_that_training_wrote(evaluated):
    run, _ = evaluated
    trained, found = metrics(run)["val"]["scores"], metrics(run / "evaluation")
    for name in ("accuracy", "dice_micro_soft", "iou_micro_soft"):
        value = score(found, f"paper_{name}", "classes", "pooled_micro")["value"]
        assert value == pytest.approx(trained[name], abs=1e-6)
    for layer in LAYER_NAMES:
        value = score(found, "paper_recall", layer, "pooled")["value"]
        assert value == pytest.approx(trained[f"accuracy/{layer}"], abs=1e-6)


def test_screen_says_what_a_score_is_worth(evaluated):
    run, screen = evaluated
    assert f"{run}, checkpoint best" in screen
    assert "phantom, labels exact: 8 scans of 2 subjects, val scans of split subject_holdout" in screen
    assert "the 8 scans are 4 B-scans, scored against each of their graders" in screen
    assert metrics(run / "evaluation")["stamp"] in screen
    assert "subjects apart" in screen
    assert "95 % interval over 2 subjects" in screen
    assert "2 subjects: intervals are rough" in screen
    assert "made-up grader 2" in screen
    assert "NOT a human ceiling" in screen
    assert "in um, on the scan's own grid" in screen
    assert "the checkpoint was chosen on these validation scans" in screen
    for average in ("pooled_micro", "pooled_macro", "mean_over_scans", "mean_over_subjects"):
        assert f"  {average}: " in screen, "each average is defined where it is printed"
    assert all(name in screen for name in LAYER_NAMES)
    assert "figures to open: error_map.png" in screen


def test_scans_are_rows_of_a_table(evaluated):
    run, _ = evaluated
    with (run / "evaluation" / "scans.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8 * 9
    assert {row["scan"] for row in rows} == {f"s0{s}_b0{b}_g{g}" for s in (2, 3) for b in (0, 1) for g in (1, 2)}


def test_scored_again_needs_no_data_and_gives_the_same_to_the_last_digit(own_run, tmp_path):
    """The data is gone, and its reader too: the saved predictions are all there is."""
    data = tmp_path / "data"
    convert(PhantomSource(**PHANTOM, num_graders=2), data)
    config = yaml.safe_load((own_run / "config.yaml").read_text())
    config["data"]["source"] = {"_target_": "retseg.data.sources.hdf5.Hdf5Source", "root": str(data)}
    (own_run / "config.yaml").write_text(yaml.safe_dump(config))
    evaluate_run(own_run, quiet=True, figures=False)
    names = ("metrics.json", "scores.csv", "scans.csv", "misclassification.csv")
    before = {name: (own_run / "evaluation" / name).read_bytes() for name in names}
    shutil.rmtree(data)
    evaluate_run(own_run, quiet=True, figures=False)
    assert {name: (own_run / "evaluation" / name).read_bytes() for name in names} == before
    with pytest.raises(InputError, match=r"no .h5 file here"):
        evaluate_run(own_run, quiet=True, fresh=True)


def test_other_weights_are_predicted_anew(own_run):
    evaluate_run(own_run, quiet=True, figures=False)
    first = metrics(own_run / "evaluation")["checkpoint"]["weights_sha256"]
    shutil.copy(own_run / "checkpoints" / "last.ckpt", own_run / "checkpoints" / "best.ckpt")
    evaluation, folder = evaluate_run(own_run, checkpoint="last", quiet=True, figures=False)
    assert folder.name == "evaluation_last"
    last = evaluation.origin.checkpoint["weights_sha256"]
    evaluate_run(own_run, quiet=True, figures=False)
    assert metrics(own_run / "evaluation")["checkpoint"]["weights_sha256"] == last
    assert isinstance(first, str)


def test_the_side_that_trained_says_so_and_takes_the_temperature_of_validation(own_run):
    evaluation, folder = evaluate_run(own_run, side="train", quiet=True, figures=False)
    assert folder.name == "evaluation_train"
    assert evaluation.origin.stamp.startswith("scored on the scans that trained; ")
    assert evaluation.scaling.fitted_on == "the run's validation scans"
    of_val, _ = evaluate_run(own_run, quiet=True, figures=False)
    assert evaluation.scaling.overall == of_val.scaling.overall
    assert all(index == of_val.scaling.overall for index in evaluation.scaling.of_scans)


def test_other_data_is_scored_on_all_its_scans(own_run, tmp_path, retseg):
    other = PhantomSource(**PHANTOM | {"num_subjects": 3}, seed=5)
    other.name = "another phantom"
    convert(other, tmp_path / "other")
    code, screen, _ = retseg("evaluate", own_run, "--data", "hdf5", "--data", f"root={tmp_path / 'other'}")
    assert code == 0
    found = metrics(own_run / "evaluation_hdf5")
    assert found["num_scans"] == 6
    assert found["stamp"].startswith("all scans of another phantom; subjects not known to be apart")
    assert "(3 of 3 have the name of one)" not in found["stamp"], "s02 and s03 were held out"
    assert found["stamp"] in " ".join(screen.split())
    assert found["calibration"]["fitted_on"] == "the run's validation scans"
    assert found["calibration"]["temperature"] is not None


def test_data_that_moved_is_scored_on_the_runs_own_split(own_run, tmp_path):
    convert(PhantomSource(**PHANTOM, num_graders=2), tmp_path / "moved")
    found, folder = evaluate_run(
        own_run, data=("hdf5", f"root={tmp_path / 'moved'}"), output=tmp_path / "out", quiet=True, figures=False
    )
    own, _ = evaluate_run(own_run, quiet=True, figures=False)
    assert folder == tmp_path / "out"
    assert [record.name for record in found.records] == [record.name for record in own.records]
    assert repr(found.scores) == repr(own.scores), "nan equals nan in words"


def test_a_protocol_scores_its_columns_and_is_named(own_run, retseg):
    split = json.loads((own_run / "split.json").read_text())
    split["protocol"] = {"source": "Nobody 2020", "columns": [10, 30], "surfaces": "all 8", "scale": "3.87 um"}
    (own_run / "split.json").write_text(json.dumps(split))
    code, screen, _ = retseg("evaluate", own_run, "--no-figures")
    assert code == 0
    assert "protocol: Nobody 2020: columns 10 to 29; surfaces: all 8" in screen
    with np.load(next((own_run / "evaluation" / "truth").glob("*.npz"))) as truth:
        assert np.flatnonzero((truth["mask"] >= 0).any(axis=0)).tolist() == list(range(10, 30))


def test_the_audits_stamp_goes_beside_every_score(own_run):
    (own_run / "audit.json").write_text(json.dumps({"stamp": "leaky: 3 of 8 are also in training"}))
    found, folder = evaluate_run(own_run, quiet=True, figures=False)
    assert found.origin.stamp == "leaky: 3 of 8 are also in training"
    assert metrics(folder)["stamp"] == found.origin.stamp


def test_folds_are_pooled_by_subject(trained_run, tmp_path):
    other = train_in(tmp_path / "other", "split.subjects=[1,4]")
    first = shutil.copytree(trained_run, tmp_path / "first")
    pooled = pool_evaluations([first, other], tmp_path / "evaluation", quiet=True)
    assert pooled.subjects == ("s01", "s02", "s03", "s04")
    assert len(pooled.records) == 16
    confusion = sum(record.confusion for record in pooled.records)
    apart = [evaluate_run(run, quiet=True, figures=False)[0] for run in (first, other)]
    assert (confusion == sum(record.confusion for found in apart for record in found.records)).all()
    assert metrics(tmp_path / "evaluation")["num_subjects"] == 4
    with pytest.raises(InputError, match=r"scan s02_b00_g1 is also in .*first"):
        pool_evaluations([first, shutil.copytree(first, tmp_path / "again")], tmp_path / "twice", quiet=True)


def test_an_evaluation_is_made_once(own_run):
    folder = ensure_evaluated(own_run)
    written = (folder / "metrics.json").stat().st_mtime_ns
    assert ensure_evaluated(own_run) == folder
    assert (folder / "metrics.json").stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--checkpoint", "last", "--data", "nothing=1"), "--data nothing: no such option; this source has num_subj"),
        (("--data", "ducks"), "data=ducks: no such choice"),
        (("--data", "duke", "--data", "hdf5"), "two sets of data"),
        (("--data", "hdf5", "--data", "root=no/where"), "no/where: no .h5 file here"),
        (("--on", "test"), "--on test: the run's split has no such scans; it has train, val"),
    ],
)
def test_wrong_options_are_one_line_and_exit_code_2(trained_run, tmp_path, retseg, options, message):
    code, _, errors = retseg("evaluate", trained_run, *options, "-o", tmp_path / "out")
    assert code == 2
    assert message in errors
    assert errors.startswith("retseg: ")
    assert errors.count("\n") == 1


def break_run(run, how):
    """Damage a run folder."""
    if how == "no run":
        shutil.rmtree(run)
    elif how == "no checkpoint":
        (run / "checkpoints" / "best.ckpt").unlink()
    elif how == "truncated":
        os.truncate(run / "checkpoints" / "best.ckpt", 1000)
    elif how == "another network":
        config = (run / "config.yaml").read_text()
        (run / "config.yaml").write_text(config.replace("width: 2\n", "width: 3\n"))
    elif how == "half-trained":
        (run / "metrics.json").unlink()
    elif how == "no config":
        (run / "config.yaml").unlink()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no run", "no such folder"),
        ("no config", "no config.yaml here"),
        ("no checkpoint", "best.ckpt: no such checkpoint"),
        ("truncated", "best.ckpt: cut off, or damaged at its end; take it from a copy, or train again"),
        ("another network", "best.ckpt: weights of another network than that of"),
        ("half-trained", "training has not finished; go on with `python -m retseg.train resume="),
    ],
)
def test_broken_runs_are_one_line_and_exit_code_2(own_run, retseg, how, message):
    break_run(own_run, how)
    code, _, errors = retseg("evaluate", own_run)
    assert code == 2
    assert message in errors
    assert errors.count("\n") == 1


def test_damaged_predictions_are_told(own_run, retseg):
    assert retseg("evaluate", own_run, "-q", "--no-figures")[:2] == (0, "")
    (own_run / "evaluation" / "truth" / "s02_b00_g1.npz").unlink()
    code, _, errors = retseg("evaluate", own_run, "-q")
    assert code == 2
    assert "s02_b00_g1.npz: no such file" in errors
    assert retseg("evaluate", own_run, "-q", "--no-figures", "--fresh")[0] == 0
