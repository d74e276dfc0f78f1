"""Tables 1 to 3 hold the paper's printed values and the run's own."""

import csv
import io
import json
from dataclasses import replace

import pytest

from retseg.anatomy import CLASS_NAMES
from retseg.reproduction.tables import comparison_tables, table_1, table_2, table_3


def test_table_1_has_the_runs_scores_beside_the_papers(facts, run_dir):
    rows = {row[0]: row[1:] for row in table_1(facts).rows}
    scores = json.loads((run_dir / "metrics.json").read_text())
    ours = [f"{scores[side]['scores']['dice_micro_soft']:.4f}" for side in ("train", "val")]
    assert rows["Dice, micro soft"] == ("0.9445", "0.9446", *ours)
    assert rows["loss"][:2] == ("0.1359", "0.1354")


def test_table_2_prefers_the_papers_own_definition(facts):
    pooled = table_2(replace(facts, evaluation=None))
    assert "pooled over pixels, as it was not evaluated yet" in pooled.notes[0]
    rows = [
        {"score": "paper_iou_per_scan", "of": n, "average": "mean_over_scans", "value": k / 10}
        for k, n in enumerate(CLASS_NAMES)
    ]
    rows += [{"score": "paper_recall", "of": n, "average": "pooled", "value": None} for n in CLASS_NAMES]
    table = table_2(replace(facts, evaluation={"scores": rows}))
    assert table.rows[3] == ("3 INL", "0.71", "0.30", "85.2", "absent")
    assert table.rows[-2] == ("mean of 8 classes", "0.820", "0.350", "90.7", "absent")
    assert table.rows[-1][:3] == ("mean of 7 layers", "0.796", "0.400")


def test_table_3_has_both_layers_by_class(facts):
    table = table_3(facts)
    assert table.columns[3:] == tuple(map(str, range(8)))
    found = {row[:3]: row[3:] for row in table.rows}
    assert found["conv2d_20", "alpha, mean over channels", "run"] == ("0.125",) * 8
    assert found["conv2d_20", "mean of the map", "paper"][0] == "0.641"
    assert found["conv2d_19", "alpha, mean over channels", "paper"][1] == "-2.06e-04"
    raw_max = facts.cam.layers["conv2d_19"].raw_max
    assert found["conv2d_19", "maximum before division", "run"] == tuple(f"{value:.3f}" for value in raw_max)


def test_without_maps_the_papers_rows_stay(facts):
    found = {row[:3]: row[3:] for row in table_3(replace(facts, cam=None)).rows}
    assert found["conv2d_19", "mean of the map", "run"] == ("-",) * 8
    assert len(found) == 12


@pytest.mark.parametrize("number", [0, 1, 2])
def test_csv_reads_back_as_the_table(facts, number):
    table = comparison_tables(facts)[number]
    assert table.name == f"table{number + 1}"
    read = list(csv.reader(io.StringIO(table.csv())))
    assert read == [list(table.columns), *map(list, table.rows)]
