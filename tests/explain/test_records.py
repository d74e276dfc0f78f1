"""Records of maps: the measures of their own modules, each at its place."""

import math

import pytest
import torch

from retseg.explain.engine import explain
from retseg.explain.localisation import context_share, find_regions, localise
from retseg.explain.records import RECORD_COLUMNS, judge_maps
from retseg.explain.redundancy import redundancy
from retseg.models.segnet import SegNet

LAYERS, METHODS = ["conv2d_20", "conv2d_17"], ["gradcam", "hirescam"]
SPACING_UM = torch.tensor([[4.0, 12.0], [math.nan, math.nan]])


@pytest.fixture(scope="module")
def found():
    torch.manual_seed(0)
    return explain(SegNet(width=3), torch.rand(2, 1, 32, 48), LAYERS, METHODS)


@pytest.fixture(scope="module")
def mask():
    return (torch.arange(32) // 5).clamp(max=6)[None, :, None].repeat(2, 1, 48)  # class 7 is in no scan


def test_a_record_for_each_method_layer_scan_and_class(found, mask):
    records = judge_maps(found, ["a", "b"], ["s1", "s2"], mask, SPACING_UM).records
    places = [(r.method, r.layer, r.scan, r.class_id) for r in records]
    assert places == [(m, layer, s, c) for m in METHODS for layer in LAYERS for s in "ab" for c in range(8)]
    assert {r.subject for r in records if r.scan == "b"} == {"s2"}
    assert {r.reference for r in records} == {"labels"}
    assert len(set(RECORD_COLUMNS)) == len(RECORD_COLUMNS)


def test_each_measure_stands_at_its_map(found, mask):
    judged = judge_maps(found, ["a", "b"], ["s1", "s2"], mask, SPACING_UM)
    maps = found.maps["hirescam", "conv2d_17"].on_image((32, 48))
    located = localise(maps, find_regions(mask, 8, SPACING_UM))
    redundant = redundancy(maps, found.probabilities)
    context = context_share(maps, found.probabilities.argmax(1))
    chosen = [r for r in judged.records if (r.method, r.layer, r.scan) == ("hirescam", "conv2d_17", "b")]
    for r in chosen:
        expected = (located.in_above, located.mean_distance, redundant.overlap, context)
        actual = (r.in_above, r.mean_distance, r.overlap, r.context)
        assert actual == pytest.approx([float(value[1, r.class_id]) for value in expected], nan_ok=True)
        assert math.isnan(r.alpha_mean)  # HiResCAM weighs pixels
    assert chosen[0].unit == "px"
    assert judged.records[0].unit == "um"
    assert math.isnan(chosen[7].in_layer)  # class 7 is not annotated


def test_the_softmax_is_stamped_by_its_identity(found, mask):
    records = judge_maps(found, ["a", "b"], ["s1", "s2"], mask, SPACING_UM).records
    stamped = [r for r in records if r.layer == "conv2d_20" and not math.isnan(r.overlap)]
    assert stamped
    assert all("the map is P_c" in r.stamp and r.repeats for r in stamped)


def test_without_labels_the_prediction_says_where_layers_are(found):
    records = judge_maps(found, ["a", "b"], ["s1", "s2"], None, SPACING_UM).records
    assert {r.reference for r in records} == {"prediction"}
    known = [r for r in records if not math.isnan(r.in_layer)]
    assert known
    assert all(r.context == pytest.approx(1 - r.in_layer) for r in known)
