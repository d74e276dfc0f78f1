"""A card that was damaged on the way is noticed: its scale decides every micron that comes out."""

from dataclasses import replace

import onnx
import pytest
from onnx import TensorProto, helper
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from retseg.errors import InputError
from retseg.inference.onnx_network import CARD, DIGEST, digest, open_onnx
from retseg.inference.weights_file import ARCHITECTURE, read_weights, save_weights
from retseg.models.segnet import SegNet
from tests.inference.test_exported_networks import CARD as TINY

TEXTS = {CARD: TINY.to_json(), ARCHITECTURE: "{}"}


def weights_file(path):
    save_weights(SegNet(width=2), path, TEXTS)
    return path


def test_an_undamaged_card_comes_back(tmp_path):
    assert read_weights(weights_file(tmp_path / "a.safetensors")).card == TINY


@pytest.mark.parametrize("change", [{CARD: TINY.to_json().replace("3.9", "7.9")}, {ARCHITECTURE: '{"width": 3}'}])
def test_one_digit_of_a_safetensors_header_is_noticed(tmp_path, change):
    path = weights_file(tmp_path / "a.safetensors")
    with safe_open(path, framework="pt") as file:
        texts = file.metadata()
    assert {**texts, **change} != texts
    save_file(load_file(path), path, {**texts, **change})
    with pytest.raises(InputError, match=r"a.safetensors: damaged, its card has not the sha256 that it names"):
        read_weights(path)


def test_a_card_without_its_hash_is_refused(tmp_path):
    path = weights_file(tmp_path / "a.safetensors")
    save_file(load_file(path), path, TEXTS)
    with pytest.raises(InputError, match="has not the sha256"):
        read_weights(path)


def sealed_model():
    """A graph of one node, sealed as an export is."""
    shape = ["N", 1, "H", "W"]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("image", "logits")]
    graph = helper.make_graph([helper.make_node("Neg", ["image"], ["logits"])], "one", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.metadata_props.add(key=CARD, value=TINY.to_json())
    model.metadata_props.add(key=DIGEST, value=digest(model))
    return model


def with_other_opset(model):
    model.opset_import[0].version = 19


def with_other_format(model):
    model.ir_version -= 1


def with_other_scale(model):
    model.metadata_props[0].value = replace(TINY, training_um=(7.9, 11.5)).to_json()


def unharmed(model):
    assert digest(model) == model.metadata_props[1].value


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        *((harm, "damaged, its content") for harm in (with_other_opset, with_other_format, with_other_scale)),
        (unharmed, "gives logits of N x 1 x H x W"),  # the seal is whole, so the next check speaks
    ],
)
def test_versions_and_card_of_an_onnx_file_are_sealed(tmp_path, harm, message):
    model = sealed_model()
    harm(model)
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(InputError, match=rf"a\.onnx: {message}"):
        open_onnx(tmp_path / "a.onnx")
