import pytest
import torch
import torch.nn.functional as F
from torch import nn

from retseg.errors import InputError
from retseg.models.blocks import MaxUnpool2x2, pad_to_multiple
from retseg.models.segnet import SegNet

MODES = ("unpool", "transpose", "hybrid")


@pytest.mark.parametrize("mode", MODES)
def test_has_21_convolutions_in_every_mode(mode):
    net = SegNet(width=2, upsample=mode)
    assert sum(type(part) is nn.Conv2d for part in net.modules()) == 21
    assert sum(type(part) is nn.ConvTranspose2d for part in net.modules()) == (0 if mode == "unpool" else 5)


def test_transposed_mode_has_the_parameters_of_the_authors_code():
    net = SegNet(upsample="transpose")
    assert sum(parameter.numel() for parameter in net.parameters()) == 32_153_864


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(64, 96), (50, 70), (1, 33)])
def test_gives_logits_of_the_input_size(mode, size):
    assert SegNet(num_classes=5, width=2, upsample=mode)(torch.rand(2, 1, *size)).shape == (2, 5, *size)


def test_padding_repeats_the_last_row_and_column_and_nothing_else():
    image = torch.arange(6.0).view(1, 1, 2, 3)
    assert pad_to_multiple(image, 4)[0, 0].tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]
    assert pad_to_multiple(torch.zeros(1, 1, 4, 8), 4).shape == (1, 1, 4, 8)


def test_unpooling_equals_torch_bit_for_bit():
    x = torch.randn(2, 3, 8, 12)
    pooled, indices = F.max_pool2d(x, 2, return_indices=True)
    assert torch.equal(MaxUnpool2x2()(pooled, indices), F.max_unpool2d(pooled, indices, 2))


def test_unpooling_puts_the_maximum_back_where_it_was():
    x = torch.tensor([[[[1.0, 2, 0, 0], [3, 0, 7, 0]]]])
    pooled, indices = F.max_pool2d(x, 2, return_indices=True)
    assert MaxUnpool2x2()(pooled, indices)[0, 0].tolist() == [[0, 0, 0, 0], [3, 0, 7, 0]]


def test_unpooling_has_a_gradient_under_deterministic_algorithms():
    torch.use_deterministic_algorithms(True)
    try:
        image = torch.rand(1, 1, 32, 32)
        net = SegNet(width=2)
        net(image).sum().backward()
        assert net.encoder1.conv1.weight.grad.abs().sum() > 0
    finally:
        torch.use_deterministic_algorithms(False)


def test_hybrid_is_the_sum_of_unpooled_and_transposed():
    net = SegNet(width=2, upsample="hybrid")
    up = net.decoder3.up
    x, skip = torch.randn(1, 8, 4, 4), torch.randn(1, 8, 8, 8)
    indices = F.max_pool2d(skip, 2, return_indices=True)[1]
    assert torch.equal(up(x, indices), up.unpool(x, indices) + up.transpose(x))


def test_dilation_widens_what_a_logit_sees():
    def reach(dilation):
        torch.manual_seed(0)
        net = SegNet(width=2, dilation=dilation)
        image = torch.rand(1, 1, 32, 1024, requires_grad=True)
        (gradient,) = torch.autograd.grad(net(image)[..., 512].sum(), image)
        seen = gradient[0, 0].abs().sum(dim=0).nonzero()
        return int(seen.max() - seen.min())

    assert reach(2) > 1.5 * reach(1)


def test_max_width_caps_the_channels_and_lifts_the_papers_cap():
    assert SegNet(width=4, max_width=8).encoder5.conv2.out_channels == 8
    assert SegNet(width=4).encoder5.conv2.out_channels == 32
    assert SegNet(width=4, max_width=64).encoder5.conv2.out_channels == 64


def test_aliases_name_the_papers_layers():
    aliases = SegNet(width=2).layer_aliases
    assert len(aliases) == 21
    assert aliases["conv2d"] == "encoder1.relu1"
    assert aliases["conv2d_9"] == "encoder5.relu2"
    assert aliases["conv2d_10"] == "decoder5.relu1"
    assert aliases["conv2d_19"] == "decoder1.relu2"
    assert aliases["conv2d_20"] == "softmax"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"upsample": "nearest"}, "model.upsample: 'nearest' is none of unpool, transpose, hybrid"),
        ({"norm": "layer"}, "model.norm: 'layer' is none of"),
        ({"width": 0}, "width 0"),
        ({"dilation": [1, 2]}, "expected one number of 1 or more, or 5"),
        ({"dropout": 1.0}, "model.dropout: 1.0; expected a share from 0 to below 1"),
        ({"width": 8, "max_width": 4}, "max_width: 4 is below model.width 8"),
    ],
)
def test_refuses_settings_that_make_no_network(settings, message):
    with pytest.raises(InputError, match=message):
        SegNet(**settings)


def drawn_net(**settings):
    torch.manual_seed(3)
    return SegNet(width=2, norm="batch", **settings)


def test_dropout_adds_nothing_to_the_weights_and_nothing_in_eval_mode():
    plain, dropped = drawn_net().eval(), drawn_net(dropout=0.5).eval()
    image = torch.rand(1, 1, 40, 60)
    assert list(plain.state_dict()) == list(dropped.state_dict())
    assert plain.layer_aliases == dropped.layer_aliases
    assert torch.equal(plain(image), dropped(image))
    assert not any(isinstance(part, nn.Dropout) for part in plain.modules())


def test_dropout_follows_the_deepest_three_encoders_and_decoders_and_leaves_skips_whole():
    net, seen = drawn_net(dropout=0.5).train(), {}
    blocks = [f"{side}{number}" for side in ("encoder", "decoder") for number in (3, 4, 5)]
    assert sorted(name for name, part in net.named_modules() if isinstance(part, nn.Dropout)) == sorted(
        f"{block}_dropout" for block in blocks
    )
    for name in (*(f"{block}_dropout" for block in blocks), "encoder4", "decoder4"):
        net.get_submodule(name).register_forward_hook(
            lambda _, given, out, name=name: seen.update({name: (given, out)})
        )
    net(torch.rand(1, 1, 64, 96))
    for block in blocks:
        (before,), after = seen[f"{block}_dropout"]
        kept = after != 0
        assert torch.equal(after[kept], 2 * before[kept])
        assert (before[~kept] > 0).any(), "dropout set something to 0"
    assert torch.equal(seen["decoder4"][0][1], seen["encoder4"][1]), "the skip is what the encoder gave"


@pytest.mark.filterwarnings("ignore")  # the exporter's own, of torch and onnxscript
def test_onnx_export_gives_the_same_logits(tmp_path):
    import onnxruntime

    net = SegNet(width=2).eval()
    image = torch.rand(1, 1, 64, 96)
    torch.onnx.export(net, (image,), tmp_path / "net.onnx", dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    assert torch.allclose(torch.from_numpy(logits), net(image), atol=1e-4)
