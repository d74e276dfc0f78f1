import json
import re
import shutil
import sys

import numpy as np
import onnx
import pytest
import torch
from safetensors import safe_open

from retseg.anatomy import CLASS_NAMES
from retseg.build import load_net
from retseg.commands import exported_files
from retseg.commands.exported_files import export_run
from retseg.commands.open_network import open_scan_network
from retseg.errors import InputError
from retseg.evaluation.parallel import in_order
from retseg.inference.torch_network import as_program
from tests.commands.test_open_network import break_data


@pytest.fixture(scope="session")
def exported(trained_run, tmp_path_factory):
    """A run in all formats."""
    folder = tmp_path_factory.mktemp("exported")
    return export_run(trained_run, folder, ["onnx", "safetensors", "torch-export"])


def test_every_format_answers_as_the_run_does(exported, trained_run):
    names = ["MODEL_CARD.md", "model.onnx", "model.pt2", "model.safetensors"]
    assert sorted(path.name for path in exported.folder.iterdir()) == names
    assert exported.inputs.notice == ""
    assert exported.inputs.words == "4 val scans of phantom and 4 that trained"
    for _, parity in exported.files:
        assert parity.is_kept
        assert parity.num_scans == 8
    run = open_scan_network(trained_run)
    image = torch.rand(2, 1, *run.card.size, generator=torch.Generator().manual_seed(2))
    for name, engine in (("model.onnx", "onnxruntime"), ("model.safetensors", "PyTorch")):
        found = open_scan_network(exported.folder / name)
        assert (found.card, found.engine) == (run.card, engine)
        torch.testing.assert_close(found.forward(image), run.module(image), rtol=0, atol=1e-4)


def test_onnx_metadata_says_what_a_stranger_needs(exported):
    entries = onnx.load(exported.folder / "model.onnx").metadata_props
    texts = {entry.key: entry.value for entry in entries}
    assert json.loads(texts["class_names"]) == list(CLASS_NAMES)
    assert json.loads(texts["class_colours"])["NFL"] == [230, 159, 0]
    assert json.loads(texts["training_spacing_um"]) == list(
        open_scan_network(exported.folder / "model.onnx").card.training_um
    )
    assert texts["input"].startswith("image: float32 (N, 1, H, W), gray levels 0..255")


def test_safetensors_metadata_holds_the_architecture(exported, trained_run):
    with safe_open(exported.folder / "model.safetensors", framework="pt") as file:
        architecture = json.loads(file.metadata()["architecture"])
        assert set(file.keys()) == set(load_net(trained_run).state_dict())
    assert architecture["_target_"] == "retseg.models.segnet.SegNet"


def test_the_lines_of_the_model_card_run_with_onnxruntime_alone(exported, monkeypatch):
    page = (exported.folder / "MODEL_CARD.md").read_text()
    (lines,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(lines.splitlines()) == 6
    assert "retseg" not in lines
    assert "torch" not in lines.replace("onnxruntime", "")
    monkeypatch.chdir(exported.folder)
    names: dict = {}
    exec(lines, names)
    network = open_scan_network(exported.folder / "model.onnx")
    blank = network.forward(torch.zeros(1, 1, *network.card.size))
    np.testing.assert_allclose(names["logits"], blank.numpy(), atol=1e-5)
    np.testing.assert_array_equal(names["classes"], blank.argmax(dim=1).numpy())
    assert names["names"] == list(CLASS_NAMES)


def test_the_model_card_says_what_it_was_trained_on_and_how_good_it_is(exported, trained_run):
    page = (exported.folder / "MODEL_CARD.md").read_text()
    metrics = json.loads((trained_run / "metrics.json").read_text())
    assert metrics["stamp"] in page
    assert f"| dice_macro_layers | {metrics['val']['scores']['dice_macro_layers']:.4f} |" in page
    assert metrics["definitions"]["absent class"] in page
    assert "labels exact: of synthetic scans" in page
    assert metrics["checkpoint"]["weights_sha256"] in page
    for file, _ in exported.files:
        assert file.sha256 in page
    assert "Not a medical device" in page
    assert str(trained_run.parent) not in page


def test_silver_is_called_silver_and_other_weights_than_the_scored_are_told(own_run, tmp_path):
    metrics = json.loads((own_run / "metrics.json").read_text())
    metrics["data"]["label_origin"] = "silver"
    metrics["checkpoint"]["weights_sha256"] = "0" * 64
    (own_run / "metrics.json").write_text(json.dumps(metrics))
    export_run(own_run, tmp_path / "out", ["safetensors"])
    page = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert "labels silver: made by a program, not drawn by people" in page
    assert "Of the run's best checkpoint, not of the weights exported here" in page
    assert "```python" not in page  # there is no model.onnx to run


def test_the_command_tells_and_is_quiet_on_request(retseg, own_run):
    code, said, complaint = retseg("export", own_run, "--format", "safetensors")
    assert (code, complaint) == (0, "")
    folder = own_run / "export"
    assert "compared on 4 val scans of phantom and 4 that trained" in said
    assert re.search(r"model.safetensors +\d+\.\d\d +0 of [\d,]+ +0.0e\+00 +0.0e\+00", said)
    assert f"retseg predict SCANS --weights {folder / 'model.safetensors'}" in said.replace("\n", "")
    assert retseg("export", own_run, "--format", "safetensors", "-q") == (0, "", "")
    assert sorted(path.name for path in folder.iterdir()) == ["MODEL_CARD.md", "model.safetensors"]


def test_data_that_is_gone_is_told_and_named_scans_take_its_place(retseg, own_run, tmp_path):
    break_data(own_run)
    code, said, _ = retseg("export", own_run, "--format", "safetensors")
    assert code == 0
    assert "compared on 9 phantom scans" in said
    assert "notice: compared on phantom scans alone, not on real ones (" in said
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (70, 90), dtype=np.uint8))
    code, said, _ = retseg("export", own_run, "--format", "safetensors", "--inputs", tmp_path / "a.npy")
    assert (code, "notice" in said) == (0, False)
    assert "compared on 1 scans of --inputs" in said
    assert retseg("export", own_run, "--inputs", tmp_path / "none.npy")[0] == 2


def test_a_file_that_answers_otherwise_is_not_left(retseg, own_run, monkeypatch):
    folder = own_run / "export"
    folder.mkdir()
    (folder / "model.pt2").write_bytes(b"an earlier export")

    def other(net, size):
        with torch.no_grad():
            net.head.bias[3] += 5
        program = as_program(net, size)
        with torch.no_grad():
            net.head.bias[3] -= 5
        return program

    monkeypatch.setattr(exported_files, "as_program", other)
    code, said, complaint = retseg("export", own_run, "--format", "torch-export")
    assert (code, said) == (2, "")
    assert re.search(r"model.pt2: not written, .* \d+ of \d+ pixels have another class, logits within 5", complaint)
    assert complaint.count("\n") == 1
    assert list(folder.iterdir()) == []


def test_without_the_extra_the_one_to_install_is_named(retseg, own_run, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    code, _, complaint = retseg("export", own_run, "--format", "onnx")
    assert (code, complaint) == (2, "retseg: onnx is not installed; `pip install 'retseg[export]'`\n")


def test_help_shows_examples(retseg):
    code, said, _ = retseg("export", "--help")
    assert code == 0
    assert "retseg export RUN -o models/phantom --format onnx" in said


def test_an_unfinished_run_is_told(retseg, own_run):
    (own_run / "metrics.json").unlink()
    code, _, complaint = retseg("export", own_run)
    assert code == 2
    assert "training has not finished" in complaint
    shutil.rmtree(own_run)
    assert retseg("export", own_run)[0] == 2


def test_damage_anywhere_in_an_onnx_file_is_found(exported, tmp_path):
    content = (exported.folder / "model.onnx").read_bytes()
    path = tmp_path / "a.onnx"
    kinds = {len(content) // 2: "damaged, its content has not the sha256", content.index(b"subjects apart"): "damaged"}
    for place, message in kinds.items():
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(InputError, match=message):
            open_scan_network(path)
    for length in (len(content) // 2, len(content) - 5):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"a.onnx: (no ONNX file, or cut off|no card of|damaged)"):
            open_scan_network(path)
    place = content.index(b"subjects apart")
    path.write_bytes(content[:place] + b"\xff" + content[place + 1 :])
    with pytest.raises(InputError, match=r"a.onnx: no ONNX file, or cut off; export the run again"):
        open_scan_network(path)  # its texts are no UTF-8


def test_onnxruntime_answers_several_threads_at_once(exported):
    network = open_scan_network(exported.folder / "model.onnx")
    images = torch.rand(12, 1, 1, *network.card.size, generator=torch.Generator().manual_seed(3))
    wanted = [network.forward(image) for image in images]
    for found, expected in zip(in_order(network.forward, images, 4), wanted, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
