"""What every network keeps: sizes, scans apart, layers with names, gradients, maps, a program of torch.export."""

from copy import deepcopy

import hydra.utils
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from retseg.commands.config_folder import CONF, compose_config
from retseg.errors import InputError
from retseg.explain.gradcam import gradcam
from retseg.inference.torch_network import as_program
from retseg.models.relaynet import ReLayNet
from retseg.models.segnet import SegNet
from retseg.models.unet import UNet
from retseg.training.callbacks.gradcam import DEFAULT_LAYERS
from tests.models.networks import MAKERS, make

ALL = pytest.mark.parametrize("name", MAKERS)
TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}


@ALL
@pytest.mark.parametrize("size", [(64, 96), (50, 70), (1, 33), (37, 2)])
def test_gives_logits_of_eight_classes_of_the_input_size(name, size):
    assert make(name)(torch.rand(2, 1, *size)).shape == (2, 8, *size)


@ALL
def test_a_scan_gets_the_same_logits_alone_and_among_others(name):
    net, images = make(name), torch.rand(3, 1, 64, 40)
    with torch.no_grad():
        assert torch.allclose(net(images)[1:2], net(images[1:2]), **TOLERANCE)


@pytest.mark.parametrize("name", ["unet", "unet_cheap", "unet_coarse", "with_fluid", "with_surfaces_and_fluid"])
def test_logits_lie_where_the_image_is(name):
    """Kernels and image mirrored give logits mirrored: no stride, pooling or interpolation moves anything aside.

    Not of unpooling, whose indices prefer one side where a window has equal values, nor of torchvision's strides.
    """
    net, image = make(name), torch.rand(1, 1, 64, 96)
    mirrored = deepcopy(net)
    axes = (3,) if "surfaces" in name else (2, 3)
    for part in mirrored.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            part.weight.data = part.weight.data.flip(axes)
    with torch.no_grad():
        assert torch.allclose(mirrored(image.flip(axes)).flip(axes), net(image), **TOLERANCE)
        assert not torch.allclose(net(image.flip(axes)).flip(axes), net(image), **TOLERANCE)


@ALL
def test_every_parameter_gets_a_gradient(name):
    net = make(name).train()
    found = net(torch.rand(2, 1, 64, 64)) if not hasattr(net, "outputs") else net.outputs(torch.rand(2, 1, 64, 64))
    parts = [found] if isinstance(found, torch.Tensor) else [part for part in found if part is not None]
    sum((part * torch.randn_like(part)).sum() for part in parts).backward()
    without = [path for path, parameter in net.named_parameters() if parameter.grad is None]
    zero = [path for path, parameter in net.named_parameters() if path not in without and not parameter.grad.any()]
    assert without == []
    assert zero == []


@ALL
def test_the_papers_layer_names_lead_to_activations_and_have_maps(name):
    net = make(name)
    cams = gradcam(net, torch.rand(1, 1, 64, 64), DEFAULT_LAYERS)
    for layer in DEFAULT_LAYERS[1:]:
        assert isinstance(net.get_submodule(net.layer_aliases[layer]), nn.ReLU)
    assert [cams[layer].module for layer in DEFAULT_LAYERS] == [net.layer_aliases[layer] for layer in DEFAULT_LAYERS]
    assert (cams["conv2d_19"].raw >= 0).all()
    assert cams["conv2d_19"].raw.any()


@ALL
def test_no_activation_works_in_place(name):
    assert not [path for path, part in make(name).named_modules() if getattr(part, "inplace", False)]


@ALL
@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_a_program_for_any_size_gives_the_same_logits(name):
    net, image = make(name), torch.rand(1, 1, 96, 160)
    program = as_program(net, None).module()
    with torch.no_grad():
        assert torch.allclose(program(255 * image)[0], net(image), **TOLERANCE)


@pytest.mark.parametrize("name", ["unet_cheap", "mobilenet", "with_surfaces_and_fluid"])
@pytest.mark.filterwarnings("ignore")  # the exporter's own, of torch and onnxscript
def test_onnx_gives_the_same_logits(name, tmp_path):
    import onnxruntime

    net, image = make(name), torch.rand(2, 1, 64, 96)
    program = torch.onnx.export(as_program(net, None), dynamo=True, verbose=False)
    program.save(tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    logits = session.run(None, {session.get_inputs()[0].name: (255 * image).numpy()})[0]
    with torch.no_grad():
        assert torch.allclose(torch.from_numpy(logits), net(image), **TOLERANCE)


@pytest.mark.parametrize("path", sorted((CONF / "model").glob("*.yaml")), ids=lambda path: path.stem)
def test_each_choice_of_model_is_a_network_of_eight_classes(path):
    node = compose_config([f"model={path.stem}", "paths.run_dir=somewhere"]).model
    made = hydra.utils.instantiate(OmegaConf.to_container(node), _convert_="all")
    assert made.num_classes == 8
    assert made.in_channels == 1


@pytest.mark.parametrize("kind", [SegNet, ReLayNet, UNet])
def test_group_norm_of_a_width_that_groups_do_not_divide_is_refused(kind):
    width = 12 if kind is ReLayNet else 3
    with pytest.raises(
        InputError, match=r"model\.norm: group, of 12 channels, which 8 groups do not divide; choose a model\.width"
    ):
        kind(width=width, norm="group")
    kind(width=2, norm="group")
    kind(width=8, norm="group")


@pytest.mark.parametrize("kind", [SegNet, ReLayNet, UNet])
def test_unknown_norms_and_empty_networks_are_refused(kind):
    with pytest.raises(InputError, match=r"model\.norm: 'layer' is none of none, batch, group"):
        kind(width=2, norm="layer")
    with pytest.raises(InputError, match="model: width 0 and num_classes 8"):
        kind(width=0)
