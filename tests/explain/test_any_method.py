import pytest
import torch

from retseg.errors import InputError
from retseg.explain.adapter import FULLGRAD_LAYER
from retseg.explain.any_method import ALL_METHODS, OCCLUSION_LAYER, explain_by_any
from retseg.explain.descriptions import describe_method
from retseg.explain.engine import explain
from retseg.explain.occlusion import occlusion
from retseg.models.segnet import SegNet


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return SegNet(width=2)


def test_every_kind_of_method_stands_in_the_order_asked(net):
    image = torch.rand(1, 1, 32, 48)
    found = explain_by_any(net, image, ["conv2d_19", "conv2d_15"], ["FEM", "occlusion", "layercam", "gradcam"])
    assert list(found.maps) == [
        ("FEM", "conv2d_19"),
        ("FEM", "conv2d_15"),
        ("occlusion", OCCLUSION_LAYER),
        ("layercam", "conv2d_19"),
        ("layercam", "conv2d_15"),
        ("gradcam", "conv2d_19"),
        ("gradcam", "conv2d_15"),
    ]
    alone = explain(net, image, ["conv2d_15"], ["layercam"])
    assert torch.allclose(found.maps["layercam", "conv2d_15"].raw, alone.maps["layercam", "conv2d_15"].raw, atol=1e-7)
    assert torch.equal(found.maps["occlusion", OCCLUSION_LAYER].raw, occlusion(net, image).maps)


def test_fullgrad_has_its_own_layer(net):
    found = explain_by_any(net, torch.rand(1, 1, 32, 32), ["conv2d_19"], ["FullGrad"])
    assert list(found.maps) == [("FullGrad", FULLGRAD_LAYER)]


def test_a_method_that_nobody_offers_is_refused_with_those_there_are(net):
    with pytest.raises(
        InputError, match=r"method 'cam' is not known; fast: gradcam, .*; slow: occlusion; by .*ScoreCAM"
    ):
        explain_by_any(net, torch.rand(1, 1, 32, 32), ["conv2d_19"], ["cam"])


def test_every_method_has_a_sentence():
    sentences = [describe_method(name) for name in ALL_METHODS]
    assert all(sentence.endswith(".") for sentence in sentences)
    assert len(set(sentences)) == len(ALL_METHODS)
