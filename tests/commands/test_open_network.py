import json
import re

import pytest
import torch

from retseg.bscan import BScan, ScanKey, Spacing
from retseg.build import build_source, load_config
from retseg.commands.exported_files import export_run
from retseg.commands.open_network import open_scan_network
from retseg.commands.training_scan import TrainingScan, training_scan
from retseg.data.transforms import AnnotationCrop, RetinaCrop
from retseg.errors import InputError
from retseg.inference.network import NetworkCard
from retseg.training.environment import weights_sha256


class OneScan:
    """A source of one blank scan of 20 x 30 px."""

    name, label_origin, notices = "one scan", "exact", ()
    keys = (ScanKey(1, "s01", 0),)

    def __init__(self, spacing):
        self.spacing = spacing

    def read(self, key):
        return BScan(key, torch.zeros(20, 30).numpy(), spacing=self.spacing)


def change_metrics(run, change):
    metrics = json.loads((run / "metrics.json").read_text())
    change(metrics["data"])
    (run / "metrics.json").write_text(json.dumps(metrics))


def break_data(run):
    """The run's data cannot be opened any more."""
    path = run / "config.yaml"
    config = path.read_text().replace("num_graders: 2", "num_graders: 7")
    assert "num_graders: 7" in config
    path.write_text(config)


def test_a_window_s_shape_and_pixel_size_are_those_before_resizing():
    source = OneScan(Spacing(3.5, 11.0, "file header"))
    assert training_scan(source, source.keys[0], None) == TrainingScan((20, 30), (3.5, 11.0), "file header")
    assert training_scan(source, source.keys[0], RetinaCrop(10, 24, band=3)).shape == (10, 24)
    half_known = OneScan(Spacing(3.5, None, "file header"))
    assert training_scan(half_known, half_known.keys[0], None).spacing_um is None


def test_training_saves_how_its_scans_were(trained_run):
    said = json.loads((trained_run / "metrics.json").read_text())["data"]["scan"]
    config = load_config(trained_run)
    assert said["shape"] == [config.data.source.height, config.data.source.width]
    source = build_source(config)
    spacing = source.read(source.keys[-1]).spacing
    assert said["spacing_um"] == [spacing.axial_um, spacing.lateral_um]
    assert said["source"] == spacing.source != "unknown"
    assert TrainingScan.from_json(said, "x").to_json() == said


def test_a_run_s_card_and_forward(trained_run):
    network = open_scan_network(trained_run)
    config = load_config(trained_run)
    assert network.card.name == trained_run.name
    assert network.card.size == tuple(config.data.size)
    assert network.card.window is None
    assert network.card.sha256 == weights_sha256(network.module)
    assert (network.card.data_name, network.card.label_origin) == ("phantom", "exact")
    assert network.card.stamp == json.loads((trained_run / "audit.json").read_text())["stamp"]
    assert network.card.reference == {}
    assert NetworkCard.from_json(network.card.to_json(), "x") == network.card
    assert not network.module.training
    assert network.forward(torch.rand(2, 1, *network.card.size)).shape == (2, 8, *network.card.size)
    named = open_scan_network(trained_run / "checkpoints" / "best.ckpt")
    assert named.card == network.card


@pytest.mark.parametrize("crop", [AnnotationCrop, RetinaCrop])
def test_the_window_of_a_run_that_crops(own_run, crop):
    path = own_run / "config.yaml"
    node = f"crop:\n    _target_: retseg.data.transforms.{crop.__name__}\n    rows: 40\n    columns: 24\n"
    path.write_text(path.read_text().replace("crop: null\n", node))
    assert open_scan_network(own_run).card.window == (40, 24)


def test_data_that_is_gone_leaves_what_the_run_saved_else_nothing(own_run):
    before = open_scan_network(own_run).card
    break_data(own_run)
    assert open_scan_network(own_run).card == before
    change_metrics(own_run, lambda data: data.pop("scan"))
    card = open_scan_network(own_run).card
    assert (card.training_um, card.training_shape) == (None, None)


def test_an_older_run_is_asked_by_its_data(own_run):
    before = open_scan_network(own_run).card
    change_metrics(own_run, lambda data: data.pop("scan"))
    assert open_scan_network(own_run).card == before


def test_a_reference_counts_for_its_own_weights_alone(own_run):
    sha256 = open_scan_network(own_run).card.sha256
    for weights, kept in ((sha256, True), ("0" * 64, False)):
        content = {"format": 1, "weights_sha256": weights, "intervals": []}
        (own_run / "reference.json").write_text(json.dumps(content))
        assert open_scan_network(own_run).card.reference == (content if kept else {})


def test_what_is_no_network_is_told_in_one_line(own_run, tmp_path):
    change_metrics(own_run, lambda data: data["scan"].pop("shape"))
    wrong = {
        own_run: r"metrics.json: data.scan is damaged \(KeyError\('shape'\)\); train the run again",
        tmp_path / "none": "none: no such run folder or file of weights",
    }
    kinds = {"a.pt2": "a program", "a.pt": "pickled code", "a.pth": "pickled code", "a.ts": "TorchScript"}
    for name, why in (kinds | {"a.txt": "no weights that retseg reads", "a.ckpt": "no checkpoint in a run"}).items():
        (tmp_path / name).write_bytes(b"x")
        wrong[tmp_path / name] = why
    for path, message in wrong.items():
        with pytest.raises(InputError, match=message) as caught:
            open_scan_network(path)
        assert not re.search("\n", str(caught.value))


def test_a_run_that_was_exported_is_run_by_onnxruntime(own_run):
    export_run(own_run, own_run / "export", ["onnx"])
    network = open_scan_network(own_run)
    assert network.engine == "onnxruntime"
    assert network.card.name == own_run.name
    image = torch.rand(1, 1, 64, 64)
    assert network.module is not None
    torch.testing.assert_close(network.forward(image), network.module(image).detach(), atol=0.02, rtol=0)
    checkpoint = torch.load(own_run / "checkpoints" / "best.ckpt", weights_only=True)
    checkpoint["state_dict"]["net.head.bias"] += 1
    torch.save(checkpoint, own_run / "checkpoints" / "best.ckpt")
    assert open_scan_network(own_run).engine == "PyTorch", "the export is of other weights"
