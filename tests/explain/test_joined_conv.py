"""Convolutions of joined features: values and gradients of autograd, without the work that nobody asks for."""

import gc
import weakref
from collections import Counter

import pytest
import torch
import torch.nn.functional as F

from retseg.explain.engine import explain
from retseg.explain.joined_conv import OnlyWhatAsks
from retseg.models.segnet import SegNet


def tensors(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    low, skip, other = (torch.randn(2, k, 6, 8, dtype=dtype, generator=generator) for k in (3, 2, 4))
    return low.requires_grad_(), skip, other, torch.randn(5, 9, 3, 3, dtype=dtype, generator=generator)


def gradient_nodes(output):
    """How many nodes of each name are in the graph behind an output."""
    found, waiting = set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found:
            found.add(node)
            waiting += [following for following, _ in node.next_functions]
    return Counter(type(node).__name__ for node in found)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
@pytest.mark.parametrize(
    "settings", [{}, {"padding": 1}, {"stride": 2, "padding": (2, 1)}, {"padding": 2, "dilation": 2}]
)
def test_values_and_gradients_are_autograds(order, settings):
    low, skip, other, weight = tensors()
    bias = torch.arange(5.0, dtype=torch.float64)

    def convolve():
        joined = torch.cat([(low * 2, skip, other)[place] for place in order], dim=1)
        output = F.conv2d(joined, weight, bias, **settings)
        (gradient,) = torch.autograd.grad(output.square().sum(), low, retain_graph=True)
        return output, gradient

    plain, plain_gradient = convolve()
    with OnlyWhatAsks():
        output, gradient = convolve()
    assert torch.equal(output, plain)
    torch.testing.assert_close(gradient, plain_gradient)
    assert "_PartsConvBackward" in gradient_nodes(output)
    assert not gradient_nodes(output).keys() & {"CatBackward0", "ConvolutionBackward0"}


def test_two_parts_that_ask_and_two_readers():
    low, skip, other, weight = tensors()
    second = other.requires_grad_()

    def convolve():
        joined = torch.cat((low, skip, second), -3)
        total = F.conv2d(joined, weight).exp().mean() + F.conv2d(joined, 2 * weight).sum() + joined.square().sum()
        return torch.autograd.grad(total, [low, second])

    plain = convolve()
    with OnlyWhatAsks():
        found = convolve()
    for one, expected in zip(found, plain, strict=True):
        torch.testing.assert_close(one, expected)


@pytest.mark.parametrize("change", ["the whole", "a part"])
def test_what_was_changed_in_place_since_is_left_to_autograd(change):
    low, skip, other, weight = tensors()

    def convolve():
        part = low * 2
        joined = torch.cat([part, skip, other], 1)
        (joined if change == "the whole" else part).mul_(3)
        output = F.conv2d(joined, weight)
        return output, torch.autograd.grad(output.square().sum() + part.sum(), low, retain_graph=True)[0]

    plain = convolve()
    with OnlyWhatAsks():
        output, gradient = convolve()
    assert torch.equal(output, plain[0])
    assert torch.equal(gradient, plain[1])
    assert "ConvolutionBackward0" in gradient_nodes(output)


@pytest.mark.parametrize("reason", ["groups", "padding by name", "rows", "all ask", "autocast"])
def test_what_is_left_to_autograd(reason):
    low, skip, other, weight = tensors(torch.float32)
    with OnlyWhatAsks(), torch.autocast("cpu", torch.bfloat16, enabled=reason == "autocast"):
        if reason == "groups":
            output = F.conv2d(torch.cat([low, skip, other], 1), weight[:3, :3].clone(), groups=3)
        elif reason == "padding by name":
            output = F.conv2d(torch.cat([low, skip, other], 1), weight, padding="same")
        elif reason == "rows":
            output = F.conv2d(torch.cat([low, torch.ones_like(low)], 2), weight[:, :3].clone())
        elif reason == "all ask":
            output = F.conv2d(torch.cat([low, skip.requires_grad_(), other.requires_grad_()], 1), weight)
        else:
            output = F.conv2d(torch.cat([low, skip, other], 1), weight)
    assert "ConvolutionBackward0" in gradient_nodes(output)
    assert "_PartsConvBackward" not in gradient_nodes(output)


def test_parts_are_forgotten_with_what_was_joined():
    low, skip, other, weight = tensors()
    mode = OnlyWhatAsks()
    with mode:
        joined = torch.cat([low, skip.clone(), other], 1)
        output = F.conv2d(joined, weight)
        assert len(mode._joined) == 1
        alive = weakref.ref(joined)
        del joined
        gc.collect()
    assert alive() is None
    assert mode._joined == {}
    torch.autograd.grad(output.sum(), low)


@pytest.mark.parametrize("upsample", ["unpool", "transpose", "hybrid"])
def test_a_segnet_differentiates_no_skip_that_nobody_asks_for(upsample):
    torch.manual_seed(0)
    net, image, graphs = SegNet(width=2, upsample=upsample), torch.rand(1, 1, 32, 64), []
    hook = net.register_forward_hook(lambda module, inputs, output: graphs.append(gradient_nodes(output)))
    behind = explain(net, image, ["conv2d_11", "conv2d_9"], ["hirescam"])
    explain(net, image, ["conv2d_11"], ["hirescam"])
    everything = explain(net, image, ["conv2d", "conv2d_11", "conv2d_9"], ["hirescam"])
    hook.remove()
    joined = [(graph["_PartsConvBackward"], graph["CatBackward0"]) for graph in graphs]
    assert joined == [(4, 1), (4, 0), (0, 5)]  # the bottleneck is itself the skip of the first decoder block
    for layer in ("conv2d_11", "conv2d_9"):
        torch.testing.assert_close(behind.maps["hirescam", layer].raw, everything.maps["hirescam", layer].raw)
