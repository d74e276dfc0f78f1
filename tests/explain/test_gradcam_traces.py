"""Grad-CAM leaves a model as it found it, and works wherever it is called from."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from retseg.explain.engine import explain
from retseg.explain.gradcam import gradcam
from retseg.explain.methods import CHANNEL_WEIGHTS

LAYERS = ["mid", "relu", "softmax"]


class Net(nn.Module):
    """BatchNorm, dropout by module and by function (always on), an in-place ReLU, a 1x1 head."""

    def __init__(self):
        super().__init__()
        self.mid = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.dropout = nn.Dropout(0.5)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Conv2d(4, 8, 1)

    def forward(self, image):
        if image.isnan().any():
            raise RuntimeError("nan")
        features = F.dropout(self.dropout(self.norm(self.mid(image))), 0.1, training=True)
        return self.head(self.relu(features))


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = Net().train()
    net.norm.eval()  # frozen, as in fine-tuning
    net.mid.weight.requires_grad_(False)
    net.head.weight.grad = torch.full_like(net.head.weight, 7.0)
    return net


@pytest.fixture
def image():
    return torch.rand(2, 1, 4, 6, generator=torch.Generator().manual_seed(1))


def test_mode_of_every_module(net, image):
    before = {name: module.training for name, module in net.named_modules()}
    gradcam(net, image, LAYERS)
    assert {name: module.training for name, module in net.named_modules()} == before
    assert not before["norm"]
    assert before["dropout"]


def test_gradients(net, image):
    gradcam(net, image, LAYERS)
    assert net.head.weight.grad.unique().tolist() == [7.0]
    assert all(p.grad is None for name, p in net.named_parameters() if name != "head.weight")


def test_requires_grad(net, image):
    before = {name: p.requires_grad for name, p in net.named_parameters()}
    gradcam(net, image, LAYERS)
    assert {name: p.requires_grad for name, p in net.named_parameters()} == before
    assert not image.requires_grad


def test_hooks(net, image):
    mine = net.relu.register_forward_hook(lambda *_: None)
    gradcam(net, image, LAYERS)
    hooks = {name: list(module._forward_hooks) for name, module in net.named_modules() if module._forward_hooks}
    assert hooks == {"relu": [mine.id]}
    assert not any(module._backward_hooks or module._forward_pre_hooks for module in net.modules())


def test_batchnorm_statistics_and_weights(net, image):
    net.norm.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    gradcam(net, image, LAYERS)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert net.norm.num_batches_tracked == 0


def test_random_state(net, image):
    before = torch.get_rng_state()
    gradcam(net, image, LAYERS)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("enabled", [True, False])
def test_grad_mode(net, image, enabled):
    with torch.set_grad_enabled(enabled):
        gradcam(net, image, LAYERS)
        assert torch.is_grad_enabled() is enabled


def test_backend_flags(net, image):
    def flags():
        cudnn = torch.backends.cudnn
        return cudnn.enabled, cudnn.benchmark, cudnn.deterministic, torch.are_deterministic_algorithms_enabled()

    before = flags()
    gradcam(net, image, LAYERS)
    assert flags() == before


def test_image_and_result_carry_no_graph(net, image):
    before = image.clone()
    cam = gradcam(net, image, LAYERS)
    assert torch.equal(image, before)
    assert not any(tensor.requires_grad for layer in cam.layers.values() for tensor in (layer.raw, layer.weights))
    assert not cam.probabilities.requires_grad


def test_after_an_error_in_the_network_too(net, image):
    modes = [module.training for module in net.modules()]
    random_state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="nan"):
        gradcam(net, image * torch.nan, LAYERS)
    assert [module.training for module in net.modules()] == modes
    assert not any(module._forward_hooks for module in net.modules())
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), random_state)


@pytest.mark.parametrize("where", ["a method", "a backward pass", "a hook of the network's"])
def test_after_an_error_half_way(net, image, monkeypatch, where):
    def fail(*arguments):
        raise RuntimeError("half-way")

    mine = net.relu.register_forward_hook(lambda module, inputs, output: None)
    if where == "a method":
        monkeypatch.setitem(CHANNEL_WEIGHTS, "xgradcam", fail)
    elif where == "a backward pass":
        mine.remove()
        mine = net.norm.register_forward_hook(lambda module, inputs, output: output.register_hook(fail) and None)
    else:
        mine.remove()
        mine = net.relu.register_forward_hook(fail)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes, random_state = [module.training for module in net.modules()], torch.get_rng_state()
    with torch.inference_mode(), pytest.raises(RuntimeError, match="half-way"):
        explain(net, image, LAYERS, ["xgradcam"])
    mine.remove()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [module.training for module in net.modules()] == modes
    assert not any(module._forward_hooks or module._backward_hooks for module in net.modules())
    assert net.head.weight.grad.unique().tolist() == [7.0]
    assert all(p.grad is None for name, p in net.named_parameters() if name != "head.weight")
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_same_maps_under(net, image, mode):
    outside = gradcam(net, image, LAYERS)
    with mode():
        inside = gradcam(net, image + 0, LAYERS)  # under inference mode the sum is an inference tensor
    for layer in LAYERS:
        assert torch.equal(inside[layer].raw, outside[layer].raw)
        assert torch.equal(inside[layer].weights, outside[layer].weights)


def test_same_maps_with_the_whole_network_frozen(net, image):
    before = gradcam(net, image, LAYERS)
    after = gradcam(net.requires_grad_(False), image, LAYERS)
    assert all(torch.equal(before[layer].raw, after[layer].raw) for layer in LAYERS)


def test_an_in_place_relu_behind_a_layer_does_not_write_into_its_maps(net, image):
    in_place = gradcam(net, image, ["norm"])["norm"]
    net.relu = nn.ReLU()
    outside = gradcam(net, image, ["norm"])["norm"]
    assert torch.equal(in_place.raw, outside.raw)
    assert torch.equal(in_place.weights, outside.weights)
