"""Grad-CAM against numbers worked by hand, pytorch-grad-cam and captum. Images are 32 rows by 64 columns."""

from math import log

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import SemanticSegmentationTarget
from torch import nn

from retseg.errors import InputError
from retseg.explain.gradcam import SOFTMAX, Score, gradcam, normalise, to_image_grid
from retseg.models.segnet import SegNet

DEEP = ["conv2d_19", "conv2d_17", "conv2d_15", "conv2d_11", "encoder5.conv2", "head"]


@pytest.fixture(params=["unpool", "transpose"])
def segnet(request):
    torch.manual_seed(0)
    return SegNet(width=4, upsample=request.param)


@pytest.fixture
def image():
    return torch.rand(2, 1, 32, 64, generator=torch.Generator().manual_seed(1))


class Cropped(nn.Module):
    """The same logits as another object, as a network that crops its padding gives them: no closed form."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        return self.net(image)[..., :, :]


def hand_net():
    """Features A_1 = x, A_2 = 3 - x; logits z_1 = ln(3) A_1 + 1, z_2 = 1: no learning, no rounding worth the name."""
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 1))
    state = {
        "0.weight": torch.tensor([1.0, -1.0]).view(2, 1, 1, 1),
        "0.bias": torch.tensor([0.0, 3.0]),
        "2.weight": torch.tensor([[log(3), 0.0], [0.0, 0.0]]).view(2, 2, 1, 1),
        "2.bias": torch.tensor([1.0, 1.0]),
    }
    net.load_state_dict(state)
    return net, torch.tensor([1.0, 2.0]).view(1, 1, 1, 2)  # P_1 = 3/4 at the first pixel, 9/10 at the second


# The six identities of the paper's checklist.


def test_identity_1_alpha_at_the_softmax_is_one_over_c_on_average_for_any_network(segnet, image):
    at_softmax = gradcam(segnet, image, ["conv2d_20"])["conv2d_20"]
    assert torch.equal(at_softmax.weights, torch.eye(8).expand(2, 8, 8))
    assert at_softmax.mean_weight.unique().tolist() == [0.125]
    mean_score = gradcam(segnet, image, [SOFTMAX], Score(reduction="mean"))[SOFTMAX]
    torch.testing.assert_close(mean_score.mean_weight, torch.full((2, 8), 1 / (8 * 32 * 64)))


def test_identity_2_the_map_at_the_softmax_is_the_prediction_and_the_means_sum_to_one(segnet, image):
    cam = gradcam(segnet, image, [SOFTMAX])
    assert torch.equal(cam[SOFTMAX].raw, cam.probabilities)
    assert torch.equal(cam[SOFTMAX].normalised, cam.probabilities / cam.probabilities.amax((2, 3), keepdim=True))
    torch.testing.assert_close(cam[SOFTMAX].mean_intensity_raw.sum(1), torch.ones(2))


@pytest.mark.parametrize("layer", DEEP)
def test_identity_3_alphas_sum_to_zero_over_classes_before_the_softmax(segnet, image, layer):
    weights = gradcam(segnet, image, [layer])[layer].weights
    assert weights.abs().max() > 1e-4
    assert weights.sum(1).abs().max() < 1e-6 * weights.abs().max().clamp(min=1)


def test_identity_4_with_the_logit_sum_alpha_is_the_head_and_the_map_is_relu_of_z_minus_b(segnet, image):
    torch.nn.init.normal_(segnet.head.bias)
    cam = gradcam(segnet, image, ["conv2d_19"], Score(of="logit"))["conv2d_19"]
    assert torch.equal(cam.weights, segnet.head.weight.flatten(1).expand(2, -1, -1))
    segnet.eval()
    with torch.no_grad():
        expected = (segnet(image) - segnet.head.bias.view(1, 8, 1, 1)).relu()
    torch.testing.assert_close(cam.raw, expected, atol=1e-5, rtol=1e-5)


def test_identity_5_with_the_softmax_sum_by_hand():
    net, image = hand_net()
    cam = gradcam(net, image, ["1"])["1"]
    # alpha_1^1 = mean of P_1 P_2 ln 3 = (3/16 + 9/100) / 2 ln 3; feature 2 feeds nothing; class 2 is the opposite.
    alpha = (3 / 16 + 9 / 100) / 2 * log(3)
    assert cam.method == "closed form"
    torch.testing.assert_close(cam.weights, torch.tensor([[[alpha, 0.0], [-alpha, 0.0]]]))
    torch.testing.assert_close(cam.raw, torch.tensor([[[[alpha, 2 * alpha]], [[0.0, 0.0]]]]))
    torch.testing.assert_close(cam.normalised, torch.tensor([[[[0.5, 1.0]], [[0.0, 0.0]]]]))
    torch.testing.assert_close(cam.mean_intensity, torch.tensor([[0.75, 0.0]]))
    torch.testing.assert_close(cam.mean_intensity_raw, torch.tensor([[1.5 * alpha, 0.0]]))
    torch.testing.assert_close(cam.raw_max, torch.tensor([[2 * alpha, 0.0]]))
    torch.testing.assert_close(cam.mean_weight, torch.tensor([[alpha / 2, -alpha / 2]]))


def test_identity_6_sum_and_mean_give_the_same_normalised_map(segnet, image):
    by_sum, by_mean = (gradcam(segnet, image, DEEP, Score(reduction=how)) for how in ("sum", "mean"))
    for layer in DEEP:
        torch.testing.assert_close(by_sum[layer].normalised, by_mean[layer].normalised, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(("of", "same"), [("logit", True), ("probability", False)])
def test_identity_6_a_region_changes_the_map_unless_the_head_is_linear_in_it(of, same):
    # Three classes: with two, alpha is always a multiple of W_1 - W_2, whatever the region.
    net, image = nn.Sequential(*hand_net()[0][:2], nn.Conv2d(2, 3, 1)), hand_net()[1]
    net[2].weight.data = torch.tensor([[1.0, 0.5], [0.0, 2.0], [3.0, 1.0]]).view(3, 2, 1, 1)
    region = torch.tensor([[True, False]])
    whole, part = (gradcam(net, image, ["1"], Score(of=of, over=over))["1"].normalised for over in ("image", region))
    assert torch.allclose(whole, part) is same


# Oracles.


@pytest.mark.parametrize("layer", ["decoder1.relu2", "decoder2.relu2", "decoder5.conv1", "encoder4.relu2"])
def test_equals_pytorch_grad_cam_before_and_after_its_scaling(segnet, image, layer):
    ours = gradcam(segnet, image, [layer])[layer]
    model = nn.Sequential(segnet, nn.Softmax(dim=1)).eval()
    with GradCAM(model, [segnet.get_submodule(layer)]) as oracle:
        for class_id in range(8):
            targets = [SemanticSegmentationTarget(class_id, np.ones((32, 64), np.float32))] * 2
            scaled = oracle(image, targets)
            recorded = oracle.activations_and_grads
            raw = oracle.get_cam_image(
                image, oracle.target_layers[0], targets, recorded.activations[0], recorded.gradients[0].numpy()
            )
            mine = ours.raw[:, class_id].numpy()
            np.testing.assert_allclose(mine, np.maximum(raw, 0), atol=1e-6, rtol=1e-4)
            if ours.raw_max[:, class_id].min() > 1e-3:  # its 1e-7 in the divisor shows below that
                rescaled = scale_cam_image(scale_cam_image(mine, (64, 32)))
                np.testing.assert_allclose(scaled, rescaled, atol=1e-4)


@pytest.mark.parametrize("layer", ["decoder1.relu2", "decoder3.conv2", "encoder5.relu1"])
def test_equals_captum(segnet, image, layer):
    ours = gradcam(segnet, image, [layer], Score(reduction="mean"))[layer].raw
    segnet.eval()
    oracle = LayerGradCam(lambda x: segnet(x).softmax(1).mean((2, 3)), segnet.get_submodule(layer))
    for class_id in range(8):
        theirs = oracle.attribute(image, target=class_id, relu_attributions=True)[:, 0]
        torch.testing.assert_close(ours[:, class_id], theirs.detach(), atol=1e-8, rtol=1e-4)


@pytest.mark.parametrize("of", ["probability", "logit"])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("over", ["image", "predicted", torch.arange(64).expand(32, 64) % 3 == 0])
def test_closed_form_equals_autograd(segnet, image, of, reduction, over):
    score = Score(of, reduction, over)
    by_hand = gradcam(segnet, image, ["conv2d_19"], score)["conv2d_19"]
    by_autograd = gradcam(Cropped(segnet), image, ["net.decoder1.relu2"], score)["net.decoder1.relu2"]
    assert (by_hand.method, by_autograd.method) == ("closed form", "autograd")
    torch.testing.assert_close(by_hand.weights, by_autograd.weights, atol=1e-7, rtol=1e-4)
    torch.testing.assert_close(by_hand.raw, by_autograd.raw, atol=1e-5, rtol=1e-4)


# What the closed form must not be fooled by.


def test_a_network_that_crops_its_padding_is_explained_by_autograd(segnet):
    cam = gradcam(segnet, torch.rand(1, 1, 30, 60), ["conv2d_19"])
    assert cam["conv2d_19"].method == "autograd"
    assert cam["conv2d_19"].raw.shape == (1, 8, 32, 64)
    assert cam.probabilities.shape == (1, 8, 30, 60)


@pytest.mark.parametrize("between", [nn.ReLU(inplace=True), nn.ReLU(), nn.Dropout(0.5)])
def test_what_stands_between_a_layer_and_the_head_counts(between):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), between, nn.Conv2d(4, 8, 1)).eval()
    image = torch.randn(1, 1, 4, 6)
    cam = gradcam(net, image, ["0"])["0"]
    features = net[0](image).detach().requires_grad_()
    logits = net[2](features.relu() if isinstance(between, nn.ReLU) else features)
    total = logits.softmax(1)[:, 3].sum()
    (gradient,) = torch.autograd.grad(total, features)
    torch.testing.assert_close(cam.weights[:, 3], gradient.mean((2, 3)))
    torch.testing.assert_close(cam.raw[:, 3], (gradient.mean((2, 3), keepdim=True) * features).sum(1).relu())
    assert cam.method == ("autograd" if isinstance(between, nn.ReLU) else "closed form")


def test_logits_changed_in_place_after_the_head_are_explained_by_autograd():
    class Doubled(nn.Sequential):
        def forward(self, image):
            return super().forward(image).mul_(2)

    net = Doubled(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 2, 1))
    cam = gradcam(net, torch.rand(1, 1, 2, 3), ["0"], Score(of="logit"))["0"]
    assert cam.method == "autograd"
    torch.testing.assert_close(cam.weights[0], 2 * net[1].weight.flatten(1).detach())


def test_one_forward_pass_and_no_graph_below_the_first_target(segnet, image):
    graphs = []
    segnet.encoder1.conv1.register_forward_hook(lambda m, x, y: graphs.append(y.requires_grad))
    segnet.decoder2.conv1.register_forward_hook(lambda m, x, y: graphs.append(y.requires_grad))
    gradcam(segnet, image, ["conv2d_19", "conv2d_17", "conv2d_20"])
    assert graphs == [False, False]


def test_two_names_of_one_layer_and_a_layer_that_is_a_block(segnet, image):
    cam = gradcam(segnet, image, ["conv2d_19", "decoder1.relu2", "decoder1"])
    assert [layer.module for layer in cam.layers.values()] == ["decoder1.relu2", "decoder1.relu2", "decoder1"]
    torch.testing.assert_close(cam["conv2d_19"].raw, cam["decoder1"].raw, atol=1e-6, rtol=1e-4)
    assert cam["conv2d_19"].raw is cam["decoder1.relu2"].raw


# Blank maps, quantiles, and maps on the pixels of the image.


def test_a_class_that_nothing_speaks_for_is_blank_not_nan(segnet, image):
    segnet.head.bias.data[5] = -1e4
    cam = gradcam(segnet, image, ["conv2d_19", "conv2d_11", SOFTMAX])
    for layer in cam.layers.values():
        assert torch.equal(layer.normalised[:, 5], torch.zeros_like(layer.raw[:, 5]))
        assert layer.raw_max[:, 5].tolist() == [0, 0]


def test_a_class_predicted_nowhere_is_blank_under_its_region_score(segnet, image):
    segnet.head.bias.data[5] = -100
    cam = gradcam(segnet, image, ["conv2d_11"], Score(reduction="mean", over="predicted"))["conv2d_11"]
    assert cam.weights[:, 5].abs().max() == 0


def test_a_quantile_keeps_one_bright_pixel_from_dimming_the_map():
    raw = torch.tensor([1.0, 2.0, 2.0, 2.0, 100.0]).view(1, 1, 1, 5)
    assert normalise(raw, 0.75).flatten().tolist() == [0.5, 1, 1, 1, 1]
    assert normalise(raw).flatten().tolist() == pytest.approx([0.01, 0.02, 0.02, 0.02, 1])
    assert normalise(torch.zeros(1, 1, 1, 5), 0.75).flatten().tolist() == [0] * 5


def test_maps_of_a_padded_network_are_cut_not_squeezed():
    rows = torch.arange(224.0).view(1, 1, 224, 1).expand(1, 1, 224, 512)
    assert torch.equal(to_image_grid(rows, (216, 500)), rows[..., :216, :500])
    deep = torch.rand(1, 1, 7, 16)
    assert torch.equal(to_image_grid(deep, (216, 500)), to_image_grid(deep, (224, 512))[..., :216, :500])


def test_maps_of_a_network_that_drops_odd_rows_keep_their_place():
    fine = to_image_grid(torch.arange(13.0).view(1, 1, 13, 1), (216, 16))  # 216 halved four times, rounding down
    assert fine.shape == (1, 1, 216, 16)
    assert fine[0, 0, 8 + 16 * 5 : 24 + 16 * 5, 0].mean() == pytest.approx(5.5)  # between the centres of pixels 5 and 6
    assert fine[0, 0, 208:].unique().tolist() == [12]


# Errors.


class Odd(nn.Module):
    """Convolutions that run twice, never, and beside the way to the logits; and a layer that gives no maps."""

    def __init__(self):
        super().__init__()
        self.twice, self.never, self.beside = (nn.Conv2d(1, 1, 1) for _ in range(3))
        self.flat, self.head = nn.Flatten(), nn.Conv2d(1, 2, 1)

    def forward(self, image):
        self.flat(image), self.beside(image)
        return self.head(self.twice(self.twice(image)))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("twice", "layer 'twice' runs more than once"),
        ("never", "layer 'never' does not run"),
        ("beside", "layer 'beside' has no way to the logits"),
        ("flat", "layer 'flat' gives no maps"),
    ],
)
def test_layers_that_cannot_be_explained(layer, message):
    with pytest.raises(InputError, match=message):
        gradcam(Odd(), torch.rand(1, 1, 2, 3), [layer])


def test_a_network_without_logits_is_refused():
    with pytest.raises(InputError, match="the network returned Tensor, expected a tensor of logits"):
        gradcam(nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten()), torch.rand(1, 1, 2, 3), ["0"])


def test_a_logit_score_at_the_softmax_is_refused(segnet, image):
    with pytest.raises(InputError, match="layer 'conv2d_20' is the softmax, which comes after the logits"):
        gradcam(segnet, image, ["conv2d_20"], Score(of="logit"))
