"""`retseg compare` as it is typed."""

import csv
import json
import shutil

import pytest

from retseg.commands.evaluate import evaluate_run
from tests.commands.trained import train_in


@pytest.fixture(scope="module")
def two_runs(trained_run, tmp_path_factory):
    """The run, evaluated, and another of one epoch that was not."""
    folder = tmp_path_factory.mktemp("runs")
    shutil.copytree(trained_run, folder / "two_epochs")
    evaluate_run(folder / "two_epochs", quiet=True, figures=False)
    train_in(folder / "one_epoch", "trainer.max_epochs=1")
    return folder / "two_epochs", folder / "one_epoch"


def test_runs_are_compared_with_the_first_and_evaluated_if_need_be(two_runs, tmp_path, retseg):
    code, screen, _ = retseg("compare", *two_runs, "-o", tmp_path)
    assert code == 0
    assert (two_runs[1] / "evaluation" / "metrics.json").is_file()
    assert "8 scans of 2 subject(s) that all runs have scored; differences to two_epochs" in screen
    assert "with 2 subjects p cannot fall below 0.5" in " ".join(screen.split())
    with (tmp_path / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    dice = {row["run"]: float(row["value"]) for row in rows if (row["score"], row["of"]) == ("dice", "layers")}
    for run in two_runs:
        found = json.loads((run / "evaluation" / "metrics.json").read_text())["scores"]
        key = ("dice", "layers", "mean_over_subjects")
        row = next(row for row in found if (row["score"], row["of"], row["average"]) == key)
        assert dice[run.name] == pytest.approx(row["value"])
    difference = next(row for row in rows if row["run"] == "one_epoch" and row["of"] == "layers")
    assert float(difference["difference"]) == pytest.approx(dice["one_epoch"] - dice["two_epochs"])


def test_an_evaluation_folder_and_a_sweep_of_folds_are_runs_too(two_runs, tmp_path, retseg):
    sweep = tmp_path / "sweep"
    shutil.copytree(two_runs[0], sweep / "fold0")
    code, screen, _ = retseg("compare", two_runs[0] / "evaluation", sweep)
    assert code == 0
    assert (sweep / "evaluation" / "metrics.json").is_file()
    assert "0.000 [0.000, 0.000]" in screen, "the same network"


def test_other_labels_are_warned_of(two_runs, tmp_path, retseg):
    other = tmp_path / "other"
    shutil.copytree(two_runs[0] / "evaluation", other)
    content = json.loads((other / "metrics.json").read_text())
    content["data"]["label_origin"] = "silver"
    (other / "metrics.json").write_text(json.dumps(content))
    _, screen, _ = retseg("compare", two_runs[0], other)
    assert "scored on label_origin silver" in screen


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{first}"], "one run; name two or more"),
        (["{first}", "{first}"], "the same run twice"),
        (["{first}", "nowhere"], "nowhere: no such folder"),
        (["{first}", "{empty}"], "no run, evaluation or sweep folder"),
    ],
)
def test_wrong_runs_are_one_line_and_exit_code_2(two_runs, tmp_path, retseg, arguments, message):
    (tmp_path / "empty").mkdir()
    places = {"first": two_runs[0], "empty": tmp_path / "empty"}
    code, _, errors = retseg("compare", *(argument.format(**places) for argument in arguments))
    assert code == 2
    assert message in errors
    assert errors.count("\n") == 1
