"""All layers and methods from one pass, in chunks, for any network; the six identities on random networks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from retseg.errors import InputError
from retseg.explain.engine import check_layers, explain
from retseg.explain.gradcam import gradcam
from retseg.explain.methods import METHODS
from retseg.explain.regions import Band, Pixel, TrueLayer
from retseg.explain.score import Score
from retseg.models.segnet import SegNet

LAYERS = ["softmax", "conv2d_19", "conv2d_17", "conv2d_9"]


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return SegNet(width=3, norm="batch").eval()


@pytest.fixture(scope="module")
def image():
    return torch.rand(3, 1, 32, 64, generator=torch.Generator().manual_seed(1))


def naive_maps(net, image, layer, score):
    """One class, one layer at a time, everything differentiated: what the engine must give, by method."""
    features = []
    hook = net.get_submodule(layer).register_forward_hook(lambda module, inputs, output: features.append(output))
    logits = net(image)
    hook.remove()
    found, totals = features[0].detach(), score.values(logits).sum(0)
    sums = found.sum((2, 3), keepdim=True)
    rows = {"gradcam": [], "hirescam": [], "layercam": [], "xgradcam": []}
    for total in totals:
        (gradient,) = torch.autograd.grad(total, features[0], retain_graph=True)
        rows["gradcam"].append(gradient.mean((2, 3), keepdim=True) * found)
        rows["hirescam"].append(gradient * found)
        rows["layercam"].append(gradient.clamp(min=0) * found)
        rows["xgradcam"].append((gradient * found).sum((2, 3), keepdim=True) / sums.where(sums != 0, 1) * found)
    return {method: torch.stack(terms, 1).sum(2).clamp(min=0) for method, terms in rows.items()}


@pytest.mark.parametrize("of", ["probability", "log_probability", "logit"])
@pytest.mark.parametrize("over", ["image", "predicted", "true", "pixel", "band", "mask"])
def test_every_score_at_every_layer_equals_the_naive_way(net, image, of, over):
    ids = (torch.arange(32)[:, None].expand(3, 32, 64) // 4).contiguous()
    regions = {
        "true": TrueLayer(ids),
        "pixel": Pixel(7, 40),
        "band": Band.around(ids, 2, 3),
        "mask": ids % 3 == 0,
    }
    score = Score(of, "mean", regions.get(over, over))
    layers = {"conv2d_19": "decoder1.relu2", "conv2d_13": "decoder4.relu2"}
    expected = {layer: naive_maps(net, image, module, score) for layer, module in layers.items()}
    found = explain(net, image, list(layers), list(expected["conv2d_13"]), score)
    for (method, layer), maps in found.maps.items():
        torch.testing.assert_close(maps.raw, expected[layer][method], atol=1e-6, rtol=1e-3)
        assert maps.gradient == ("closed form" if layer == "conv2d_19" else "autograd")
        assert (maps.weights is None) is (method in ("hirescam", "layercam"))
    torch.testing.assert_close(found.probabilities, net(image).softmax(1).detach())


@pytest.mark.parametrize("chunk", [1, 2, 3, 5])
def test_chunks_of_scans_give_the_same(net, image, chunk):
    score = Score(over=torch.rand(3, 32, 64, generator=torch.Generator().manual_seed(2)) > 0.3)
    passes = []
    hook = net.encoder1.register_forward_hook(lambda module, inputs, output: passes.append(len(output)))
    whole, parts = (explain(net, image, LAYERS, METHODS, score, chunk=size) for size in (None, chunk))
    hook.remove()
    assert passes == [3, *([chunk] * (3 // chunk)), *([3 % chunk] if 3 % chunk else [])]
    torch.testing.assert_close(parts.probabilities, whole.probabilities)
    assert list(parts.maps) == [(method, layer) for method in METHODS for layer in LAYERS]
    for key, maps in whole.maps.items():
        # Grad-CAM++ divides by what may be near 0.
        close = {"atol": 1e-3, "rtol": 1e-2} if key[0] == "gradcam++" else {"atol": 1e-5, "rtol": 1e-3}
        torch.testing.assert_close(parts.maps[key].raw, maps.raw, **close)


def test_many_methods_cost_one_forward_and_one_backward_pass_a_class(net, image):
    passes = []

    def count(module, inputs, output):
        passes.append("forward")
        output.register_hook(lambda gradient: passes.append("backward"))

    hook = net.decoder3.register_forward_hook(count)
    explain(net, image, ["conv2d_13", "conv2d_17"], METHODS)
    hook.remove()
    assert passes == ["forward", *["backward"] * 8]


def test_what_the_head_reads_needs_no_backward_pass(net, image, monkeypatch):
    monkeypatch.setattr(torch.autograd, "grad", lambda *arguments, **options: pytest.fail("a backward pass"))
    found = explain(net, image, ["conv2d_20", "conv2d_19"], METHODS)
    assert {maps.gradient for maps in found.maps.values()} == {"closed form"}


def test_no_gradient_of_a_parameter_is_computed(net, image):
    asked = []
    handles = [p.register_hook(lambda g: asked.append(1)) for p in net.parameters()]
    explain(net, image, ["conv2d_9"])
    for handle in handles:
        handle.remove()
    assert asked == []


def test_maps_on_the_image_peaks_and_normalised(net, image):
    maps = explain(net, image, ["conv2d_17"]).maps["gradcam", "conv2d_17"]
    assert maps.raw.shape == (3, 8, 16, 32)
    on_image = maps.on_image((32, 64))
    assert on_image.shape == (3, 8, 32, 64)
    assert on_image.amax((2, 3)).le(maps.raw_max + 1e-7).all()
    assert maps.normalised.amax((2, 3)).unique().tolist() in ([1], [0, 1])
    assert torch.equal(gradcam(net, image, ["conv2d_17"])["conv2d_17"].raw, maps.raw)


def test_a_class_without_a_pixel_is_blank_by_every_method_where_the_score_is_its_region(net, image):
    nowhere = torch.zeros(3, 8, 32, 64, dtype=torch.bool)
    nowhere[:, 1] = True
    found = explain(net, image, LAYERS, METHODS, Score(over=nowhere))
    for maps in found.maps.values():
        assert maps.raw[:, [0, 2, 3, 4, 5, 6, 7]].abs().max() == 0
        assert maps.raw.isfinite().all()


# The six identities of paper.md on random networks and scans.

EVERY_NETWORK = st.builds(
    lambda seed, width, upsample, norm, height, columns: (seed, width, upsample, norm, 32 * height, 32 * columns),
    st.integers(0, 2**31),
    st.sampled_from([1, 2, 4]),
    st.sampled_from(["unpool", "transpose", "hybrid"]),
    st.sampled_from(["none", "batch", "group"]),
    st.integers(1, 2),
    st.integers(1, 3),
)


@given(EVERY_NETWORK)
@settings(max_examples=10, deadline=None)
def test_the_six_identities(network):
    seed, width, upsample, norm, height, columns = network
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = SegNet(width=width, upsample=upsample, norm=norm).double()
        nn.init.normal_(net.head.bias)
        image = torch.rand(2, 1, height, columns).double()
    layers = ["softmax", "conv2d_19", "conv2d_17", "conv2d_13", "conv2d_9"]
    by_sum, by_mean = (explain(net, image, layers, score=Score(reduction=how)) for how in ("sum", "mean"))
    probabilities, weights = by_sum.probabilities, {layer: by_sum.maps["gradcam", layer].weights for layer in layers}
    close = {"atol": 1e-9, "rtol": 1e-7}  # in float64, so that no map is rounding error alone
    # 1: alpha at the softmax is 1/C on average, with a mean score 1/(C H W).
    torch.testing.assert_close(weights["softmax"].mean(2), torch.full((2, 8), 1 / 8).double(), **close)
    mean_weights = by_mean.maps["gradcam", "softmax"].weights.mean(2)
    torch.testing.assert_close(mean_weights * height * columns, torch.full((2, 8), 1 / 8).double(), **close)
    # 2: the map there is the probability; its means sum to 1 over classes.
    at_softmax = by_sum.maps["gradcam", "softmax"]
    torch.testing.assert_close(at_softmax.normalised, probabilities / probabilities.amax((2, 3), keepdim=True), **close)
    torch.testing.assert_close(at_softmax.raw.mean((2, 3)).sum(1), torch.ones(2).double(), **close)
    # 3: before the softmax, alphas of a probability score sum to 0 over classes.
    for layer in layers[1:]:
        assert weights[layer].sum(1).abs().max() <= 1e-9 * weights[layer].abs().max().clamp(min=1)
    # 4: before the head, with the logit sum, alpha is the head's weight and the map is ReLU(z - b).
    by_logit = explain(net, image, ["conv2d_19"], score=Score("logit")).maps["gradcam", "conv2d_19"]
    head, bias = net.head.weight.detach().flatten(1), net.head.bias.detach().view(1, 8, 1, 1)
    torch.testing.assert_close(by_logit.weights, head.expand(2, -1, -1), **close)
    with torch.no_grad():
        logits = net.eval()(image)
    torch.testing.assert_close(by_logit.raw, (logits - bias).relu(), **close)
    # 5: there, with the probability sum: alpha_k^c is the mean of P_c (W_ck - sum over m of P_m W_mk).
    p = probabilities.flatten(2)
    expected = (p.mean(2)[..., None] * head) - torch.einsum("ncp,nmp,mk->nck", p, p, head) / p.shape[2]
    torch.testing.assert_close(weights["conv2d_19"], expected, **close)
    # 6: sum and mean scores give the same normalised map.
    for layer in layers:
        torch.testing.assert_close(
            by_sum.maps["gradcam", layer].normalised, by_mean.maps["gradcam", layer].normalised, **close
        )


# Other networks.


class Residual(nn.Module):
    """Not of retseg: strided, in-place ReLUs, transposed convolutions, dropout, an addition, a crop."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 6, 3, 2, 1), nn.InstanceNorm2d(6, affine=True), nn.ReLU(inplace=True))
        self.body = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.PReLU(), nn.Dropout2d(0.5))
        self.up = nn.ConvTranspose2d(6, 4, 2, 2)
        self.out = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(4, 5, 1))

    def forward(self, image):
        x = self.stem(image)
        return self.out(self.up(x + self.body(x)))[..., :-1, :-2]


def test_a_network_that_is_not_of_retseg(image):
    torch.manual_seed(0)
    net = Residual()
    layers = ["stem.0", "stem", "body.0", "up", "out.0", "out.1"]
    found = explain(net, image, layers, METHODS, Score("log_probability", "mean"))
    net.eval()
    for layer in ("stem", "body.0", "up"):  # where nothing in place follows what a plain hook reads
        module = net.out[0] if layer == "up" else None
        if module is not None:
            module.inplace = False
        expected = naive_maps(net, image, layer, Score("log_probability", "mean"))["hirescam"]
        torch.testing.assert_close(found.maps["hirescam", layer].raw, expected, atol=1e-6, rtol=1e-3)
    assert found.maps["gradcam", "out.1"].raw.shape == (3, 5, 32, 64)
    assert found.probabilities.shape == (3, 5, 31, 62)
    with pytest.raises(InputError, match=r"layer 'stem.3' is not in this network; did you mean stem.2, stem.0"):
        explain(net, image, ["stem.3"])


def test_a_unet_of_monai(image):
    from monai.networks.nets import UNet

    torch.manual_seed(0)
    net = UNet(spatial_dims=2, in_channels=1, out_channels=4, channels=(4, 8, 8), strides=(2, 2), num_res_units=1)
    deep = [name for name, module in net.named_modules() if isinstance(module, nn.Conv2d)]
    found = explain(net, image, [deep[0], deep[-2]], METHODS, chunk=2)
    net.eval()
    for layer in (deep[0], deep[-2]):
        for method, expected in naive_maps(net, image, layer, Score()).items():
            torch.testing.assert_close(found.maps[method, layer].raw, expected, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"layers": ["conv2d_91"]},
            "layer 'conv2d_91' is not in this network; did you mean conv2d_9, conv2d_1, conv2d_19",
        ),
        ({"layers": ["conv2d_19"], "methods": ["grad-cam"]}, "method 'grad-cam' is not known; choose from gradcam"),
        ({"layers": ["conv2d_19"], "chunk": 0}, "chunk: 0, expected at least 1 scan"),
        ({"layers": ["softmax"], "score": Score("log_probability")}, "'softmax' is the softmax, where the gradient"),
    ],
)
def test_wrong_wishes(net, image, arguments, message):
    with pytest.raises(InputError, match=message):
        explain(net, image, **arguments)


def test_layers_are_checked_without_a_scan(net):
    assert check_layers(net, ["conv2d_20", "head"]) == {"conv2d_20": "softmax", "head": "head"}
