"""Small whole files of weights: a checkpoint in a run folder, and what `retseg export` writes. None of it is run."""

import json
from pathlib import Path

import torch
from omegaconf import OmegaConf

from benchmarks.fuzz_seeds import Format
from retseg import __version__
from retseg.build import load_net
from retseg.commands.open_network import open_scan_network
from retseg.inference.network import NetworkCard
from retseg.inference.onnx_network import CARD, save_onnx
from retseg.inference.torch_network import as_program
from retseg.inference.weights_file import ARCHITECTURE, save_weights
from retseg.models.segnet import SegNet
from retseg.training.checkpoint_io import AtomicCheckpointIO
from retseg.training.environment import weights_sha256

MODEL = {"_target_": "retseg.models.segnet.SegNet", "width": 2, "norm": "batch"}
SIZE = (32, 32)


def _network() -> SegNet:
    torch.manual_seed(0)
    return SegNet(width=2, norm="batch").eval()


def _texts(net: SegNet) -> dict[str, str]:
    card = NetworkCard(
        name="tiny", sha256=weights_sha256(net), size=SIZE, window=None, training_um=(3.9, 11.5), training_shape=SIZE,
        data_name="phantom", label_origin="exact", stamp="subjects apart", retseg_version=__version__,
    )  # fmt: skip
    return {CARD: card.to_json(), ARCHITECTURE: json.dumps(MODEL)}


def _checkpoint(folder: Path) -> Path:
    OmegaConf.save(OmegaConf.create({"seed": 0, "model": MODEL, "data": {"size": SIZE}}), folder / "config.yaml")
    path = folder / "checkpoints" / "best.ckpt"
    state = {f"net.{name}": values for name, values in _network().state_dict().items()}
    AtomicCheckpointIO().save_checkpoint({"state_dict": state, "epoch": 1}, path)
    return path


def _safetensors(folder: Path) -> Path:
    net = _network()
    save_weights(net, folder / "model.safetensors", _texts(net))
    return folder / "model.safetensors"


def _onnx(folder: Path) -> Path:
    net = _network()
    save_onnx(as_program(net, SIZE), folder / "model.onnx", _texts(net))
    return folder / "model.onnx"


def _read_checkpoint(path: Path) -> None:
    _answers(load_net(path.parent.parent, path.stem))


def _read_exported(path: Path) -> None:
    _answers(open_scan_network(path).forward)


def _answers(forward: object) -> None:
    """Logits of 8 classes come out, of whatever weights."""
    assert callable(forward)
    with torch.no_grad():
        assert forward(torch.zeros(1, 1, *SIZE)).shape == (1, 8, *SIZE)


NETWORKS = (
    Format("ckpt", _checkpoint, _read_checkpoint),
    Format("safetensors", _safetensors, _read_exported),
    Format("onnx", _onnx, _read_exported),
)
