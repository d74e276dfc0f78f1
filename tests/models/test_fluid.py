import pytest
import torch
from torch import nn

from retseg.errors import InputError
from retseg.models.fluid import WithFluid
from retseg.models.outputs import Outputs, gives_of, outputs_of
from retseg.models.segnet import SegNet


class Channels(nn.Module):
    """Nine channels: gray level plus the number of the channel."""

    in_channels, num_classes = 1, 9

    def forward(self, image):
        return image + torch.arange(9.0).view(1, 9, 1, 1)


def test_the_last_channel_is_fluid_and_the_others_are_layers():
    image = torch.rand(2, 1, 3, 5)
    found = WithFluid(Channels()).outputs(image)
    assert torch.equal(found.logits, Channels()(image)[:, :8])
    assert torch.equal(found.fluid, image[:, 0] + 8)
    assert found.surface_rows is None


def test_forward_gives_the_layers_alone():
    image = torch.rand(2, 1, 3, 5)
    net = WithFluid(Channels())
    assert torch.equal(net(image), net.outputs(image).logits)
    assert (net.num_classes, net.in_channels, net.gives) == (8, 1, ("fluid",))


def test_aliases_lead_into_the_network_inside():
    net = WithFluid(SegNet(width=2, num_classes=9))
    modules = dict(net.named_modules())
    assert net.layer_aliases["conv2d_20"] == "softmax"
    assert net.layer_aliases["conv2d_19"] == "net.decoder1.relu2"
    assert all(path == "softmax" or path in modules for path in net.layer_aliases.values())


def test_a_plain_network_gives_logits_and_no_more():
    net, image = Channels(), torch.rand(2, 1, 3, 5)
    found = outputs_of(net, image)
    assert isinstance(found, Outputs)
    assert torch.equal(found.logits, net(image))
    assert found[1:] == (None, None)
    assert gives_of(net) == ()


def test_refuses_a_network_without_a_channel_for_fluid():
    with pytest.raises(
        InputError,
        match=r"model\.net\.num_classes: 2 in SegNet; WithFluid takes 1 of its channels and leaves 8 or more; give 9",
    ):
        WithFluid(SegNet(width=2, num_classes=2))
    with pytest.raises(InputError, match=r"model\.net\.num_classes: None in Conv2d"):
        WithFluid(nn.Conv2d(1, 9, 1))
