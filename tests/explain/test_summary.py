"""Summaries of records made by hand: two subjects, one with two scans."""

from dataclasses import replace
from math import isnan, nan

import pytest

from retseg.explain.records import RECORD_COLUMNS, MapRecord
from retseg.explain.summary import summarise

NUMBERS = dict.fromkeys(RECORD_COLUMNS, 0.0)
BLANK = MapRecord(**NUMBERS | {"unit": "um", "repeats": False, "identity": "", "overlap": nan, "method": "gradcam"})


def record(scan, subject, class_id, in_layer, repeats=False, **settings):
    known = {"overlap": 0.5, "raw_max": 1.0, "layer": "conv2d_19"} | settings
    return replace(
        BLANK, scan=scan, subject=subject, class_id=class_id, class_name=f"class {class_id}", in_layer=in_layer,
        repeats=repeats, **known
    )  # fmt: skip


RECORDS = [
    record("a", "s1", 0, 0.9, repeats=True),  # background: in no summary of the layers
    record("a", "s1", 1, 0.2, repeats=True),
    record("a", "s1", 2, 0.4),
    record("b", "s1", 1, 0.6),
    record("b", "s1", 2, nan, overlap=nan, raw_max=0.0),  # blank
    record("c", "s2", 1, 0.8, repeats=True),
    record("c", "s2", 2, 1.0),
]


def test_means_are_over_subjects_of_what_is_known():
    (summary,) = summarise(RECORDS)
    assert summary.means["in_layer"].value == pytest.approx(((0.2 + 0.4 + 0.6) / 3 + (0.8 + 1.0) / 2) / 2)
    assert summary.means["in_layer"].low == pytest.approx(0.4)  # both draws are of the first subject
    assert (summary.num_maps, summary.repeating, summary.blank) == (5, 2, 1)
    assert summary.share_repeating == pytest.approx(0.4)


def test_one_class_alone():
    (summary,) = summarise(RECORDS, "class 0")
    assert summary.means["in_layer"].value == pytest.approx(0.9)
    assert isnan(summary.means["in_layer"].low)  # one subject


def test_methods_and_layers_stand_in_their_order_with_their_identity():
    other = [replace(one, layer="conv2d_20", identity="identity 2: the map is P_c") for one in RECORDS]
    summaries = summarise([*other, *RECORDS])
    assert [(one.layer, one.identity) for one in summaries] == [
        ("conv2d_20", "identity 2: the map is P_c"),
        ("conv2d_19", ""),
    ]


def test_nothing_that_can_be_judged_has_no_share():
    (summary,) = summarise([record("a", "s1", 1, nan, overlap=nan, raw_max=0.0)])
    assert isnan(summary.share_repeating)
    assert summary.blank == 1
