"""The trial runs the tests of their own modules; here: that each result stands at its map, and that scans add up."""

import numpy as np
import pytest
import torch

from retseg.explain.engine import explain
from retseg.explain.faithfulness import faithfulness_curves
from retseg.explain.perturbation import Road
from retseg.explain.regions import Pixel, TrueLayer
from retseg.explain.score import PAPER_SCORE, Score
from retseg.explain.trial import Trial, pooled, try_scan, verdicts
from retseg.models.segnet import SegNet

SUBJECTS = ["s1", "s2", "s2"]


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return SegNet(width=2, norm="batch")


@pytest.fixture(scope="module")
def images():
    return torch.rand(3, 1, 32, 48, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def trial(net):
    torch.manual_seed(3)
    other = SegNet(width=2, norm="batch")
    layers, methods = ["conv2d_19", "conv2d_13"], ["gradcam", "layercam"]
    return Trial(layers, methods, shares=(0, 0.1, 0.4), num_steps=2, random_labels=other, other_seed=other)


@pytest.fixture(scope="module")
def scans(trial, net, images):
    mask = (torch.arange(32) // 4)[None, :, None].expand(1, 32, 48)
    return [try_scan(trial, net, image[None], lambda _: PAPER_SCORE, mask, None, 4.0) for image in images]


def test_every_test_has_every_map_and_its_controls(trial, scans):
    tried = pooled(scans)
    assert list(tried.curves) == ["deletion", "insertion", "ROAD"]
    baselines = {"random at conv2d_19", "random at conv2d_13", "edge", "prediction"}
    assert all(set(maps) == {*trial.names, *baselines} for maps in tried.curves.values())
    assert list(tried.sanity) == ["random weights", "random labels"]
    assert all(set(maps) == {*trial.names, "edge", "prediction"} for maps in tried.sanity.values())
    assert list(tried.stability) == ["noise of 5 gray levels", "left-right flip", "another training seed"]
    assert all(set(maps) == {*trial.names, "prediction"} for maps in tried.stability.values())


def test_scans_stand_in_their_order_after_pooling(trial, net, images, scans):
    tried = pooled(scans)
    found = explain(net, images, trial.layers, trial.methods)
    maps = {"x": found.maps["layercam", "conv2d_13"].on_image((32, 48))}
    mask = (torch.arange(32) // 4)[None, :, None].expand(3, 32, 48)
    alone = faithfulness_curves(net, images, maps, Road(), mask, [4.0] * 3, trial.shares)["x"]
    together = tried.curves["ROAD"]["layercam at conv2d_13"]
    assert np.allclose(together.dice, alone.dice, atol=1e-6, equal_nan=True)
    assert together.dice.shape == (3, 8, 3)
    rank = tried.sanity["random labels"]["gradcam at conv2d_19"].similarity.rank
    assert rank.shape == (2, 3, 8)
    second = scans[1].sanity["random labels"]["gradcam at conv2d_19"].similarity.rank
    assert torch.equal(rank[:, [1]].nan_to_num(9), second.nan_to_num(9))


def test_a_verdict_for_every_map_in_which_all_tests_must_hold(trial, scans):
    found = verdicts(trial, pooled(scans), SUBJECTS)
    assert [(v.method, v.layer) for v in found] == [(m, layer) for m in trial.methods for layer in trial.layers]
    for v in found:
        assert set(v.faithful) == {(t, m) for t in ("deletion", "insertion", "ROAD") for m in ("dice", "surface")}
        assert v.is_faithful == (v.faithful_by == ["deletion", "insertion", "ROAD"])
        assert v.is_sane == all(one.outcome == "passes" for one in v.sanity.values())
        assert v.faithful["ROAD", "dice"].comparisons["random"].num_subjects == 2


def test_the_other_grader_is_asked_where_the_score_reads_labels(net, images):
    trial = Trial(["conv2d_17"], ["hirescam"], shares=(0, 0.2), num_steps=1)
    first = (torch.arange(32) // 4)[None, :, None].expand(1, 32, 48)
    second = first.roll(2, 1)

    def score_on(labels):
        return Score(over=TrueLayer(first if labels is None else labels))

    same = try_scan(trial, net, images[:1], score_on, first, first.clone())
    other = try_scan(trial, net, images[:1], score_on, first, second)
    rank = same.stability["the other grader"]["hirescam at conv2d_17"].rank
    assert rank[rank.isfinite()].numpy() == pytest.approx(1)
    assert other.stability["the other grader"]["hirescam at conv2d_17"].rank[rank.isfinite()].min() < 0.99
    for score in (PAPER_SCORE, Score(over=Pixel(3, 4)), Score(over=first[0] == 2)):  # these read no labels
        assert "the other grader" not in try_scan(trial, net, images[:1], lambda _, s=score: s, first, second).stability
