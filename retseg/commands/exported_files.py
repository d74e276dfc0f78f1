"""What `retseg export` does: write each format, read it back, compare it with the run, then the model card."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from torch import nn

from retseg.anatomy import CLASSES
from retseg.commands.exported_inputs import ExportInputs, inputs_of
from retseg.commands.open_network import card_of_run, open_scan_network
from retseg.commands.scored_run import open_run
from retseg.errors import InputError
from retseg.evaluation.atomic import make_folder, replacing_file
from retseg.inference.model_card import ExportedFile, model_card
from retseg.inference.network import NetworkCard, ScanNetwork, fluid_forward
from retseg.inference.onnx_network import CARD, save_onnx
from retseg.inference.parity import Parity, compare, fluid_difference
from retseg.inference.torch_network import as_program, network_of, own_program, save_program
from retseg.inference.weights_file import ARCHITECTURE, save_weights

NAMES = {"onnx": "model.onnx", "safetensors": "model.safetensors", "torch-export": "model.pt2"}
TITLES = {"onnx": "ONNX", "safetensors": "safetensors", "torch-export": "torch.export"}
MODEL_CARD = "MODEL_CARD.md"


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """What is exported: a network in eval mode, its card, its class and settings."""

    net: nn.Module
    card: NetworkCard
    architecture: Mapping[str, Any]

    @property
    def texts(self) -> dict[str, str]:
        """What travels in every file beside the weights."""
        return {
            CARD: self.card.to_json(),
            ARCHITECTURE: json.dumps(self.architecture),
            "class_names": json.dumps(self.card.class_names),
            "class_colours": json.dumps({layer.name: layer.colour for layer in CLASSES}),
            "training_spacing_um": json.dumps(self.card.training_um),
            "input": "image: float32 (N, 1, H, W), gray levels 0..255",
        }


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    """What an export wrote: the folder, the files with their parities, and on which inputs these were found."""

    folder: Path
    files: tuple[tuple[ExportedFile, Parity], ...]
    inputs: ExportInputs


def export_run(
    run_dir: Path, folder: Path, formats: Sequence[str], *, checkpoint: str = "best", inputs: Sequence[Path] = ()
) -> Exported:
    """Export a run folder. InputError where a format cannot be written, or does not answer as the run does."""
    run = open_run(run_dir, checkpoint)
    architecture = OmegaConf.to_container(run.config.model, resolve=True)
    assert isinstance(architecture, dict)
    network = Network(run.net, card_of_run(run), {str(name): value for name, value in architecture.items()})
    compared_on = inputs_of(run, inputs)
    make_folder(folder)
    files = tuple(write_format(network, name, folder, compared_on) for name in dict.fromkeys(formats))
    page = model_card(network.card, run.metrics, network.architecture, [file for file, _ in files])
    with replacing_file(folder / MODEL_CARD) as partial:
        partial.write_text(page, encoding="utf-8")
    return Exported(folder, files, compared_on)


def write_format(network: Network, name: str, folder: Path, inputs: ExportInputs) -> tuple[ExportedFile, Parity]:
    """One file. InputError, and no file of that name, where it does not answer as the network does."""
    path = folder / NAMES[name]
    try:
        with replacing_file(path) as partial:
            _save(network, name, partial)
            parity = _compared(network, _read_back(name, partial, network.card), inputs)
            if not parity.is_kept:
                raise InputError(
                    f"{path}: not written, it does not answer as the run does: {parity.words} ({inputs.words}); "
                    "export another format, and report this"
                )
            content = partial.read_bytes()
    except InputError:
        path.unlink(missing_ok=True)  # an earlier export's, of who knows which weights
        raise
    words = f"{parity.words} ({inputs.words})"
    return ExportedFile(path.name, TITLES[name], len(content), sha256(content).hexdigest(), words), parity


def _save(network: Network, name: str, path: Path) -> None:
    if name == "safetensors":
        save_weights(network.net, path, network.texts)
        return
    program = as_program(network.net, network.card.size)
    if name == "onnx":
        save_onnx(program, path, network.texts)
    else:
        save_program(program, path, network.texts)


def _read_back(name: str, path: Path, card: NetworkCard) -> ScanNetwork:
    """What is really in the file."""
    if name == "torch-export":
        return network_of(card, own_program(path, card.size), TITLES[name])
    found = open_scan_network(path)
    assert found.card == card, f"{path}: {found.card}, expected {card}"
    return found


def _compared(network: Network, found: ScanNetwork, inputs: ExportInputs) -> Parity:
    """How like a network what was read back answers, of layers and, where it is sought, of fluid."""
    parity = compare(network.net, found.forward, inputs.images)
    reference = fluid_forward(network.net)
    if reference is None:
        return parity
    assert found.with_fluid is not None
    return replace(parity, fluid=fluid_difference(reference, found.with_fluid, inputs.images))
