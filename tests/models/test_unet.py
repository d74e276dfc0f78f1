from itertools import pairwise

import pytest
import torch
from torch import nn

from retseg.errors import InputError
from retseg.models.blocks import SeparableConv, UpAndJoin
from retseg.models.unet import UNet


def num_parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


def test_has_the_papers_blocks_and_parameters():
    net = UNet(num_classes=2)
    widths = [64, 128, 256, 512, 1024]  # Figure 1 of the paper

    def pair(before, after):
        return 9 * before * after + after + 9 * after * after + after

    down = sum(pair(before, after) for before, after in pairwise([1, *widths]))
    up = sum(4 * wide * narrow + narrow + pair(wide, narrow) for narrow, wide in pairwise(widths))
    assert num_parameters(net) == down + up + 64 * 2 + 2
    assert sum(isinstance(part, nn.Conv2d | nn.ConvTranspose2d) for part in net.modules()) == 23, "section 2"


def test_depth_and_max_width_say_how_many_channels_there_are():
    assert UNet(width=4, depth=2).bottleneck.conv2.out_channels == 16
    assert UNet(width=4, depth=3, max_width=8).bottleneck.conv2.out_channels == 8
    assert not hasattr(UNet(width=4, depth=2), "encoder3")


def test_separable_convolutions_are_depthwise_then_pointwise_but_for_the_first():
    net = UNet(width=4, separable=True, norm="batch")
    assert isinstance(net.encoder1.conv1, nn.Conv2d), "one channel: nothing to separate"
    assert isinstance(net.encoder1.conv2, SeparableConv)
    assert isinstance(net.decoder1.convs.conv1, SeparableConv)
    assert net.encoder2.conv1.depthwise.groups == 4
    assert num_parameters(net) < num_parameters(UNet(width=4, norm="batch")) / 3


def test_a_separable_convolution_is_a_full_one_of_rank_one():
    conv = SeparableConv(3, 5, 2, bias=True)
    full = nn.Conv2d(3, 5, 3, padding=2, dilation=2)
    full.weight.data = conv.pointwise.weight.data * conv.depthwise.weight.data.transpose(0, 1)
    full.bias.data = conv.pointwise.bias.data
    x = torch.randn(2, 3, 9, 11)
    assert torch.allclose(conv(x), full(x), atol=1e-5)


@pytest.mark.parametrize("stride", [(1, 2), (2, 1), (2, 2), (4, 2), (1, 4)])
def test_a_stem_works_on_a_coarser_grid_and_the_logits_come_back(stride):
    net, seen = UNet(width=2, depth=2, stem_stride=stride), []
    net.encoder1.register_forward_hook(lambda _, given, __: seen.append(given[0].shape))
    assert net(torch.rand(1, 1, 32, 48)).shape == (1, 8, 32, 48)
    assert seen == [(1, 2, 32 // stride[0], 48 // stride[1])]


def test_a_stem_of_stride_two_sees_pixels_on_both_sides_alike():
    net = UNet(width=1, depth=1, stem_stride=[1, 2])
    net.stem.conv.weight.data.fill_(1)
    image = torch.zeros(1, 1, 8, 8)
    image[..., 4:6] = 1
    given = net.stem.conv(image)[0, 0, 4]
    assert given.tolist() == [0, 3, 6, 3], "the pixel that covers both columns has them whole, its neighbours half"


def test_bilinear_upsampling_is_about_pixel_centres():
    block = UpAndJoin("bilinear", 1, 1, 1, "none", separable=False)
    block.up[0].weight.data.fill_(1)
    block.up[0].bias.data.zero_()
    ramp = torch.arange(4.0).expand(1, 1, 2, 4)
    assert block.up(ramp)[0, 0, 0].tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]


def test_dropout_is_in_the_bottleneck_alone_and_adds_no_weights():
    net = UNet(width=2, depth=2, dropout=0.4)
    assert [(path, part.p) for path, part in net.named_modules() if isinstance(part, nn.Dropout)] == [("dropout", 0.4)]
    assert list(net.state_dict()) == list(UNet(width=2, depth=2).state_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"upsample": "nearest"}, "model.upsample: 'nearest' is neither transpose nor bilinear"),
        ({"depth": 0}, r"model.depth: 0 with stem_stride \[1, 1\]; expected 1 or more"),
        ({"depth": 5, "stem_stride": [1, 2]}, r"model.depth: 5 with stem_stride \[1, 2\]; .* 32 at most"),
        ({"stem_stride": [1, 3]}, r"model.stem_stride: \[1, 3\]; expected two numbers, rows and columns, of 1, 2, 4"),
        ({"stem_stride": [2]}, r"model.stem_stride: \[2\]"),
        ({"dropout": 1.0}, "model.dropout: 1.0; expected a share from 0 to below 1"),
        ({"width": 8, "max_width": 4}, "max_width: 4 is below model.width 8"),
    ],
)
def test_refuses_settings_that_make_no_network(options, message):
    with pytest.raises(InputError, match=message):
        UNet(**({"width": 2} | options))
