from dataclasses import replace

import onnx
import pytest
import torch

from retseg.anatomy import CLASS_NAMES
from retseg.errors import InputError
from retseg.inference.network import NetworkCard, fluid_forward
from retseg.inference.onnx_network import open_onnx, save_onnx
from retseg.inference.parity import compare, fluid_difference
from retseg.inference.torch_network import (
    OfGrayLevels,
    as_program,
    network_of,
    on_multiples,
    own_program,
    save_program,
)
from retseg.models.fluid import WithFluid
from retseg.models.segnet import SegNet

CARD = NetworkCard(
    name="tiny",
    sha256="0" * 64,
    size=(40, 60),
    window=None,
    training_um=(3.9, 11.5),
    training_shape=(40, 60),
    data_name="phantom",
    label_origin="exact",
    stamp="subjects apart",
    retseg_version="0.1.0",
)


def network(upsample, num_classes=8):
    torch.manual_seed(0)
    net = SegNet(width=2, upsample=upsample, norm="batch", num_classes=num_classes)
    with torch.no_grad():  # normalisation as after training, not that of a fresh network
        for _ in range(5):
            net(torch.rand(4, 1, 64, 64))
    return net.eval()


def images(*shapes):
    draws = torch.Generator().manual_seed(1)
    return [torch.rand(1, 1, *shape, generator=draws) for shape in shapes]


@pytest.mark.parametrize(
    ("upsample", "size", "shapes"),
    [
        # The third mode, "unpool", is exported where the command is tested.
        ("hybrid", None, [(64, 64), (60, 90), (60, 90), (96, 64)]),
        ("transpose", (40, 60), [(40, 60)] * 4),
    ],
)
def test_onnx_and_torch_export_answer_as_the_network_does(tmp_path, upsample, size, shapes):
    net, card = network(upsample), replace(CARD, size=size)
    program = as_program(net, size)
    save_onnx(program, tmp_path / "a.onnx", {"card": card.to_json()})
    save_program(program, tmp_path / "a.pt2", {"card": card.to_json()})
    found = open_onnx(tmp_path / "a.onnx")
    assert (found.card, found.engine, found.module) == (card, "onnxruntime", None)
    program_file = network_of(card, own_program(tmp_path / "a.pt2", size), "torch.export")
    for forward in (found.forward, program_file.forward):
        parity = compare(net, forward, images(*shapes))
        assert parity.is_kept, parity.words
        assert parity.logits < 1e-4
    _check_content(tmp_path / "a.onnx", size)


def _check_content(path, size):
    """Everything is in the file, dimensions are named, and nothing says where it was made."""
    onnx.checker.check_model(onnx.load(path), full_check=True)
    graph = onnx.load(path).graph
    dims = [[dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in graph.output]
    grid = list(size) if size else ["H", "W"]
    assert len(dims) == 2
    assert sum(node.op_type == "MaxPool" for node in graph.node) == 5  # each pooling once, indices included
    for dim in dims:
        assert dim[:2] == ["N", len(CLASS_NAMES)]
        assert [str(one) for one in dim[2:]] == [str(one) for one in grid]
    for file in (path, path.with_suffix(".pt2")):
        assert b"site-packages" not in file.read_bytes()
        assert b"segnet.py" not in file.read_bytes()


@pytest.mark.parametrize(("size", "shapes"), [(None, [(64, 64), (60, 90)]), ((40, 60), [(40, 60)] * 2)])
def test_fluid_is_exported_beside_the_layers(tmp_path, size, shapes):
    net = WithFluid(network("transpose", num_classes=9)).eval()
    card = replace(CARD, size=size, gives_fluid=True)
    program = as_program(net, size)
    save_onnx(program, tmp_path / "a.onnx", {"card": card.to_json()})
    save_program(program, tmp_path / "a.pt2", {})
    (logits, probabilities, fluid) = OfGrayLevels(net)(torch.rand(1, 1, 64, 64) * 255)
    assert [tuple(output.shape) for output in (logits, probabilities, fluid)] == [(1, 8, 64, 64)] * 2 + [(1, 64, 64)]
    found = open_onnx(tmp_path / "a.onnx")
    assert found.card == card
    program_file = network_of(card, own_program(tmp_path / "a.pt2", size), "torch.export")
    for one in (found, program_file):
        assert compare(net, one.forward, images(*shapes)).is_kept
        assert fluid_difference(fluid_forward(net), one.with_fluid, images(*shapes)) < 1e-4
    graph = onnx.load(tmp_path / "a.onnx").graph
    assert [value.name for value in graph.output] == ["logits", "probabilities", "fluid"]
    dims = [dim.dim_param or dim.dim_value for dim in graph.output[2].type.tensor_type.shape.dim]
    assert dims == ["N", *(size or ("H", "W"))]


def test_a_card_that_promises_fluid_of_a_file_without_it_is_refused(tmp_path):
    save_onnx(as_program(network("transpose"), (40, 60)), tmp_path / "a.onnx",
              {"card": replace(CARD, gives_fluid=True).to_json()})  # fmt: skip
    with pytest.raises(InputError, match=r"a.onnx: its card says that it gives fluid, its outputs hold none"):
        open_onnx(tmp_path / "a.onnx")


def test_gray_levels_are_scaled_and_clipped_inside():
    net = network("transpose")
    levels = torch.tensor([-20.0, 0, 100, 255, 300]).repeat(32, 7)[None, None, :, :32]
    logits, probabilities = OfGrayLevels(net)(levels)
    torch.testing.assert_close(logits, net(levels.clamp(0, 255) / 255))
    torch.testing.assert_close(probabilities, logits.softmax(dim=1))


def test_sizes_that_32_does_not_divide_are_padded_as_the_network_pads():
    net, (odd,) = network("unpool"), images((33, 70))
    seen = []

    def strict(padded):
        seen.append(tuple(padded.shape[2:]))
        return net(padded), padded[:, 0]

    outputs = on_multiples(strict)(odd)
    torch.testing.assert_close(outputs[0], net(odd), rtol=0, atol=0)
    torch.testing.assert_close(outputs[1], odd[:, 0], rtol=0, atol=0)
    assert seen == [(64, 96)]
