"""Each method against numbers worked by hand, pytorch-grad-cam and captum. Images are 32 rows by 64 columns."""

import numpy as np
import pytest
import pytorch_grad_cam
import torch
from captum.attr import LayerGradientXActivation
from pytorch_grad_cam.utils.model_targets import SemanticSegmentationTarget
from torch import nn

from retseg.errors import InputError
from retseg.explain.adapter import NATIVE
from retseg.explain.engine import explain
from retseg.explain.methods import CHANNEL_WEIGHTS, METHODS, PIXEL_MAPS, check_methods, seg_xres_cam, weighted_maps
from retseg.explain.score import Score
from retseg.models.segnet import SegNet

# One scan, two channels, one row, two columns.
FEATURES = torch.tensor([[[[1.0, 3.0]], [[2.0, -2.0]]]])
GRADIENTS = torch.tensor([[[[2.0, -1.0]], [[1.0, 4.0]]]])


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("gradcam", [0.5, 2.5]),
        ("xgradcam", [(2 - 3) / 4, 0]),  # features of the second channel sum to 0
        # Shares g^2 / (2 g^2 + sum(A) g^3): sum(A) = 4: 4/(8+32), 1/(2-4); sum(A) = 0: 1/2 everywhere.
        ("gradcam++", [4 / 40 * 2, 0.5 * 1 + 0.5 * 4]),
    ],
)
def test_channel_weights_by_hand(method, expected):
    torch.testing.assert_close(CHANNEL_WEIGHTS[method](FEATURES, GRADIENTS), torch.tensor([expected]))


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("hirescam", [2 + 2, 0]),  # -3 - 8 is cut off
        ("layercam", [2 + 2, 0]),  # 0 - 8
        ("seg-xres-cam", [2 + 8, 6 - 8]),  # maxima over the one window: 2 and 4
    ],
)
def test_pixel_maps_by_hand(method, expected):
    assert PIXEL_MAPS[method](FEATURES, GRADIENTS).tolist() == [[[max(value, 0) for value in expected]]]


def test_a_gradient_of_zero_gives_a_blank_map_not_nan():
    for compute in CHANNEL_WEIGHTS.values():
        assert compute(FEATURES, 0 * GRADIENTS).tolist() == [[0, 0]]
        assert compute(0 * FEATURES, GRADIENTS).isfinite().all()
    for compute in PIXEL_MAPS.values():
        assert compute(FEATURES, 0 * GRADIENTS).abs().max() == 0


def test_weighted_maps_are_cut_off_at_zero():
    weights = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1.0, 1.0]]])
    assert weighted_maps(weights, FEATURES).tolist() == [[[[1, 3]], [[2, 0]], [[1, 0]]]]


def test_seg_xres_cam_lies_between_grad_cam_and_hirescam():
    generator = torch.Generator().manual_seed(0)
    features, gradients = torch.rand(2, 3, 8, 12, generator=generator), torch.randn(2, 3, 8, 12, generator=generator)
    in_blocks = gradients[:, :, ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3)
    even = gradients[:, :, :1, :1].expand(2, 3, 8, 12)
    as_gradcam = weighted_maps(CHANNEL_WEIGHTS["gradcam"](features, even)[:, None], features)[:, 0]
    torch.testing.assert_close(seg_xres_cam(features, even), as_gradcam)
    torch.testing.assert_close(seg_xres_cam(features, even), PIXEL_MAPS["hirescam"](features, even))
    # Gradients that are even within the windows differ from HiResCAM by the enlargement alone: not at all between
    # the centres of windows with the same gradient.
    in_blocks[..., 4:] = in_blocks[..., 4:5]
    in_blocks[:] = in_blocks[:, :, :1]
    torch.testing.assert_close(
        seg_xres_cam(features, in_blocks)[..., 6:], PIXEL_MAPS["hirescam"](features, in_blocks)[..., 6:]
    )


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 9)])
def test_seg_xres_cam_of_maps_that_its_window_does_not_divide(size):
    maps = seg_xres_cam(torch.ones(1, 2, *size), torch.ones(1, 2, *size))
    assert torch.equal(maps, torch.full((1, *size), 2.0))


@pytest.fixture(scope="module", params=["decoder1.relu2", "decoder2.conv1", "decoder4.relu2", "encoder5.relu2"])
def layer(request):
    return request.param


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return SegNet(width=4).eval()


@pytest.fixture(scope="module")
def image():
    return torch.rand(2, 1, 32, 64, generator=torch.Generator().manual_seed(1))


def librarys_raw_map(cls, net, path, image, class_id):
    """Before the library's scaling. Its score is the sum of the probability over the scan."""
    cam = getattr(pytorch_grad_cam, cls)(nn.Sequential(net, nn.Softmax(1)), [net.get_submodule(path)])
    targets = [SemanticSegmentationTarget(class_id, np.ones((32, 64), np.float32))] * len(image)
    cam(image, targets)
    recorded = cam.activations_and_grads
    features, gradients = recorded.activations[0].numpy(), recorded.gradients[0].numpy()
    return np.maximum(cam.get_cam_image(image, cam.target_layers[0], targets, features, gradients, False), 0)


@pytest.mark.parametrize("cls", [cls for cls in NATIVE if cls != "GradCAMPlusPlus"])
def test_equals_pytorch_grad_cam(cls, layer, net, image):
    ours = explain(net, image, [layer], [NATIVE[cls]]).maps[NATIVE[cls], layer]
    for class_id in range(0, 8, 3):
        theirs = librarys_raw_map(cls, net, layer, image, class_id)
        # XGradCAM before a ReLU divides by sums of features that may all but cancel.
        np.testing.assert_allclose(ours.raw[:, class_id], theirs, atol=1e-5, rtol=1e-3 if cls == "XGradCAM" else 1e-4)


def test_grad_cam_plus_plus_equals_pytorch_grad_cam_but_for_the_number_that_it_adds(net, image, monkeypatch):
    """It adds 1e-6 to the divisor, next to squared gradients; with gradients far above a thousandth both agree."""
    path = "decoder1.relu2"
    big = SegNet(width=4).eval()
    big.load_state_dict(net.state_dict())
    big.head.weight.data *= 100
    ours = explain(big, image, [path], ["gradcam++"]).maps["gradcam++", path].raw
    theirs = np.stack([librarys_raw_map("GradCAMPlusPlus", big, path, image, c) for c in range(8)], 1)
    assert theirs.max() > 1
    # Its eq. 19 has a pole at g = -2 / sum(A), where ReLU(g) is 0: harmless.
    np.testing.assert_allclose(ours, theirs, rtol=2e-2, atol=2e-2 * theirs.max())
    assert np.corrcoef(ours.flatten(), theirs.flatten())[0, 1] > 0.9999


def test_hirescam_equals_captums_gradient_times_activation(layer, net, image):
    ours = explain(net, image, [layer], ["hirescam"], Score("log_probability", "mean")).maps["hirescam", layer].raw
    oracle = LayerGradientXActivation(lambda x: net(x).log_softmax(1).mean((2, 3)), net.get_submodule(layer))
    for class_id in range(0, 8, 3):
        theirs = oracle.attribute(image, target=class_id).sum(1).relu().detach()
        torch.testing.assert_close(ours[:, class_id], theirs, atol=1e-8, rtol=1e-4)


def test_hirescam_at_the_last_layer_adds_up_to_the_logit_less_its_bias(net, image):
    """Draelos and Carin's completeness: for a linear head the map's sum before the ReLU is the score less the bias."""
    shifted = SegNet(width=4).eval()
    shifted.load_state_dict(net.state_dict())
    shifted.head.weight.data.abs_()  # no negative part for the ReLU to cut off
    raw = explain(shifted, image, ["conv2d_19"], ["hirescam"], Score("logit")).maps["hirescam", "conv2d_19"].raw
    with torch.no_grad():
        expected = shifted(image) - shifted.head.bias.view(1, 8, 1, 1)
    torch.testing.assert_close(raw, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("names", [[], ["gradcam", "gradcam+++"]])
def test_unknown_methods_are_answered_with_all(names):
    with pytest.raises(InputError, match=f"choose from {', '.join(METHODS)}|at least one of".replace("+", r"\+")):
        check_methods(names)
