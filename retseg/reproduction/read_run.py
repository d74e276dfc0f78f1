"""Reads a run folder into `RunFacts`."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from retseg.bscan import ScanKey
from retseg.build import load_net
from retseg.data.sources.paper_arrays import OFFICIAL_BSCANS
from retseg.data.splits import PaperSplit, Split
from retseg.errors import InputError
from retseg.reproduction.networks import network_facts
from retseg.reproduction.paper_values import NUM_DUKE_GRADERS, NUM_DUKE_SUBJECTS, PAPER
from retseg.reproduction.run_facts import CamFacts, CamLayer, Missing, RunFacts, ScanFacts
from retseg.reproduction.scans import look_at_scans
from retseg.reproduction.sweeps import ABLATION_COMMAND, LEAKAGE_COMMAND, Sweep
from retseg.training.environment import weights_sha256
from retseg.training.history import read_history

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Configs:
    """Configurations: the run's own, the same in plain types, and the two experiments whose networks are counted."""

    run: "DictConfig"
    plain: Mapping[str, Any]
    paper_code: "DictConfig"
    duke_segnet: "DictConfig"


@dataclass(frozen=True)
class Extras:
    """What is known beside the run folder: sweeps, and a measured time per scan in seconds."""

    ablation: Sweep | None = None
    leakage: Sweep | None = None
    seconds_per_scan: float | None = None


def read_run(run_dir: Path, configs: Configs, extras: Extras) -> RunFacts:
    """Facts of a finished run. InputError if it is not finished."""
    config, metrics = configs.run, _finished(run_dir)
    missing: list[Missing] = []
    net = load_net(run_dir, checkpoint=Path(metrics["checkpoint"]["file"]).stem)
    scans = _scans(run_dir, config, net, missing)
    cam = _cam(run_dir, missing)
    evaluation = _optional(run_dir / "evaluation" / "metrics.json", missing, "evaluation", f"retseg evaluate {run_dir}")
    audit = _optional(run_dir / "audit.json", missing, "audit", f"retseg audit {run_dir}")
    if extras.ablation is None:
        missing.append(Missing("ablation", f"{ABLATION_COMMAND}, then retseg reproduce {run_dir} --ablation SWEEP"))
    if extras.leakage is None:
        missing.append(Missing("leakage", f"{LEAKAGE_COMMAND}, then retseg reproduce {run_dir} --leakage SWEEP"))
    size = (config.data.size[0], config.data.size[1]) if config.data.size else PAPER.input_size
    measured = scans.seconds_per_scan if scans else None
    return RunFacts(
        folder=str(run_dir),
        config=configs.plain,
        metrics=metrics,
        split=_json(run_dir / "split.json"),
        environment=_json(run_dir / "environment.json"),
        history=read_history(run_dir / "metrics.csv"),
        run_net=network_facts(config, "this run", size),
        paper_net=network_facts(configs.paper_code, "experiment=paper_code", PAPER.input_size),
        indices_net=network_facts(configs.duke_segnet, "experiment=duke_segnet", PAPER.input_size),
        paper_split=split_of_the_whole_set(),
        files=frozenset(str(path.relative_to(run_dir)) for path in run_dir.rglob("*") if path.is_file()),
        weights_sha256=weights_sha256(net),
        cam=cam,
        scans=scans,
        evaluation=evaluation,
        elsewhere=tuple(_json(path) for path in sorted(run_dir.glob("evaluation_*/metrics.json"))),
        audit=audit,
        ablation=extras.ablation,
        leakage=extras.leakage,
        seconds_per_scan=measured if extras.seconds_per_scan is None else extras.seconds_per_scan,
        missing=tuple(missing),
    )


def split_of_the_whole_set() -> Split:
    """The paper's split of the 220 annotated images of the Duke set, from their keys alone."""
    subjects = [f"s{number:02d}" for number in range(1, NUM_DUKE_SUBJECTS + 1)]
    graders = range(1, NUM_DUKE_GRADERS + 1)
    return PaperSplit()(
        [ScanKey(g, subject, bscan) for g in graders for subject in subjects for bscan in OFFICIAL_BSCANS]
    )


def _finished(run_dir: Path) -> Mapping[str, Any]:
    for name in ("metrics.json", "metrics.csv", "split.json", "environment.json"):
        if not (run_dir / name).is_file():
            raise InputError(
                f"{run_dir}: no {name}, the run is not finished; go on with `python -m retseg.train resume={run_dir}`"
            )
    return _json(run_dir / "metrics.json")


def _json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error}); make it again with the command that wrote it") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: {type(content).__name__}, expected a JSON object; make it again")
    return content


def _optional(path: Path, missing: list[Missing], what: str, command: str) -> Mapping[str, Any] | None:
    if path.is_file():
        return _json(path)
    missing.append(Missing(what, command))
    return None


def _scans(run_dir: Path, config: "DictConfig", net: nn.Module, missing: list[Missing]) -> ScanFacts | None:
    """A look at the run's scans; if they cannot be opened any more, why."""
    try:
        return look_at_scans(config, net)
    except InputError as error:
        missing.append(Missing("scans", f"retseg reproduce {run_dir}, where its scans are ({error})"))
        return None


def _cam(run_dir: Path, missing: list[Missing]) -> CamFacts | None:
    """Grad-CAM of the first scan of the newest epoch that was drawn."""
    saved = sorted((run_dir / "gradcam").glob("epoch_*.npz"), key=lambda path: int(path.stem.split("_")[1]))
    table = run_dir / "gradcam" / "table3.csv"
    if not saved or not table.is_file():
        missing.append(Missing("gradcam", "python -m retseg.train ... without callbacks.gradcam=null"))
        return None
    with table.open(newline="", encoding="utf-8") as file:
        modules = {row["layer"]: row["module"] for row in csv.DictReader(file)}
    with np.load(saved[-1], allow_pickle=False) as arrays:
        scan = next(name.removesuffix("/image") for name in arrays.files if name.endswith("/image"))
        names = [name.split("/")[1] for name in arrays.files if name.startswith(f"{scan}/") and name.endswith("/raw")]
        kinds = ("weights", "raw", "raw_max", "normalised")
        layers = {n: CamLayer(modules[n], *(arrays[f"{scan}/{n}/{kind}"] for kind in kinds)) for n in names}
        planes = (arrays[f"{scan}/image"], arrays[f"{scan}/probabilities"])
    return CamFacts(scan, int(saved[-1].stem.split("_")[1]), *planes, layers)


def on_image_grid(maps: Any, shape: tuple[int, int]) -> Any:
    """Maps (C, h, w) enlarged to the pixels (C, H, W) of the image, as Grad-CAM's own figures do."""
    from retseg.explain.gradcam import to_image_grid

    return to_image_grid(torch.from_numpy(maps)[None], shape)[0].numpy()
