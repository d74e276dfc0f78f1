import pytest
import torch

from retseg.explain import shared_maps
from retseg.explain.engine import explain
from retseg.explain.score import PAPER_SCORE
from retseg.explain.shared_maps import SharedMaps
from retseg.models.segnet import SegNet

LAYERS, METHODS = ["conv2d_19", "conv2d_15"], ["gradcam", "layercam"]


@pytest.fixture
def asked(monkeypatch):
    """How often the engine was asked."""
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return explain(*arguments)

    monkeypatch.setattr(shared_maps, "explain", counted)
    return calls


def network():
    torch.manual_seed(0)
    return SegNet(width=2, norm="batch")


def test_all_explainers_share_one_pass_and_give_the_maps_of_the_engine(asked):
    net, image = network(), torch.rand(1, 1, 32, 48)
    explainers = SharedMaps(LAYERS, METHODS, PAPER_SCORE).explainers
    expected = explain(net, image, LAYERS, METHODS)
    assert list(explainers) == [f"{method} at {layer}" for method in METHODS for layer in LAYERS]
    for (method, layer), maps in expected.maps.items():
        assert torch.equal(explainers[f"{method} at {layer}"](net, image), maps.on_image((32, 48)))
    assert len(asked) == 1


def test_an_equal_image_is_not_explained_again(asked):
    net, image = network(), torch.rand(1, 1, 32, 48)
    shared = SharedMaps(LAYERS, METHODS, PAPER_SCORE)
    shared.maps(net, image)
    shared.maps(net, image.flip(3).flip(3))
    assert len(asked) == 1
    shared.maps(net, image.flip(3))
    assert len(asked) == 2


@pytest.mark.parametrize("change", ["weight", "statistics", "new parameter", "other network"])
def test_a_network_that_was_changed_is_explained_anew(asked, change):
    net, image = network(), torch.rand(1, 1, 32, 48)
    shared = SharedMaps(LAYERS, METHODS, PAPER_SCORE)
    before = shared.maps(net, image)
    with torch.no_grad():
        if change == "weight":
            next(net.parameters()).mul_(-1)
        elif change == "statistics":
            next(buffer for buffer in net.buffers() if buffer.is_floating_point()).add_(1)
        elif change == "new parameter":
            net.get_submodule("encoder1.conv1").weight = torch.nn.Parameter(torch.ones(2, 1, 3, 3))
        else:
            net = SegNet(width=2, norm="batch")
    after = shared.maps(net, image)
    assert len(asked) == 2
    assert any(not torch.equal(before[key], after[key]) for key in before)
