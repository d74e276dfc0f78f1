"""Copies that forget: the order of forgetting, the statistics of BatchNorm, and what must not change."""

import pytest
import torch
from torch import nn

from retseg.errors import InputError
from retseg.explain.randomisation import cascade, randomised, reset_as_built, reset_he, steps_from_head
from retseg.models.segnet import SegNet


@pytest.fixture
def image():
    return torch.rand(2, 1, 32, 64, generator=torch.Generator().manual_seed(0))


def trained(net):
    """Weights and statistics that no reset gives."""
    for number, value in enumerate(net.state_dict().values()):
        if value.is_floating_point():
            value.fill_(7.0 + number)
    return net


class BackToFront(nn.Module):
    """Runs in another order than it is defined, has a norm in front, and a part that never runs."""

    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(2, 3, 1)
        self.unused = nn.Conv2d(2, 3, 1)
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2), nn.ReLU())
        self.front = nn.BatchNorm2d(1)

    def forward(self, image):
        return self.head(self.body(self.front(image)))


def test_steps_run_from_the_output_down_whatever_the_order_of_definition(image):
    assert steps_from_head(BackToFront(), image) == [("head",), ("body.1", "body.0"), ("front",)]


def test_segnet_has_a_step_for_each_of_its_convolutions(image):
    steps = steps_from_head(SegNet(width=2, norm="batch"), image)
    assert len(steps) == 21
    assert steps[0] == ("head",)
    assert steps[1] == ("decoder1.norm2", "decoder1.conv2")
    assert steps[-1] == ("encoder1.norm1", "encoder1.conv1")


def test_a_module_that_runs_twice_belongs_where_it_ran_last(image):
    shared, between = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 3, padding=1)
    assert [len(step) for step in steps_from_head(nn.Sequential(shared, between, shared), image)] == [1, 1]
    assert steps_from_head(nn.Sequential(shared, between, shared), image)[0] == ("0",)


def test_each_step_adds_to_what_is_forgotten(image):
    net = trained(BackToFront())
    forgotten = []
    for copy in cascade(net, steps_from_head(net, image)):
        assert copy is not net
        changed = {
            name.rsplit(".", 1)[0]
            for name, value in copy.state_dict().items()
            if value.is_floating_point() and not torch.equal(value, net.state_dict()[name])
        }
        forgotten.append(changed)
    assert forgotten == [{"head"}, {"head", "body.0", "body.1"}, {"head", "body.0", "body.1", "front"}]


def test_the_statistics_of_batchnorm_are_forgotten_too(image):
    copy = randomised(trained(BackToFront()), image)
    assert copy.front.running_mean.tolist() == [0]
    assert copy.front.running_var.tolist() == [1]
    assert copy.front.weight.tolist() == [1]


def test_the_network_the_gradients_and_the_random_state_are_left_as_found(image):
    net = trained(BackToFront()).train()
    net.head.weight.grad = torch.ones_like(net.head.weight)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.random.get_rng_state()
    randomised(net, image, seed=3)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(net.head.weight.grad, torch.ones_like(net.head.weight))
    assert net.front.training
    assert not any(module._forward_hooks for module in net.modules())
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_network_that_fails_half_way_is_left_without_hooks_and_in_its_mode(image):
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(3, 2, 1)).train()
    with pytest.raises(RuntimeError, match="channels"):
        steps_from_head(net, image)
    assert all(module.training for module in net.modules())
    assert not any(module._forward_hooks for module in net.modules())


def test_a_copy_made_in_inference_mode_can_be_differentiated(image):
    with torch.inference_mode():
        copy = randomised(BackToFront(), image)
    gradient = torch.autograd.grad(copy(image).sum(), copy.head.weight)
    assert gradient[0].abs().sum() > 0


def test_the_same_seed_forgets_in_the_same_way(image):
    net = SegNet(width=2)
    one, again, other = (randomised(net, image, seed) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))
    assert not torch.equal(one.head.weight, other.head.weight)
    assert not torch.equal(one.encoder2.conv1.weight[:2], one.encoder1.conv2.weight[:2])


def test_a_random_network_still_sees_the_image_unless_reset_as_built(image):
    net = SegNet(width=4)

    def contrast(reset):
        with torch.no_grad():
            logits = randomised(net, image, 0, reset)(image)
        return (logits.std((2, 3)) / logits.abs().mean((2, 3)).clamp(min=1e-9)).median().item()

    assert contrast(reset_he) > 5 * contrast(reset_as_built)


def test_a_module_that_cannot_be_reset_is_named(image):
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = nn.Parameter(torch.ones(()))

        def forward(self, x):
            return self.factor * x

    net = nn.Sequential(nn.Conv2d(1, 2, 1), Scale())
    with pytest.raises(InputError, match=r"Scale: has parameters and no reset_parameters\(\)"):
        randomised(net, image)
    copy = randomised(net, image, reset=lambda module: [nn.init.constant_(p, 5.0) for p in module.parameters()])
    assert copy[1].factor == 5
