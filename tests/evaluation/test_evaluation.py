"""The whole of an evaluation: what it warns of, which scans are worst, and its files."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from retseg.anatomy import IGNORE, LAYER_NAMES
from retseg.bscan import Spacing
from retseg.evaluation.evaluation import Origin, ceiling_words, evaluate, measure_scans
from retseg.evaluation.output import read_metrics, write_numbers
from retseg.evaluation.temperature import fixed
from tests.evaluation.drawn import ONE_DEEPER, TRUTH, case, noisy

ORIGIN = Origin("a run", "subjects apart (2 held out)", "hand-drawn", "exact", *ceiling_words("exact"))


def evaluated(*cases):
    measured = measure_scans(cases, lambda one: one)
    return evaluate(measured, ORIGIN, fixed(len(cases), None, "no probabilities"), 50)


def test_what_a_reader_must_know_is_said():
    one = evaluated(case(spacing=Spacing()))
    assert one.unit == "px"
    assert "one subject: no interval can be given" in one.notices[0]
    assert "the pixel size is unknown: distances are in pixels (px)" in one.notices[1]
    prediction = TRUTH.copy()
    prediction[:, 0] = IGNORE
    nothing = TRUTH.copy()
    nothing[:, 1] = 0
    two = evaluated(
        case(prediction, second=TRUTH, name="a_b00_g1", subject="a"),
        case(prediction, second=TRUTH, name="a_b00_g2", subject="a"),
        case(nothing, name="b_b00_g1", subject="b", spacing=Spacing()),
    )
    said = " | ".join(two.notices)
    assert two.unit == "um"
    assert "the 3 scans are 2 B-scans, scored against each of their graders" in said
    assert "2 subjects: intervals are rough" in said
    assert "distances in um are of the 2 of 3 scans whose pixel size is known" in said
    assert "2 of 3 scans have second labels" in said
    assert "14 of 105 annotated pixels have no prediction" in said
    assert "surfaces not found are in no boundary error: up to 20 % of columns (ILM)" in said


def test_silver_labels_and_the_phantom_are_no_human_ceiling():
    assert ceiling_words("manual")[0] == "grader 1 vs 2"
    assert ceiling_words("manual")[1].startswith("human ceiling")
    assert all("NOT a human ceiling" in ceiling_words(origin)[1] for origin in ("silver", "exact"))
    assert "not known to be a human ceiling" in ceiling_words("unknown")[1]


def test_the_worst_scans_are_kept_worst_first_each_b_scan_once():
    rng = np.random.default_rng(0)
    cases = [case(noisy(rng, share), name=f"s01_b{i:02d}_g1") for i, share in enumerate((0.1, 0.9, 0.3, 0.6))]
    twice = replace(cases[1], name="s01_b01_g2")
    found = measure_scans([*cases, twice], lambda one: one).worst
    assert [one.name[:7] for one in found] == ["s01_b01", "s01_b03", "s01_b02"]


def test_nothing_annotated_anywhere_is_scored_as_nothing(tmp_path):
    found = evaluated(case(TRUTH, np.full_like(TRUTH, IGNORE)))
    assert found.worst == ()
    row = found.find("dice", "layers", "pooled_macro")
    assert np.isnan(row.value)
    write_numbers(found, tmp_path)
    assert read_metrics(tmp_path)["scores"][0]["value"] is None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of two scans, one of them a pixel too deep."""
    folder = tmp_path_factory.mktemp("numbers")
    found = evaluated(case(ONE_DEEPER, name="a_b00", subject="a"), case(name="b_b00", subject="b"))
    write_numbers(found, folder)
    return folder


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_files_are_whole_and_none_is_left_over(folder):
    names = {path.name for path in folder.iterdir()}
    assert names == {"metrics.json", "scores.csv", "scans.csv", "misclassification.csv"}


def test_json_and_csv_hold_the_same_rows(folder):
    metrics, rows = json.loads((folder / "metrics.json").read_text()), read(folder / "scores.csv")
    assert (metrics["num_scans"], metrics["num_subjects"], metrics["subjects"]) == (2, 2, ["a", "b"])
    assert metrics["stamp"] == ORIGIN.stamp
    assert len(rows) == len(metrics["scores"])
    for row, score in zip(rows, metrics["scores"], strict=True):
        assert (row["score"], row["of"], row["average"]) == (score["score"], score["of"], score["average"])
        assert row["value"] == ("" if score["value"] is None else str(score["value"]))
    named = " ".join(metrics["definitions"])
    assert all(score["score"].removeprefix("true_") in named for score in metrics["scores"])


def test_scans_have_a_row_a_layer_and_one_of_their_own(folder):
    rows = read(folder / "scans.csv")
    assert len(rows) == 2 * (len(LAYER_NAMES) + 2)
    nfl = next(row for row in rows if row["scan"] == "a_b00" and row["layer"] == "NFL")
    assert float(nfl["dice"]) == 0.5
    assert (nfl["unit"], nfl["upper_surface"], nfl["lower_surface"]) == ("um", "ILM", "NFL/GCL")
    assert float(nfl["upper_surface_mean_absolute"]) == 4
    assert float(nfl["thickness_mean_absolute"]) == 0
    assert nfl["islands"] == "0"
    absent = next(row for row in rows if row["scan"] == "a_b00" and row["layer"] == "INL")
    assert absent["dice"] == ""
    whole = next(row for row in rows if row["scan"] == "a_b00" and row["layer"] == "scan")
    assert (whole["order_violations"], whole["dice"]) == ("0", "0.5")


def test_wrong_pixels_are_counted_by_distance_neighbour_and_place(folder):
    found = json.loads((folder / "metrics.json").read_text())["misclassification"]
    assert found["by_distance"][0] == {"from_px": 0, "to_px": 1, "wrong": 15, "pixels": 60, "share_wrong": 0.25}
    assert found["by_distance"][-1]["to_px"] is None
    assert sum(map(sum, found["error_map"]["wrong"])) == 15
    assert found["neighbours"]["OS-RPE"]["num_wrong"] == 5
    assert found["over_and_under"]["NFL"] == {"over": 0.25, "under": 0.25}
    assert found["worst_scans"][0] == {"scan": "a_b00", "mean_layer_dice": 0.5}
    kinds = {row["kind"] for row in read(folder / "misclassification.csv")}
    assert kinds == {"by_distance", "went_to", "segmentation", "error_map"}
