"""What facts say of themselves."""

from dataclasses import replace

import pytest

from retseg.anatomy import CLASS_NAMES
from tests.reproduction.doctored import duke


@pytest.mark.parametrize(
    ("change", "settles", "why"),
    [
        (lambda facts: facts, False, "the scans are those of “phantom”, not the Duke set's"),
        (duke("silver"), False, "the labels are silver, not manual: agreement with them is no accuracy"),
        (duke("manual"), True, ""),
    ],
)
def test_only_manual_labels_of_duke_scans_settle_a_score(facts, change, settles, why):
    assert (change(facts).settles, change(facts).why_unsettled) == (settles, why)


def test_the_audit_stamps_before_the_split_and_silver_is_said_once(facts):
    audited = replace(facts, audit={"stamp": "leaky: 3 images on both sides"})
    assert audited.stamp == "leaky: 3 images on both sides"
    silver = duke("silver")(audited)
    assert silver.stamp == "leaky: 3 images on both sides; labels are silver, not manual"
    assert replace(silver, audit={"stamp": silver.stamp}).stamp == silver.stamp


def test_scores_by_class_come_from_the_evaluation_where_there_is_one(facts):
    rows = [
        {"score": "paper_iou_per_scan", "of": name, "average": "mean_over_scans", "value": 0.5} for name in CLASS_NAMES
    ]
    evaluated = replace(facts, evaluation={"scores": rows})
    assert evaluated.class_iou() == [0.5] * 8
    assert evaluated.class_recall() == [None] * 8
    assert replace(facts, evaluation=None).class_iou()[0] == facts.metrics["val"]["scores"]["iou/background"]
    assert evaluated.evaluated("paper_iou_per_scan", "NFL", "pooled") is None
