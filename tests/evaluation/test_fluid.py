"""From cases with fluid to the tables of an evaluation, its section in metrics.json and its files."""

import csv
import json

import numpy as np
import pytest

from retseg.anatomy import IGNORE
from retseg.bscan import Spacing
from retseg.data.sources.phantom import PhantomSource
from retseg.evaluation.evaluation import Origin, ceiling_words, evaluate, measure_scans
from retseg.evaluation.fluid import FluidOrigin
from retseg.evaluation.fluid_protocols import published
from retseg.evaluation.fluid_record import FluidCase
from retseg.evaluation.output import write_numbers
from retseg.evaluation.temperature import fixed
from tests.evaluation.drawn import TRUTH, case

ORIGIN = FluidOrigin("manual", 123.0, "a ruler")
DRAWN = np.where(TRUTH == 7, 1, 0).astype(np.int8)
"""Ten pixels of 4 um x 10 um: 4e-4 mm2, a slab of 4.92e-5 mm3."""
NOBODY = np.full(TRUTH.shape, IGNORE, np.int8)


def evaluated(fluids, origin=ORIGIN, data_name="hand-drawn", split=None, spacing=None):
    """An evaluation of scans with these fluids, two a subject."""
    names = [f"s{i // 2:02d}_b{i:02d}_g1" for i in range(len(fluids))]
    cases = {n: case(name=n, subject=n[:3], fluid=f, spacing=spacing) for n, f in zip(names, fluids, strict=True)}
    about = Origin("a run", "apart", data_name, "silver", *ceiling_words("silver"), split=split or {}, fluid=origin)
    return evaluate(measure_scans(names, cases.__getitem__), about, fixed(len(names), None, "nothing"), 100)


def read_rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_subjects_volumes_and_agreement_by_hand():
    all_of_it, half = DRAWN == 1, (DRAWN == 1) & (np.arange(5) < 2.5)[None]  # ten and six pixels
    fluid = evaluated([FluidCase(all_of_it, DRAWN), FluidCase(half, DRAWN), *[FluidCase(all_of_it, DRAWN)] * 2]).fluid
    slab = 4.92e-5
    assert [volume.true_mm3 for volume in fluid.volumes] == pytest.approx([2 * slab, 2 * slab])
    assert [volume.found_mm3 for volume in fluid.volumes] == pytest.approx([1.6 * slab, 2 * slab])
    assert fluid.agreement.bias == pytest.approx(-0.2 * slab)
    assert fluid.agreement.num == 2
    assert fluid.find("dice", "fluid", "pooled").value == pytest.approx(2 * 36 / (2 * 36 + 4))
    assert fluid.find("dice", "layers", "pooled") is None
    assert any("each as a slab of 123 um (a ruler): a part of the eye's" in line for line in fluid.notices)


def test_what_is_in_no_score_is_told():
    some = [FluidCase(DRAWN == 1, DRAWN, num_outside=10), FluidCase(DRAWN == 1, NOBODY)]
    notices = evaluated(some).fluid.notices
    assert "fluid is scored in 1 of 2 scans: in the others nobody looked for it" in notices
    assert any(line.startswith("10 of 20 px of true fluid (50 %) lie outside") for line in notices)
    assert (
        "the distance of B-scans is not known: no volume of fluid"
        in evaluated(some, FluidOrigin("manual")).fluid.notices
    )
    unknown = evaluated(some, spacing=Spacing()).fluid
    assert "the pixel size is not known: no volume of fluid" in unknown.notices
    assert unknown.agreement is None


def test_no_labels_give_no_scores_and_a_notice_and_no_fluid_gives_nothing():
    fluid = evaluated([FluidCase(DRAWN == 1, NOBODY)]).fluid
    assert (fluid.scores, fluid.scans) == ((), ())
    assert "nobody looked for it in these scans (for Duke files set data.source.fluid=true)" in fluid.notices[0]
    assert evaluated([None], origin=None).fluid is None


def test_who_drew_fluid_and_how_far_bscans_lie_apart():
    assert FluidOrigin.of_source(PhantomSource(bscan_spacing_um=50)) == FluidOrigin("exact", 50.0, "phantom")

    class Silver:
        name, label_origin = "Duke DME", "silver"

    duke = FluidOrigin.of_source(Silver())
    assert (duke.label_origin, duke.distance_um) == ("manual", 123.0), "fluid is a person's even beside silver layers"
    assert FluidOrigin.from_json(json.loads(json.dumps(duke.to_json()))) == duke

    class Other:
        name, label_origin = "anybody's", "unknown"

    assert FluidOrigin.of_source(Other()) == FluidOrigin("unknown", None, "")


def test_files_hold_all_of_it(tmp_path):
    found = evaluated([FluidCase(DRAWN == 1, DRAWN)] * 4, data_name="Duke DME", split={"rule": "he2019", "side": "val"})
    write_numbers(found, tmp_path)
    content = json.loads((tmp_path / "metrics.json").read_text())
    section = content["fluid"]
    assert content["data"]["fluid"] == ORIGIN.to_json()
    assert (section["label_origin"], section["threshold"], section["num_scans"]) == ("manual", 0.5, 4)
    assert [entry["dice"] for entry in section["published"]] == [0.70, 0.70, 0.56]
    assert section["agreement_mm3"]["bias"] == 0
    assert {row["subject"]: row["dice_pooled"] for row in section["subjects"]} == {"s00": 1, "s01": 1}
    rows = {name: read_rows(tmp_path / f"fluid_{name}.csv") for name in ("scores", "scans", "subjects")}
    assert [len(rows[name]) for name in ("scans", "subjects")] == [4, 2]
    assert rows["scans"][0]["drawn_mm2"] == "0.0004"
    pooled = next(row for row in rows["scores"] if (row["score"], row["average"]) == ("dice", "pooled"))
    assert (pooled["value"], pooled["of"]) == ("1.0", "fluid")
    told = {name for names in section["definitions"] for name in names.split(", ")}
    assert {row["score"] for row in section["scores"]} | {row["average"] for row in section["scores"]} <= told | {
        "count"
    }
    # the same folder without fluid keeps nothing of it
    write_numbers(evaluated([None] * 4, origin=None), tmp_path)
    assert "fluid" not in json.loads((tmp_path / "metrics.json").read_text())
    assert not list(tmp_path.glob("fluid_*"))


def test_printed_figures_stand_beside_the_split_and_side_that_they_are_of_alone():
    assert {entry.method for entry in published("Duke DME", "ynet", "test")} == {"Y-Net"}
    for other in (("phantom", "he2019", "val"), ("Duke DME", "he2019", "train"), ("Duke DME", "ynet", "val"),
                  ("Duke DME", "leave_one_subject_out", "val")):  # fmt: skip
        assert published(*other) == ()
