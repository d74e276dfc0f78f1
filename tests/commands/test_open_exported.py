"""Files of weights that are damaged, of others, or made to harm: one line each, and nothing of them is run."""

import json
import shutil

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from safetensors import safe_open
from safetensors.torch import save_file

from retseg.build import build_net, load_config
from retseg.commands.exported_files import export_run
from retseg.commands.open_network import open_scan_network
from retseg.commands.start_weights import load_start
from retseg.errors import InputError
from retseg.inference.onnx_network import DIGEST, texts_digest


@pytest.fixture(scope="session")
def weights(trained_run, tmp_path_factory):
    """model.safetensors of a run."""
    folder = tmp_path_factory.mktemp("weights")
    export_run(trained_run, folder, ["safetensors"])
    return folder / "model.safetensors"


def refused(path, message):
    with pytest.raises(InputError, match=message) as caught:
        open_scan_network(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def rewritten(weights, path, change):
    """A copy of a safetensors file whose tensors and texts `change` has changed."""
    with safe_open(weights, framework="pt") as file:
        texts, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(tensors, texts)
    if texts:  # who does harm on purpose seals it, too
        texts[DIGEST] = texts_digest(texts)
    save_file(tensors, path, metadata=texts)
    return path


def with_setting(**settings):
    def change(tensors, texts):
        texts["architecture"] = json.dumps(json.loads(texts["architecture"]) | settings)

    return change


def with_card(**entries):
    def change(tensors, texts):
        texts["card"] = json.dumps(json.loads(texts["card"]) | entries)

    return change


@pytest.mark.parametrize("ending", [".onnx", ".safetensors"])
def test_what_is_no_such_file(tmp_path, ending):
    path = tmp_path / f"a b=c{ending}"
    for content, message in (
        (b"", "is empty"),
        (b"hello\nworld " * 9, "no .* file, or"),
        (b"\x80\x02}q\x00.", "no .* file"),
    ):
        path.write_bytes(content)
        refused(path, message)
    path.unlink()
    path.symlink_to(tmp_path / "gone")
    refused(path, "no such run folder or file of weights")


def test_safetensors_that_are_cut_off_or_claim_a_huge_header(weights, tmp_path):
    content = weights.read_bytes()
    path = tmp_path / "a.safetensors"
    for damaged in (
        content[:-7],
        content[: len(content) // 2],
        content[:40],
        (2**60).to_bytes(8, "little") + content[8:],
    ):
        path.write_bytes(damaged)
        refused(path, r"no safetensors file, or damaged \(.+\); export the run again")
    refused(path, r"\(declares a header of 1,152,921,504,606,846,976 bytes in [\d,]+\)")


def test_a_flipped_bit_among_the_weights_is_found(weights, tmp_path):
    content = bytearray(weights.read_bytes())
    content[-3] ^= 4
    (tmp_path / "a.safetensors").write_bytes(content)
    refused(tmp_path / "a.safetensors", "damaged, its weights have sha256 [0-9a-f]{12}..., its card says")
    with pytest.raises(InputError, match="damaged, its weights have sha256"):
        load_start(open_scan_network(weights).module, tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors, texts: texts.clear(), "no card and no architecture of a retseg network in it"),
        (lambda tensors, texts: texts.update(card="{"), "no card of a retseg network"),
        (lambda tensors, texts: texts.update(architecture="["), "its architecture is no JSON"),
        (lambda tensors, texts: texts.update(architecture="[]"), "its architecture is a list"),
        (with_card(format=99), "a card of format 99, this retseg reads 1; update retseg"),
        (with_card(class_names=["a", "b"]), "gives 8 classes, its card names 2"),
        (with_setting(_target_="os.system"), "names 'os.system' as its network; only networks of retseg.models"),
        (with_setting(_target_="retseg.models.segnet.torch.load"), "only networks of retseg.models are built"),
        (with_setting(_target_="retseg.models.segnet.InputError"), "which this retseg has not"),
        (with_setting(_target_="retseg.models.later.Net"), "which this retseg has not; update retseg"),
        (with_setting(_args_=[1]), r"_args_=\[1\] is no plain setting"),
        (with_setting(norm={"_target_": "os.getcwd"}), "norm=.* is no plain setting"),
        (with_setting(norm="${oc.env:HOME}"), "norm=.* is no plain setting"),
        (with_setting(width=10**7), r"other? architecture, .*: expected \(.*10000000.*\) torch.float32, found \("),
        (with_setting(depth=3), "depth"),
        (lambda tensors, texts: tensors.pop("head.bias"), r"head.bias: expected \(8,\) torch.float32, found none"),
        (lambda tensors, texts: tensors.update(x=torch.ones(2)), r"x: expected none, found \(2,\) torch.float32"),
    ],
)
def test_safetensors_of_others_or_made_to_harm(weights, tmp_path, change, message):
    path = rewritten(weights, tmp_path / "a.safetensors", change)
    with pytest.raises(InputError, match=message) as caught:
        open_scan_network(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_are_loaded_without_drawing_and_in_eval_mode(weights, trained_run):
    before = torch.random.get_rng_state()
    found = open_scan_network(weights)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not any(module.training for module in found.module.modules())
    fresh = build_net(load_config(trained_run)).state_dict()
    assert {name: value.dtype for name, value in found.module.state_dict().items()} == {
        name: value.dtype for name, value in fresh.items()
    }


def save_model(path, *, nodes=None, tensors=(), domains=("",), functions=()):
    """A small ONNX file: logits are the image, unless nodes say otherwise."""
    nodes = nodes or [helper.make_node("Identity", ["image"], ["logits"])]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 1, 4, 4]) for name in ("image", "logits")]
    graph = helper.make_graph(nodes, "g", value[:1], value[1:], initializer=list(tensors))
    opsets = [helper.make_opsetid(domain, 18) for domain in domains]
    model = helper.make_model(graph, opset_imports=opsets, functions=list(functions))
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("location", ["weights.bin", "../../secret", "/etc/passwd"])
def test_onnx_with_data_outside_the_file_is_not_opened(tmp_path, location):
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    refused(
        save_model(tmp_path / "a.onnx", tensors=[tensor]), rf"keeps weights \(w\) outside the file, in '{location}'"
    )
    constant = helper.make_node("Constant", [], ["c"], value=tensor)
    refused(save_model(tmp_path / "b.onnx", nodes=[constant]), "outside the file")


def test_onnx_with_operators_functions_or_loops_of_its_own_is_not_run(tmp_path):
    custom = helper.make_node("Run", ["image"], ["logits"], domain="evil")
    refused(save_model(tmp_path / "a.onnx", nodes=[custom]), r"not ONNX's own \(evil.Run\); retseg runs none of these")
    refused(save_model(tmp_path / "a.onnx", domains=("", "com.microsoft")), r"not ONNX's own \(com.microsoft\)")
    identity = helper.make_node("Identity", ["x"], ["y"])
    function = helper.make_function("", "F", ["x"], ["y"], [identity], [helper.make_opsetid("", 18)])
    refused(save_model(tmp_path / "a.onnx", functions=[function]), "defines functions or training of its own")
    body = helper.make_graph([identity], "body", [], [])
    branch = helper.make_node("If", ["image"], ["logits"], then_branch=body, else_branch=body)
    refused(save_model(tmp_path / "a.onnx", nodes=[branch]), r"holds a loop or a branch \(If\)")


def test_onnx_of_others_damaged_or_newer(weights, tmp_path):
    path = save_model(tmp_path / "a.onnx")
    refused(path, "no card of a retseg network in it; only files of `retseg export` are read")
    with safe_open(weights, framework="pt") as file:
        card = json.loads(file.metadata()["card"])
    model = onnx.load(path)
    entry = model.metadata_props.add(key="card", value=json.dumps(card | {"format": 2}))
    path.write_bytes(model.SerializeToString())
    refused(path, "a card of format 2, this retseg reads 1; update retseg")
    entry.value = json.dumps(card)
    path.write_bytes(model.SerializeToString())
    refused(path, "damaged, its content has not the sha256 that it names")


def test_code_in_a_pickle_is_not_run(tmp_path, own_run):
    class Harm:
        def __reduce__(self):
            return (tmp_path.joinpath("harmed").touch, ())

    for name in ("a.pt", "a.pth", "a.pt2", "a.onnx", "a.safetensors"):
        torch.save({"state_dict": Harm()}, tmp_path / name)
        refused(tmp_path / name, "is not loaded; export .onnx or .safetensors|no .* file, or")
    torch.save({"state_dict": Harm()}, own_run / "checkpoints" / "best.ckpt")
    with pytest.raises(InputError, match=r"holds more than numbers \(getattr\); retseg runs no code"):
        open_scan_network(own_run)
    assert not (tmp_path / "harmed").exists()


def test_a_folder_named_like_a_file_is_no_run(tmp_path):
    (tmp_path / "a.onnx").mkdir()
    with pytest.raises(InputError, match=r"no config\.yaml here"):
        open_scan_network(tmp_path / "a.onnx")
    shutil.rmtree(tmp_path / "a.onnx")
