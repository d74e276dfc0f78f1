"""All 56 claims are judged, and none by heart: each verdict turns when what it rests on is changed."""

from dataclasses import replace

import numpy as np
import pytest

from retseg.reproduction.checklist import CLAIMS, judge_all
from retseg.reproduction.claim import Outcome
from retseg.reproduction.claims import data
from retseg.reproduction.paper_values import PAPER
from tests.reproduction.doctored import (
    SUBJECTS_APART,
    ablation,
    cam,
    cam_layer,
    changed,
    class_iou,
    confusion,
    duke,
    fields,
    leakage,
    one_hot,
    paper,
    put,
    table_1,
)

YES, NO, BY_DEFINITION, AGAINST, OPEN = Outcome

SQUARE = put("config", "data.size", [256, 256])
AREAS = np.diag(np.round(1000 * np.array(PAPER.mean_20)).astype(int))
NEXT_TO_EACH_OTHER = np.diag([1000, 500, 400, 90, 80, 300, 70, 60]) + np.eye(8, k=1, dtype=int) * 30
FAR_FROM_EACH_OTHER = np.diag([1000, 500, 400, 90, 80, 300, 70, 60]) + np.eye(8, k=4, dtype=int) * 30
AS_PRINTED = table_1(PAPER.accuracy, PAPER.dice, PAPER.iou, PAPER.loss)


def falling(history):
    return [{**row, "val/loss": str(1 / (n + 1)), "train/loss": str(1 / (n + 1))} for n, row in enumerate(history)]


def right(scans):
    return replace(scans, predicted=tuple(replace(p, prediction=p.truth) for p in scans.predicted))


def all_wrong(scans):
    return replace(scans, predicted=tuple(replace(p, prediction=(p.truth + 1) % 8) for p in scans.predicted))


def wrong_pixels(near, far):
    """An evaluation with so many wrong pixels within 2 px of a surface, and beyond."""
    rows = [{"from_px": 1, "to_px": 2, "wrong": near}, {"from_px": 24, "to_px": None, "wrong": far}]
    return {"scores": [], "misclassification": {"by_distance": rows}}


def without_a_decoder_layer(net):
    return replace(net, layers=tuple(layer for layer in net.layers if layer.path != "decoder3.conv2"))


TURNS = [
    ("P1", AGAINST, paper(num_volumes=10), OPEN),
    ("P1", AGAINST, changed(paper(num_volumes=10, num_images=8), duke()), YES),
    ("P2", OPEN, duke(), NO),
    ("P2", OPEN, changed(duke("silver"), fields(scans=lambda s: replace(s, shape=(216, 500)))), YES),
    ("P3", AGAINST, paper(num_layers=7), YES),
    ("P4", OPEN, duke(), NO),
    ("P5", OPEN, duke("silver"), YES),
    ("P6", OPEN, changed(duke(), confusion(AREAS)), YES),
    ("P6", OPEN, changed(duke(), confusion(np.eye(8, dtype=int))), NO),
    ("P7", YES, cam(image=lambda image: 255 * image + 1), NO),
    ("P8", NO, SQUARE, YES),
    ("P10", AGAINST, fields(paper_split=SUBJECTS_APART), YES),
    ("P11", YES, put("config", "augmentation", {"_target_": "retseg.data.augmentation.FlipShiftGain"}), NO),
    ("P12", NO, SQUARE, YES),
    ("P13", YES, paper(encoder_widths=(64, 128, 256, 512, 1024)), NO),
    ("P14", YES, paper(last_convolution="Conv2d_19"), NO),
    ("P15", AGAINST, lambda facts: replace(facts, paper_net=facts.indices_net), YES),
    ("P16", YES, lambda facts: replace(facts, paper_net=facts.indices_net), NO),
    ("P17", OPEN, ablation("hybrid", 0.01, 0.03), YES),
    ("P17", OPEN, ablation("hybrid", -0.01, 0.03), NO),
    ("P18", OPEN, ablation("dilated", 0.01, 0.03), YES),
    ("P19", YES, paper(input_size=(512, 512)), NO),
    ("P20", YES, fields(paper_net=without_a_decoder_layer), NO),
    ("P21", YES, cam(probabilities=lambda p: 2 * p), NO),
    ("P22", OPEN, ablation("deep", -0.005, 0.004), YES),
    ("P22", OPEN, ablation("deep", 0.02, 0.04), NO),
    ("P23", AGAINST, cam(probabilities=one_hot), YES),
    ("P24", BY_DEFINITION, paper(loss=(7058.0, 7058.0)), AGAINST),
    ("P25", BY_DEFINITION, paper(dice=(0.898, 0.898)), YES),
    ("P26", AGAINST, paper(section_3_6_weights=(1.0, 0.5)), YES),
    ("P27", BY_DEFINITION, paper(iou=(0.8948, 0.9)), AGAINST),
    ("P28", NO, fields(history=lambda rows: [{**row, "lr": "0.001"} for row in rows]), YES),
    ("P29", OPEN, ablation("batch_32", -0.1, -0.05), NO),
    ("P29", OPEN, ablation("batch_32", -0.1, 0.05), YES),
    ("P30", NO, put("config", "scheduler", {"_target_": "retseg.training.schedules.Plateau"}), YES),
    ("P31", AGAINST, paper(early_stopping_in_code=True), NO),
    ("P32", YES, put("metrics", "checkpoint.epoch", 99), NO),
    ("P33", YES, fields(history=lambda rows: [{**row, "val/accuracy": ""} for row in rows]), NO),
    ("P34", NO, fields(files=lambda files: files | {"tensorboard/events"}), YES),
    ("P35", NO, changed(put("environment", "gpus", ["Tesla P100-PCIE"]), put("environment", "python", "3.10.12")), YES),
    ("P36", OPEN, changed(duke(), fields(history=falling)), YES),
    ("P36", OPEN, changed(duke(), fields(history=lambda rows: falling(rows)[::-1])), NO),
    ("P37", OPEN, changed(duke(), AS_PRINTED), YES),
    ("P37", OPEN, duke(), NO),
    ("P38", OPEN, changed(duke(), fields(scans=right)), YES),
    ("P38", OPEN, changed(duke(), fields(scans=all_wrong)), NO),
    ("P39", OPEN, changed(duke(), confusion(NEXT_TO_EACH_OTHER), fields(evaluation=None)), YES),
    ("P39", OPEN, changed(duke(), confusion(FAR_FROM_EACH_OTHER), fields(evaluation=None)), NO),
    ("P39", OPEN, changed(duke(), confusion(NEXT_TO_EACH_OTHER), fields(evaluation=wrong_pixels(8, 2))), YES),
    ("P39", OPEN, changed(duke(), confusion(NEXT_TO_EACH_OTHER), fields(evaluation=wrong_pixels(2, 8))), NO),
    ("P40", AGAINST, paper(strong_iou=0.8), OPEN),
    ("P40", AGAINST, changed(paper(strong_iou=0.8), duke(), class_iou(PAPER.class_iou)), YES),
    ("P41", OPEN, changed(duke(), class_iou(PAPER.class_iou)), YES),
    ("P41", OPEN, changed(duke(), class_iou([0.5] * 8)), NO),
    ("P42", AGAINST, paper(precision_recall_from_hard_labels=False), YES),
    ("P43", AGAINST, paper(alpha_19=(1e-5, -1e-5) * 4), YES),
    ("P43", AGAINST, changed(paper(alpha_19=(1e-5, -1e-5) * 4), cam_layer("conv2d_19", weights=np.abs)), NO),
    ("P44", YES, cam_layer("conv2d_20", raw=lambda raw: raw + 0.1), NO),
    ("P45", AGAINST, paper(score_in_code="sum"), YES),
    ("P46", YES, cam(layers=lambda layers: {"conv2d_19": layers["conv2d_19"]}), NO),
    ("P47", BY_DEFINITION, paper(alpha_20=(0.2,) * 8), AGAINST),
    ("P47", BY_DEFINITION, cam_layer("conv2d_20", weights=lambda w: w + 0.1), AGAINST),
    ("P48", BY_DEFINITION, paper(max_19=(0.9,) * 8), AGAINST),
    ("P49", BY_DEFINITION, paper(mean_20=PAPER.mean_19), AGAINST),
    ("P50", AGAINST, paper(weak_class_in_figure_6=3), YES),
    ("P51", YES, fields(files=frozenset()), NO),
    ("P52", BY_DEFINITION, cam_layer("conv2d_20", normalised=lambda maps: maps[..., ::-1].copy()), NO),
    ("P53", OPEN, leakage(0.01, 0.05), AGAINST),
    ("P53", OPEN, ablation("ce", -0.01, 0.05), NO),
    ("P53", OPEN, fields(seconds_per_scan=100.0), NO),
    ("P54", OPEN, changed(*(ablation(name, 0.01, 0.02) for name in ("class_weights", "focal", "augmented"))), YES),
    ("P54", OPEN, changed(*(ablation(name, -0.01, 0.02) for name in ("class_weights", "focal", "augmented"))), NO),
    (
        "P54",
        OPEN,
        changed(*(ablation(name, 0.01, 0.02, p=0.2) for name in ("class_weights", "focal", "augmented"))),
        NO,
    ),
    ("P56", YES, fields(weights_sha256="0" * 64), NO),
]


def verdict_of(facts, id_):
    return next(claim for claim in CLAIMS if claim.id == id_).verdict(facts)


def test_every_claim_is_there_once_and_in_order():
    assert [claim.id for claim in CLAIMS] == [f"P{number}" for number in range(1, 57)]
    assert all(claim.statement.endswith(".") and claim.section and claim.title for claim in CLAIMS)


def test_every_verdict_has_a_measured_value_a_tolerance_and_a_command(facts):
    for verdict in judge_all(facts):
        assert verdict.finding.measured, verdict.id
        assert verdict.finding.tolerance, verdict.id
        assert verdict.finding.command.startswith(("retseg ", "python -m retseg.train ")), verdict.id


@pytest.mark.parametrize(("id_", "before", "change", "after"), TURNS, ids=[f"{t[0]}-{t[3].name}" for t in TURNS])
def test_a_verdict_turns_with_what_it_rests_on(facts, id_, before, change, after):
    assert verdict_of(facts, id_).outcome == before
    assert verdict_of(change(facts), id_).outcome == after


def test_every_claim_is_in_the_table_of_turns_or_tested_below():
    assert {f"P{n}" for n in range(1, 57)} - {turn[0] for turn in TURNS} == {"P9", "P55"}


def test_one_hot_masks_would_be_contradicted_if_they_gave_another_loss(facts, monkeypatch):
    assert verdict_of(facts, "P9").outcome == BY_DEFINITION
    monkeypatch.setattr(data.F, "cross_entropy", lambda logits, mask: 0.0)
    assert verdict_of(facts, "P9").outcome == AGAINST


@pytest.mark.parametrize(("there", "after"), [(0.1, YES), (1.0, NO)])
def test_another_data_set_speaks_about_generalising(facts, there, after):
    own = put("metrics", "val.scores", {**facts.metrics["val"]["scores"], "dice_macro_layers": 0.5})(facts)
    row = {"score": "dice", "of": "layers", "average": "pooled_macro", "value": there}
    assert verdict_of(own, "P55").outcome == OPEN
    other = replace(own, elsewhere=({"data": {"name": "another"}, "scores": [row]},))
    assert verdict_of(other, "P55").outcome == after


@pytest.mark.parametrize("origin", ["phantom, exact labels", "data not named"])
def test_sweeps_on_other_scans_settle_nothing(facts, origin):
    for name, id_ in (("hybrid", "P17"), ("deep", "P22"), ("batch_32", "P29")):
        assert verdict_of(ablation(name, 0.0, 0.001, origin=origin)(facts), id_).outcome == OPEN
    assert verdict_of(leakage(0.01, 0.05, origin)(facts), "P53").outcome == OPEN


def test_an_interval_across_the_margin_decides_nothing(facts):
    verdict = verdict_of(ablation("deep", -0.02, 0.02)(facts), "P22")
    assert verdict.outcome == OPEN
    assert "Undecided" in verdict.finding.why


def test_silver_labels_reproduce_no_score(facts):
    silver = changed(duke("silver"), AS_PRINTED)(facts)
    verdict = verdict_of(silver, "P37")
    assert verdict.outcome == OPEN
    assert "silver, not manual" in verdict.finding.why
    assert "0.9577/0.9577" in verdict.finding.measured


@pytest.mark.parametrize("field", ["cam", "scans", "ablation", "leakage", "evaluation", "audit"])
def test_a_missing_input_leaves_no_claim_unjudged(facts, field):
    verdicts = judge_all(replace(facts, **{field: None}))
    assert len(verdicts) == 56
