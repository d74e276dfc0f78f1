import torch
from torch import nn

from retseg.models.relaynet import ReLayNet


def test_has_the_papers_blocks():
    net = ReLayNet()
    convs = [part for part in net.modules() if isinstance(part, nn.Conv2d)]
    assert [conv.kernel_size for conv in convs] == [(7, 3)] * 7 + [(1, 1)]
    assert [conv.in_channels for conv in convs] == [1, 64, 64, 64, 128, 128, 128, 64]
    assert {conv.out_channels for conv in convs[:7]} == {64}
    assert sum(isinstance(part, nn.BatchNorm2d) for part in net.modules()) == 7


def test_parameters_are_counted_by_hand():
    def convolution(before):
        return before * 64 * 21 + 2 * 64  # no bias; scale and shift of BatchNorm

    expected = convolution(1) + 3 * convolution(64) + 3 * convolution(128) + 64 * 8 + 8
    assert sum(parameter.numel() for parameter in ReLayNet().parameters()) == expected


def test_sees_more_rows_than_columns():
    """7x3 at steps of 1, 2, 4, 8, 4, 2, 1 px: 3 rows and 1 column a step to each side, and what 2x2 windows add."""
    torch.manual_seed(0)
    image = torch.rand(1, 1, 256, 256, requires_grad=True)
    (gradient,) = torch.autograd.grad(ReLayNet(width=8).eval()(image)[0, :, 128, 128].sum(), image)
    rows, columns = gradient[0, 0].nonzero().T
    steps = 1 + 2 + 4 + 8 + 4 + 2 + 1
    assert 2 * 3 * steps - 16 <= rows.max() - rows.min() <= 2 * 3 * steps + 16
    assert 2 * steps - 16 <= columns.max() - columns.min() <= 2 * steps + 16


def test_what_is_pooled_goes_back_to_its_place():
    """With the convolutions made to pass one channel on, an isolated maximum comes out where it went in."""
    net = ReLayNet(width=1, norm="none")
    for part in net.modules():
        if isinstance(part, nn.Conv2d):
            part.weight.data.zero_()
            part.weight.data[:, 0, part.kernel_size[0] // 2, part.kernel_size[1] // 2] = (
                1  # of the unpooled, not the skip
            )
            if part.bias is not None:
                part.bias.data.zero_()
    image = torch.zeros(1, 1, 24, 40)
    image[0, 0, 13, 22] = 0.5
    logits = net(image)
    assert torch.equal(logits[0, 3], image[0, 0])
