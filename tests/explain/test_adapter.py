"""Methods of pytorch-grad-cam on segmentation logits; the model as it was found. Images are 32 rows by 48 columns."""

import numpy as np
import pytest
import pytorch_grad_cam
import torch
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import SemanticSegmentationTarget
from torch import nn

from retseg.errors import InputError
from retseg.explain.adapter import (
    FULLGRAD_LAYER,
    NATIVE,
    NOT_AT_SOFTMAX,
    NOT_OFFERED,
    OFFERED,
    ONE_MAP_FOR_ALL,
    library_maps,
)
from retseg.explain.engine import explain
from retseg.explain.score import Score
from retseg.models.segnet import SegNet

NO_MAPS = {
    "AblationLayer", "AblationLayerVit", "AblationLayerFasterRCNN", "ActivationsAndGradients",  # parts of the others
    "DeepFeatureFactorization",  # concepts of a set of scans, not of a class
    "GuidedBackpropReLUModel",  # gradients at the image, not a class activation map
}  # fmt: skip


@pytest.fixture
def net():
    torch.manual_seed(0)
    return SegNet(width=2).train()


@pytest.fixture
def image():
    return torch.rand(2, 1, 32, 48, generator=torch.Generator().manual_seed(1))


def layer_of(method):
    return FULLGRAD_LAYER if method == "FullGrad" else "conv2d_15"


def test_every_class_of_the_library_is_accounted_for():
    classes = {name for name, thing in vars(pytorch_grad_cam).items() if isinstance(thing, type)}
    assert classes == {*OFFERED, *NOT_OFFERED, *NATIVE} | NO_MAPS
    assert not set(OFFERED) & (set(NOT_OFFERED) | set(NATIVE))


@pytest.mark.parametrize("method", OFFERED)
def test_what_is_offered_works_and_leaves_everything_as_found(method, net, image):
    net.head.weight.grad = torch.full_like(net.head.weight, 7.0)
    net.encoder2.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes, modules = [m.training for m in net.modules()], dict(net.named_modules())
    random_states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    with torch.inference_mode():
        found = library_maps(net, image, [layer_of(method)], [method]).maps[method, layer_of(method)]
    assert found.raw.shape == ((2, 8, 32, 48) if method == "FullGrad" else (2, 8, 8, 16))  # 48 columns are padded to 64
    assert found.raw.isfinite().all()
    assert found.raw.min() >= 0
    assert found.raw_max.max() > 0
    same = [torch.equal(found.raw[:, 0], found.raw[:, class_id]) for class_id in range(8)]
    assert all(same) is (method in ONE_MAP_FOR_ALL)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [m.training for m in net.modules()] == modes
    assert dict(net.named_modules()) == modules
    assert not any(m._forward_hooks or m._backward_hooks for m in net.modules())
    assert net.head.weight.grad.unique().tolist() == [7.0]
    assert all(p.grad is None for name, p in net.named_parameters() if name != "head.weight")
    assert torch.equal(torch.get_rng_state(), random_states[0])
    assert np.array_equal(np.random.get_state()[1], random_states[1])  # noqa: NPY002


@pytest.mark.parametrize("method", ["EigenGradCAM", "ScoreCAM", "GradCAMElementWise"])
def test_maps_are_the_librarys_before_its_scaling(method, net, image):
    ours = library_maps(net, image, ["decoder2.relu2"], [method]).maps[method, "decoder2.relu2"]
    model = nn.Sequential(net, nn.Softmax(1))
    with getattr(pytorch_grad_cam, method)(model, [net.decoder2.relu2]) as cam:
        theirs = cam(image, [SemanticSegmentationTarget(3, np.ones((32, 48), np.float32))] * 2)
    rescaled = scale_cam_image(scale_cam_image(ours.raw[:, 3].numpy(), (48, 32)))
    assert theirs.max() > 0.9
    np.testing.assert_allclose(rescaled, theirs, atol=1e-4)


def test_the_element_wise_grad_cam_of_a_layer_after_its_relu_bounds_hirescam(net, image):
    score = Score("logit", "mean", "predicted")
    theirs = library_maps(net, image, ["conv2d_17"], ["GradCAMElementWise"], score)
    ours = explain(net, image, ["conv2d_17"], ["hirescam", "layercam"], score)
    upper = theirs.maps["GradCAMElementWise", "conv2d_17"].raw
    assert (upper >= ours.maps["hirescam", "conv2d_17"].raw - 1e-6).all()
    torch.testing.assert_close(upper, ours.maps["layercam", "conv2d_17"].raw)  # features are not negative there
    torch.testing.assert_close(theirs.probabilities, ours.probabilities)


def test_in_place_activations_do_not_change_the_maps(image):
    torch.manual_seed(0)
    head = [nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 1)]
    outside = library_maps(nn.Sequential(*head), image, ["0"], ["GradCAMElementWise"])
    head[1] = nn.ReLU(inplace=True)
    inside = library_maps(nn.Sequential(*head), image, ["0"], ["GradCAMElementWise"])
    assert torch.equal(outside.maps["GradCAMElementWise", "0"].raw, inside.maps["GradCAMElementWise", "0"].raw)
    assert head[1].inplace


@pytest.mark.parametrize("of", ["logit", "log_probability", "probability"])
def test_scores(of, net, image):
    score = Score(of, "mean", torch.arange(48).expand(32, 48) % 2 == 0)
    theirs = library_maps(net, image, ["conv2d_13"], ["ShapleyCAM"], score).maps["ShapleyCAM", "conv2d_13"]
    ours = explain(net, image, ["conv2d_13"], ["gradcam"], score).maps["gradcam", "conv2d_13"]
    # To the logit of piecewise linear layers there is no Hessian: ShapleyCAM is Grad-CAM.
    difference = (theirs.raw - ours.raw).abs().max() / ours.raw.max()
    assert difference < 1e-4 if of == "logit" else difference > 1e-2


@pytest.mark.parametrize(
    ("method", "layer", "message"),
    [
        ("GradCAM", "conv2d_19", "method 'GradCAM' is retseg's own 'gradcam'"),
        ("FinerCAM", "conv2d_19", "method 'FinerCAM' compares scores along the output's last axis"),
        ("SESS", "conv2d_19", "method 'SESS' cuts the scan into windows"),
        ("RefineCAM", "conv2d_19", "method 'RefineCAM' a product over layers"),
        ("BestCAM", "conv2d_19", "method 'BestCAM' is not known; choose from AblationCAM, EigenCAM"),
        ("FullGrad", "conv2d_19", "method 'FullGrad' at layer 'conv2d_19': FullGrad has the one layer 'biases'"),
        ("EigenCAM", "biases", "method 'EigenCAM' at layer 'biases'"),
        ("EigenCAM", "conv2d_99", "layer 'conv2d_99' is not in this network"),
        *((method, "softmax", f"method '{method}' at the softmax") for method in NOT_AT_SOFTMAX),
    ],
)
def test_what_is_not_offered_says_why(method, layer, message, net, image):
    with pytest.raises(InputError, match=message):
        library_maps(net, image, [layer], [method])


def test_a_layer_whose_matrix_would_not_fit_is_refused(net):
    with pytest.raises(InputError, match=r"method 'KPCA_CAM' at a layer of 96 x 64 pixels: .* at most 4096 pixels"):
        library_maps(net, torch.rand(1, 1, 96, 64), ["conv2d_19"], ["KPCA_CAM"])


def test_the_reason_against_finercam_and_the_softmax_is_true(net, image):
    """FinerCAM without a score fails on logits (N, C, H, W); ablating probabilities gives scores beyond any of them."""
    with pytest.raises((ValueError, TypeError, IndexError, RuntimeError)):
        pytorch_grad_cam.FinerCAM(net, [net.decoder2.relu2])(image)
    softmax = nn.Softmax(1)
    cam = pytorch_grad_cam.AblationCAM(nn.Sequential(net, softmax), [softmax])
    target = SemanticSegmentationTarget(3, np.ones((32, 48), np.float32))
    weights = cam.get_cam_weights(image, softmax, [target] * 2, torch.zeros(2, 8, 32, 48), None)
    assert weights.max() > 1e4
