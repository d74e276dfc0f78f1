"""MODEL_CARD.md: what a network is, how far to believe it, how to run it.

After Mitchell et al. 2019, "Model cards for model reporting", doi 10.1145/3287560.3287596.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retseg.anatomy import CLASSES
from retseg.inference.network import NetworkCard
from retseg.inference.torch_network import FLUID, INPUT, MULTIPLE, OUTPUTS

SHOWN = ("dice_macro_layers", "iou_macro_layers", "accuracy", "loss")
LABELS = {
    "silver": "silver: made by a program, not drawn by people. Scores say how well the network repeats that program",
    "manual": "manual: drawn by people",
    "exact": "exact: of synthetic scans, whose layers are known",
}


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file of an export: name, what it is, its size, sha256, and how like the run it answers, in words."""

    name: str
    format: str
    num_bytes: int
    sha256: str
    parity: str


def model_card(
    card: NetworkCard, metrics: Mapping[str, Any], architecture: Mapping[str, Any], files: Sequence[ExportedFile]
) -> str:
    """The page, from a network's card, its run's metrics.json, its class and settings, and the files of the export."""
    parts = [_what(card, architecture), _training(card, metrics), _scores(card, metrics), _use(card)]
    if any(file.format == "ONNX" for file in files):
        parts.append(_run_it(card))
    return "\n\n".join([*parts, _files(card, files)]) + "\n"


def _what(card: NetworkCard, architecture: Mapping[str, Any]) -> str:
    fluid = " and fluid" if card.gives_fluid else ""
    colours = "\n".join(
        f"| {index} | {layer.name} | {layer.full_name} | #{bytes(layer.colour).hex()} |"
        for index, layer in enumerate(CLASSES)
    )
    return (
        f"# {card.name}\n\nFinds the layers of the retina{fluid} in OCT B-scans. {_network_words(architecture)}, "
        f"exported by retseg {card.retseg_version}.\n\n| class | name | layer | colour |\n|---|---|---|---|\n{colours}"
    )


def _network_words(architecture: Mapping[str, Any]) -> str:
    """Class and settings of a network, and of the networks inside it."""
    name = str(architecture["_target_"]).rpartition(".")[2]
    settings = {key: value for key, value in architecture.items() if not key.startswith("_")}
    words = (f"{k} {_network_words(v) if isinstance(v, Mapping) else v}" for k, v in settings.items())
    return f"{name} ({', '.join(words)})"


def _training(card: NetworkCard, metrics: Mapping[str, Any]) -> str:
    window = "whole scans" if card.window is None else "windows of {} rows x {} columns".format(*card.window)
    size = "at their own size" if card.size is None else "resized to {} x {} px".format(*card.size)
    scale = "unknown" if card.training_um is None else "{:.4g} um axial x {:.4g} um lateral".format(*card.training_um)
    scale += " in the middle of many sizes" if card.is_of_any_scale else ""
    split = metrics["split"]
    return (
        f"## Training\n\n- data: {card.data_name}, labels {LABELS.get(card.label_origin, card.label_origin)}\n"
        f"- what it saw: {window}, {size}; pixels before resizing: {scale}\n"
        f"- split: {split['rule']}, {metrics['train']['num_scans']} training and {metrics['val']['num_scans']} "
        f"validation scans (sha256 of the split {split['sha256']})\n"
        f"- {card.stamp}\n- best checkpoint: of epoch {metrics['checkpoint']['epoch']}, chosen by "
        f"{metrics['checkpoint']['chosen_by']}"
    )


def _scores(card: NetworkCard, metrics: Mapping[str, Any]) -> str:
    is_scored = metrics["checkpoint"]["weights_sha256"] == card.sha256
    whose = "" if is_scored else "Of the run's best checkpoint, not of the weights exported here. "
    scores, definitions = metrics["val"]["scores"], metrics["definitions"]
    names = [name for name in (*SHOWN, *(key for key in scores if key.startswith("dice/"))) if name in scores]
    rows = "\n".join(f"| {name} | {'' if scores[name] is None else format(scores[name], '.4f')} |" for name in names)
    meanings = "\n".join(f"- {name}: {words}" for name, words in definitions.items())
    heading = f"## Scores\n\n{whose}On the validation scans: {metrics['stamp']}."
    return f"{heading}\n\n| score | value |\n|---|---|\n{rows}\n\n{meanings}"


def _use(card: NetworkCard) -> str:
    scale = (
        "The pixel size of the training scans is not known: scans of another scale are seen at the wrong one."
        if card.training_um is None
        else "It was trained at many scales, and is best near the middle of them."
        if card.is_of_any_scale
        else "A network knows one scale: show it windows of the extent in um that it was trained on."
    )
    return (
        "## Use and limits\n\nFor research on layers and thickness in B-scans like those it was trained on. "
        "Not a medical device: no diagnosis, no decision about a patient.\n\n"
        f"- {scale} `retseg predict --weights FILE` does so, and brings everything back to the scans' own pixels.\n"
        "- Other devices, diseases and image processing than in training are not covered by the scores above.\n"
        "- Where a layer is absent or pathology breaks the order of layers, its answer means little."
    )


def _run_it(card: NetworkCard) -> str:
    height, width = card.size or (8 * MULTIPLE, 8 * MULTIPLE)
    size = f"{height} x {width} px" if card.size else f"multiples of {MULTIPLE} px from {2 * MULTIPLE} on"
    names = [*OUTPUTS, *([FLUID] if card.gives_fluid else [])]
    fluid = f" `{FLUID}`: its probability, (N, H, W) float32." if card.gives_fluid else ""
    return (
        f"## How to run it\n\nInput `{INPUT}`: (N, 1, H, W) float32, gray levels 0..255, {size}; the network scales "
        f"and clips. Outputs `{OUTPUTS[0]}` and `{OUTPUTS[1]}`: (N, {len(card.class_names)}, H, W) float32.{fluid}\n\n"
        "```python\n"
        "import json, numpy as np, onnxruntime\n"
        'network = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])\n'
        f"image = np.zeros((1, 1, {height}, {width}), np.float32)  # your scan here\n"
        f'{", ".join(names)} = network.run({json.dumps(names)}, {{"{INPUT}": image}})\n'
        "classes = logits.argmax(axis=1)  # (N, H, W)\n"
        'names = json.loads(network.get_modelmeta().custom_metadata_map["class_names"])\n'
        "```\n\nOr, on whole scans of any size and format: `retseg predict SCANS --weights model.onnx -o OUT`."
    )


def _files(card: NetworkCard, files: Sequence[ExportedFile]) -> str:
    rows = "\n".join(
        f"| {file.name} | {file.format} | {file.num_bytes / 1e6:.2f} | {file.sha256} | {file.parity} |"
        for file in files
    )
    return (
        "## Files\n\nEach was read back and compared with the run in PyTorch, one by one and in threes.\n\n"
        f"| file | format | MB | sha256 | compared |\n|---|---|---|---|---|\n{rows}\n\n"
        f"sha256 of the run's weights (names, shapes and bytes): {card.sha256}"
    )
