"""Do explanations find evidence that is known by construction? Hit rates on phantoms with planted evidence.

    python -m retseg.train experiment=planted_line     # and experiment=planted_corner
    python -m benchmarks.planted_evidence RUN...       # run folders of either; some minutes each on one core

The scans are of eyes that no run has seen: phantoms of another seed. A scan counts where the network demonstrably uses
the evidence: with the planted pixels turned over (there where they were missing, missing where they were) the Dice of
the class, against the labels from before, falls by half or more. Then each method at each layer, under several
scores, is asked where the evidence for the class lies, and so are maps that know nothing of the network (random, edges
of the image) and the prediction itself. "Outside" leaves out the pixels predicted as that class.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from retseg.anatomy import CLASS_NAMES, NUM_CLASSES
from retseg.bscan import ScanKey
from retseg.build import build_source, load_config, load_net
from retseg.data.dataset import BScanDataset
from retseg.data.sources.planted import PLANTED_CLASSES, PlantedSource
from retseg.data.transforms import resize_mask
from retseg.explain.baselines import edge_map, pixel_noise
from retseg.explain.engine import explain
from retseg.explain.methods import METHODS
from retseg.explain.occlusion import occlusion
from retseg.explain.planted_hits import mean_by_subject, outside_prediction, planted_hits
from retseg.explain.score import Score

LAYERS = (
    *("conv2d_20", "conv2d_19", "conv2d_17", "conv2d_15", "conv2d_13", "conv2d_11", "conv2d_10"),
    *("conv2d_9", "conv2d_7", "conv2d_5", "conv2d_3", "conv2d_1"),
)
"""The paper's two layers, the decoder down to its deepest block, and the encoder from the bottleneck up."""

SCORES = {
    "probability, whole scan (the paper's)": Score(),
    "probability, predicted layer": Score(over="predicted"),
    "log-probability, predicted layer": Score(of="log_probability", over="predicted"),
}
BASELINES = ("random map", "edges of the image", "prediction P_c")
SMALLEST_FALL = 0.5
"""Of the Dice, when the planted pixels are turned over: the network has used them."""
UNSEEN_SEED = 1000
TOLERANCE_PX = 4
OCCLUSION, OCCLUSION_PX = "occlusion", 16
MEASURES = ("hit", "chance", "heat_share", "area_share", "lift", "auc", "is_blank")
CHANCE = {"lift": "1", "auc": "0.5"}
WHERE = ("everywhere", "outside")
Row = dict[str, object]
Place = tuple[str, str, str, str]
"""Where a map comes from and where it is judged: method, layer, score, one of WHERE."""


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One scan on the network's grid: image (1, 1, H, W), mask (1, H, W), evidence by planted class (H, W) bool."""

    number: int
    key: ScanKey
    image: Tensor
    mask: Tensor
    evidence: dict[int, Tensor]


def unseen(config: DictConfig, subjects: int, bscans: int) -> DictConfig:
    """The configuration of a run's phantom, with eyes of another seed."""
    changes = {"seed": UNSEEN_SEED, "num_subjects": subjects, "bscans_per_subject": bscans}
    merged = OmegaConf.merge(config, {"data": {"source": {"phantom": changes}}})
    assert isinstance(merged, DictConfig)
    return merged


def scans_of(config: DictConfig) -> Iterator[Scan]:
    """All scans of a planted source, with their evidence, as the network sees them."""
    source: PlantedSource = build_source(config)
    size = tuple(config.data.size)
    dataset = BScanDataset(source, source.keys, size, cache=False)
    for index, key in enumerate(source.keys):
        item = dataset[index]
        evidence = {
            class_id: torch.from_numpy(resize_mask(source.evidence(key, class_id).astype("uint8"), *size)).bool()
            for class_id in PLANTED_CLASSES
        }
        yield Scan(index, key, item["image"][None], item["mask"][None], evidence)


def dice_of(net: nn.Module, image: Tensor, mask: Tensor, class_id: int) -> float:
    """Dice of a class that mask (1, H, W) has, predicted from image (1, 1, H, W)."""
    with torch.no_grad():
        predicted = net(image).argmax(1) == class_id
    truth = mask == class_id
    return 2 * (predicted & truth).sum().item() / (predicted.sum() + truth.sum()).item()


@dataclass(frozen=True, slots=True, eq=False)
class Heat:
    """Maps (1, C, H, W) on the image's pixels, where they come from, and how near to the evidence their peak has to be.

    tolerance_px: TOLERANCE_PX, or half a pixel of the layer where that is more: it can be no nearer.
    """

    method: str
    layer: str
    score: str
    maps: Tensor
    tolerance_px: int = TOLERANCE_PX


def heats_of(net: nn.Module, scan: Scan, layers: Sequence[str], with_occlusion: bool) -> tuple[list[Heat], Tensor]:
    """All maps of a scan, and the probabilities (1, C, H, W) that they explain."""
    size = (scan.image.shape[2], scan.image.shape[3])
    heats = []
    for name, score in SCORES.items():
        allowed = layers if score.of == "probability" else [layer for layer in layers if layer != "conv2d_20"]
        explanation = explain(net, scan.image, allowed, METHODS, score)
        for (method, layer), found in explanation.maps.items():
            tolerance_px = max(TOLERANCE_PX, round(size[1] / found.raw.shape[3] / 2))
            heats.append(Heat(method, layer, name, found.on_image(size), tolerance_px))
        if with_occlusion:
            maps = occlusion(net, scan.image, score, OCCLUSION_PX, OCCLUSION_PX // 2).maps
            heats.append(Heat(OCCLUSION, "", name, maps, max(TOLERANCE_PX, OCCLUSION_PX // 2)))
    probabilities = explanation.probabilities
    noise = pixel_noise((1, NUM_CLASSES, *size), seed=scan.number)
    baselines = (noise, edge_map(scan.image, NUM_CLASSES), probabilities)
    heats += [Heat(name, "", "", maps) for name, maps in zip(BASELINES, baselines, strict=True)]
    return heats, probabilities


Values = dict[tuple[int, Place], dict[str, list[float | str]]]
"""By class and place: one number a scan of each measure, and under "subject" whose scans they are."""


def judge(scan: Scan, heats: Sequence[Heat], probabilities: Tensor, class_id: int, values: Values) -> None:
    """Add what every map of a scan finds of its evidence for a class to values[class, place][measure]."""
    evidence = scan.evidence[class_id][None, None]
    one = slice(class_id, class_id + 1)
    outside = outside_prediction(probabilities)[:, one]
    for heat in heats:
        for where, counted in zip(WHERE, (None, outside), strict=True):
            found = planted_hits(heat.maps[:, one], evidence, counted, heat.tolerance_px)
            place = values.setdefault((class_id, (heat.method, heat.layer, heat.score, where)), {})
            place.setdefault("subject", []).append(scan.key.subject)
            for name in MEASURES:
                place.setdefault(name, []).append(getattr(found, name).item())


def measure(
    run: Path, layers: Sequence[str], subjects: int, bscans: int, with_occlusion: bool
) -> tuple[list[Row], list[str]]:
    """Rows of the table of one run, and what is to be said before it."""
    config = unseen(load_config(run), subjects, bscans)
    net = load_net(run)
    twin = OmegaConf.merge(config, {"data": {"source": {"is_flipped": True}}})
    values: Values = {}
    dice: dict[int, list[tuple[float, float]]] = {class_id: [] for class_id in PLANTED_CLASSES}
    for scan, flipped in zip(scans_of(config), scans_of(twin), strict=True):
        classes = []
        for class_id in PLANTED_CLASSES:
            if scan.evidence[class_id].any():
                before, after = (dice_of(net, image, scan.mask, class_id) for image in (scan.image, flipped.image))
                dice[class_id].append((before, after))
                classes += [class_id] * (before - after >= SMALLEST_FALL)
        if classes:
            heats, probabilities = heats_of(net, scan, layers, with_occlusion)
        for class_id in classes:
            judge(scan, heats, probabilities, class_id, values)
    notes = []
    for class_id, both in dice.items():
        before, after = np.mean(both, axis=0)
        used = sum(one - other >= SMALLEST_FALL for one, other in both)
        notes.append(
            f"{CLASS_NAMES[class_id]}: mean Dice of a scan {before:.3f}, {after:.3f} with the planted pixels turned "
            f"over; "
            f"the network uses them in {used} of the {len(both)} scans that have the class"
        )
    return [row for key, found in values.items() for row in rows_of(run.name, *key, found)], notes


def rows_of(run: str, class_id: int, place: Place, found: dict[str, list[float | str]]) -> Iterator[Row]:
    """One row of the CSV file a measure."""
    method, layer, score, where = place
    for name in MEASURES:
        mean = mean_by_subject(found[name], found["subject"])
        yield {
            **{"run": run, "class": CLASS_NAMES[class_id], "method": method, "layer": layer, "score": score},
            **{"where": where, "measure": name, "mean": mean.mean, "low": mean.low, "high": mean.high},
            **{"num_scans": mean.num_scans, "num_subjects": mean.num_subjects},
        }


def cell(row: Row | None, in_percent: bool) -> str:
    """`82 (70-91)`: a mean with its interval, in percent or as it is; nothing where there is no such map."""
    if row is None:
        return ""
    values = [float(row[name]) * (100 if in_percent else 1) for name in ("mean", "low", "high")]
    digits = 0 if in_percent else 2
    return f"{values[0]:.{digits}f} ({values[1]:.{digits}f}-{values[2]:.{digits}f})"


Index = dict[tuple[str, ...], Row]


def show(
    console: Console, rows: Sequence[Row], layers: Sequence[str], class_name: str, measures: Sequence[str]
) -> None:
    """Tables for one run and class, a method a row, a layer a column; below each group what the baselines find."""
    names = ("method", "layer", "score", "where", "measure")
    known: Index = {tuple(str(row[name]) for name in names): row for row in rows if row["class"] == class_name}
    if not known:
        console.print(f"{class_name}: in no scan does the network use the evidence: nothing to judge")
        return
    for name in measures:
        words = "hit rate, %" if name == "hit" else name
        in_percent = name == "hit"
        for where in WHERE:
            for score in SCORES:
                title = f"{class_name}: {words}, {where}; score: {score}"
                table = Table("method", *layers, title=title, title_justify="left")
                for method in METHODS:
                    found = [known.get((method, layer, score, where, name)) for layer in layers]
                    table.add_row(method, *(cell(row, in_percent) for row in found))
                if in_percent:
                    chances = [known.get((METHODS[0], layer, score, where, "chance")) for layer in layers]
                    table.add_row("chance", *(cell(row, in_percent).split(" ")[0] for row in chances), style="dim")
                console.print(table)
                occluded = known.get((OCCLUSION, "", score, where, name))
                if occluded:
                    console.print(f"  {OCCLUSION}: {cell(occluded, in_percent)}")
            cells = [f"{base}: {cell(known[base, '', '', where, name], in_percent)}" for base in BASELINES]
            chance = cell(known[BASELINES[0], "", "", where, "chance"], True) if in_percent else CHANCE[name]
            console.print(f"  {'; '.join(cells)}; chance: {chance}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders of the planted experiments")
    parser.add_argument("--layers", nargs="+", default=list(LAYERS), help="names of layers")
    parser.add_argument("--subjects", type=int, default=12, help="unseen eyes")
    parser.add_argument("--bscans", type=int, default=3, help="B-scans of each")
    parser.add_argument("--occlusion", action="store_true", help="judge occlusion, too: ten times slower")
    parser.add_argument("--measures", nargs="+", default=["hit"], choices=["hit", "lift", "auc"], help="tables printed")
    parser.add_argument("--csv", type=Path, default=Path("planted_evidence.csv"), help="file of all numbers")
    options = parser.parse_args()
    console = Console(width=220)
    everything: list[Row] = []
    for run in options.runs:
        rows, notes = measure(run, options.layers, options.subjects, options.bscans, options.occlusion)
        console.print(f"\n{run}, {options.subjects} unseen eyes", *notes, sep="\n  ")
        for class_id in PLANTED_CLASSES:
            show(console, rows, options.layers, CLASS_NAMES[class_id], options.measures)
        everything += rows
    with options.csv.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(everything[0]))
        writer.writeheader()
        writer.writerows(everything)
    console.print(f"all numbers: {options.csv}")


if __name__ == "__main__":
    main()
