"""`retseg predict` and `retseg export` of a run whose network seeks fluid beside the layers."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from retseg.commands.exported_files import export_run
from retseg.commands.open_network import open_scan_network
from retseg.data.sources.phantom import PhantomSource
from retseg.errors import InputError
from tests.commands.test_open_exported import rewritten

FORMATS = ["onnx", "safetensors", "torch-export"]


@pytest.fixture(scope="module")
def exported(fluid_run, tmp_path_factory):
    return export_run(fluid_run, tmp_path_factory.mktemp("exported"), FORMATS)


@pytest.fixture
def stack(tmp_path):
    """A folder of two phantom B-scans of one eye."""
    folder = tmp_path / "eye"
    folder.mkdir()
    phantom = PhantomSource(num_subjects=1, bscans_per_subject=2, height=64, width=96)
    for key in phantom.keys:
        Image.fromarray(np.rint(phantom.read(key).image).clip(0, 255).astype(np.uint8)).save(
            folder / f"{key.bscan}.png"
        )
    return folder


def fluids(folder):
    return {path.name: np.asarray(Image.open(path)) for path in sorted(folder.rglob("*_fluid.png"))}


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


SCALE = ("--stack", "--spacing", "13,59", "--bscan-distance", "100", "--predict-anyway")


def test_fluid_is_written_measured_and_told(fluid_run, stack, tmp_path, retseg):
    out = tmp_path / "out"
    code, said, errors = retseg("predict", stack, "--run", fluid_run, "-o", out, *SCALE, "--save", "mask,fluid,tables")
    assert (code, errors) == (0, "")
    found = fluids(out)
    assert len(found) == 2
    assert {plane.shape for plane in found.values()} == {(64, 96)}
    assert set(np.unique(list(found.values()))) <= {0, 1}
    rows = table(out / "scans.csv")
    areas = [int(plane.sum()) for plane in found.values()]
    assert [int(row["fluid_px"]) for row in rows] == areas
    assert sum(areas) > 0
    assert [float(row["fluid_mm2"]) for row in rows] == pytest.approx([area * 13 * 59e-6 for area in areas], abs=1e-6)
    (account,) = out.rglob("*_volume.json")
    told = json.loads(account.read_text())["fluid"]
    assert told["volume_mm3"] == pytest.approx(sum(areas) * 13 * 59 * 100e-9, abs=1e-6)
    assert not told["is_partial"]
    (per_bscan,) = out.rglob("*_fluid.csv")
    assert len(table(per_bscan)) == 2
    assert f"fluid in {sum(area > 0 for area in areas)} of 2 scans, mean area" in said
    assert "fluid" in json.loads((out / "run.json").read_text())["made_by"]["outputs"]


def test_networks_without_fluid_write_none_and_refuse_to(trained_run, stack, tmp_path, retseg):
    out = tmp_path / "out"
    assert retseg("predict", stack, "--run", trained_run, "-o", out, *SCALE, "--save", "all")[0] == 0
    assert fluids(out) == {}
    assert not [name for name in table(out / "scans.csv")[0] if "fluid" in name]
    assert "fluid" not in json.loads((out / "run.json").read_text())["made_by"]["outputs"]
    code, _, errors = retseg("predict", stack, "--run", trained_run, "-o", tmp_path / "b", "--save", "fluid")
    assert code == 2
    assert errors.startswith("retseg: --save fluid: run seeks no fluid; train with model=with_fluid")
    assert errors.count("\n") == 1


def test_every_format_carries_fluid(exported, fluid_run):
    assert [parity.is_kept for _, parity in exported.files] == [True] * 3
    assert all(parity.fluid < 1e-3 for _, parity in exported.files)
    run = open_scan_network(fluid_run)
    image = torch.rand(2, 1, *run.card.size, generator=torch.Generator().manual_seed(2))
    expected = run.with_fluid(image)
    for name in ("model.onnx", "model.safetensors"):
        found = open_scan_network(exported.folder / name)
        assert found.card == run.card
        assert found.card.gives_fluid
        for mine, theirs in zip(found.with_fluid(image), expected, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-4)


def test_exported_files_predict_the_same_fluid(exported, fluid_run, stack, tmp_path, retseg):
    pictures = []
    for place, network in (("a", ("--run", fluid_run)), ("b", ("--weights", exported.folder / "model.onnx")),
                           ("c", ("--weights", exported.folder / "model.safetensors"))):  # fmt: skip
        code, _, errors = retseg("predict", stack, *network, "-o", tmp_path / place, *SCALE, "--save", "fluid")
        assert (code, errors) == (0, "")
        pictures.append(fluids(tmp_path / place))
    for other in pictures[1:]:
        assert other.keys() == pictures[0].keys()
        for name, plane in other.items():
            assert (plane != pictures[0][name]).mean() < 1e-3, name


def test_the_model_card_says_so_and_its_lines_give_fluid(exported, monkeypatch):
    page = (exported.folder / "MODEL_CARD.md").read_text()
    assert "Finds the layers of the retina and fluid in OCT B-scans. WithFluid (net SegNet (" in page
    assert "`fluid`: its probability, (N, H, W) float32." in page
    lines = page.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(exported.folder)
    names: dict = {}
    exec(lines, names)
    assert names["fluid"].shape == (1, 64, 64)


def test_a_run_exported_without_fluid_is_run_by_pytorch(own_fluid_run, exported, monkeypatch):
    """An ONNX file beside the run that gives layers alone must not take the fluid away."""
    from retseg.commands import open_network
    from retseg.inference import onnx_network

    (own_fluid_run / "export").mkdir()
    (own_fluid_run / "export" / "model.onnx").write_bytes((exported.folder / "model.onnx").read_bytes())
    assert open_scan_network(own_fluid_run).engine == "onnxruntime"
    whole = onnx_network.open_onnx

    def layers_alone(path):
        found = whole(path)
        card = open_network.replace(found.card, gives_fluid=False)
        return open_network.replace(found, card=card, with_fluid=None)

    monkeypatch.setattr(onnx_network, "open_onnx", layers_alone)
    network = open_scan_network(own_fluid_run)
    assert network.engine == "PyTorch"
    assert network.with_fluid is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a["net"].update(_target_="os.system"), "names 'os.system' as its network"),
        (lambda a: a["net"].update(norm={"_target_": "os.getcwd"}), "norm=.* is no plain setting"),
        (lambda a: a["net"].update(net={"_target_": "os.getcwd"}), "names 'os.getcwd' as its network"),
        (lambda a: a["net"].update(_partial_=True), "_partial_=True is no plain setting"),
        (lambda a: a.update(net=["os.system"], _args_=[]), "_args_=.* is no plain setting"),
        (lambda a: a["net"].pop("_target_"), "names None as its network"),
    ],
)
def test_networks_inside_a_network_are_retsegs_own_too(exported, tmp_path, change, message):
    def changed(tensors, texts):
        architecture = json.loads(texts["architecture"])
        change(architecture)
        texts["architecture"] = json.dumps(architecture)

    path = rewritten(exported.folder / "model.safetensors", tmp_path / "a.safetensors", changed)
    with pytest.raises(InputError, match=message):
        open_scan_network(path)


def test_a_card_that_hides_the_fluid_of_its_network_is_refused(exported, tmp_path):
    def changed(tensors, texts):
        texts["card"] = json.dumps(json.loads(texts["card"]) | {"gives_fluid": False})

    path = rewritten(exported.folder / "model.safetensors", tmp_path / "a.safetensors", changed)
    with pytest.raises(InputError, match="its card and its network do not agree about fluid"):
        open_scan_network(path)
