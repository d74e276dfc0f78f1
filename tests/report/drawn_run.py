"""Run folders drawn by hand: scored scans whose scores are known, and every other part as its command leaves it.

Four scans of two subjects, 24 rows of 4 um, 36 columns; the prediction of scan k lies k rows too deep.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retseg.anatomy import CLASS_NAMES
from retseg.bscan import Array, Spacing
from retseg.commands.explanation_files import EXPLANATION
from retseg.evaluation.case import Case
from retseg.evaluation.evaluation import Origin, ceiling_words, evaluate, measure_scans, with_label_origin
from retseg.evaluation.labelling import Labelling
from retseg.evaluation.output import write_numbers
from retseg.evaluation.store import saving_cases
from retseg.evaluation.temperature import cross_fitted
from retseg.explain.records import RECORD_COLUMNS
from tests.evaluation.test_network_scores import network

SCANS = ("s01_b00_g1", "s01_b01_g1", "s02_b00_g1", "s02_b01_g1")
"""Best first: each is one row further off than the one before."""
ROWS, COLUMNS = 24, 36
SURFACE_ROWS = np.array([4, 6, 8, 10, 12, 15, 17, 19], np.float32)
APART, LEAKY = "subjects apart (2 held out)", "leaky: 1 of 2 held-out B-scans are in training"
WEIGHTS = "0123abcd"


def draw_run(
    folder: Path,
    *,
    label_origin: str = "manual",
    data_name: str = "drawn",
    stamp: str = APART,
    spacing: Spacing | None = None,
    has_second: bool = True,
    with_image: bool = True,
    parts: Sequence[str] = ("audit", "evaluation", "explanation", "reference", "reproduction"),
) -> Path:
    """A run folder with the parts that are named; gives the folder."""
    folder.mkdir(parents=True)
    _write_training(folder, data_name, label_origin, stamp)
    if "audit" in parts:
        _write_audit(folder, stamp)
    if "evaluation" in parts:
        pixel = spacing or Spacing(4.0, 10.0, "test")
        cases = [drawn_case(place, pixel, has_second, with_image) for place in range(len(SCANS))]
        _write_evaluation(folder, cases, data_name, label_origin, stamp)
    if "explanation" in parts:
        write_explanation(folder)
    if "reference" in parts:
        _write_json(folder / "reference.json", {"intervals": [_interval(label_origin)]})
    if "reproduction" in parts:
        rows = [{"id": "P1", "verdict": "reproduced"}, {"id": "P2", "verdict": "contradicted"}]
        write_rows(folder / "reproduction" / "verdicts.csv", rows)
    return folder


def labels(shift: int) -> Labelling:
    """Layers that lie `shift` rows too deep; the first two columns are not annotated."""
    rows = np.repeat(SURFACE_ROWS[:, None] + shift, COLUMNS, axis=1)
    rows[:, :2] = np.nan
    return Labelling.from_surfaces(rows, ROWS)


def drawn_case(place: int, spacing: Spacing, has_second: bool, with_image: bool = True) -> Case:
    """Scan number `place`, its prediction `place` rows too deep."""
    truth, found = labels(0), labels(place)
    logits = torch.nn.functional.one_hot(torch.from_numpy(np.maximum(found.mask, 0)).long(), 8).permute(2, 0, 1)
    image = (np.maximum(truth.mask, 0) * 30).astype(np.uint8)
    return Case(
        SCANS[place], SCANS[place][:3], found, truth, labels(1) if has_second else None, spacing,
        image if with_image else None, network(3.0 * logits.float(), truth.mask),
    )  # fmt: skip


def _write_evaluation(folder: Path, cases: Sequence[Case], data_name: str, label_origin: str, stamp: str) -> None:
    measured = measure_scans(cases, lambda case: case)
    origin = Origin(
        "a run", with_label_origin(stamp, label_origin), data_name, label_origin, *ceiling_words(label_origin),
        split={"rule": "subject_holdout", "side": "val"}, checkpoint={"weights_sha256": WEIGHTS},
        notices=("the second B-scan was read twice",), source_notices=("the second B-scan was read twice",),
    )  # fmt: skip
    with saving_cases(folder / "evaluation", label_origin) as writer:
        for case in cases:
            writer.add(case)
    write_numbers(evaluate(measured, origin, cross_fitted(measured.records), 50), folder / "evaluation")


def _write_training(folder: Path, data_name: str, label_origin: str, stamp: str) -> None:
    data = {"name": data_name, "label_origin": label_origin, "scan": {
        "shape": [ROWS, COLUMNS], "spacing_um": [4.0, 10.0], "source": "test", "varies": False}}  # fmt: skip
    checkpoint = {"epoch": 2, "weights_sha256": WEIGHTS, "chosen_by": "lowest val/loss"}
    scores = {"scores": {}, "confusion": np.eye(8, dtype=int).tolist()}
    _write_json(folder / "metrics.json", {"stamp": stamp, "data": data, "checkpoint": checkpoint, "val": scores})
    split = {"rule": "subject_holdout", "stamp": stamp, "sha256": "5911", "train": ["s03_b00_g1"], "val": list(SCANS)}
    _write_json(folder / "split.json", split)
    environment = {"retseg": "0.1.0", "command": ["train.py", "experiment=duke segnet"], "python": "3.11",
                   "packages": {"torch": "2.10"}, "platform": "drawn", "cpu_count": 2, "gpus": []}  # fmt: skip
    _write_json(folder / "environment.json", environment)
    history = [
        {"epoch": epoch, "train/loss": 1 / (epoch + 1), "val/loss": 1.5 / (epoch + 1), "val/dice_macro_layers": 0.4}
        for epoch in range(3)
    ]
    write_rows(folder / "metrics.csv", history)
    (folder / "config.yaml").write_text(
        "data: {size: [24, 36], batch_size: 2}\nmodel: {_target_: retseg.models.segnet.SegNet, width: 2}\n"
        "loss: {_target_: retseg.losses.CrossEntropyDice, dice_weight: 0.5}\nseed: 7\n"
        "optimizer: {_target_: torch.optim.Adam, lr: 0.001}\naugmentation: null\n",
        encoding="utf-8",
    )


def _write_audit(folder: Path, stamp: str) -> None:
    finding = {"kind": "identical", "side": "val", "against": "train", "count": int(stamp == LEAKY), "total": 2,
               "unit": "B-scans", "examples": ["s01_b00 is s03_b00"], "definition": "the very same pixels"}  # fmt: skip
    _write_json(folder / "audit.json", {"stamp": stamp, "is_leaky": stamp == LEAKY, "findings": [finding]})


def write_explanation(folder: Path, *, is_tested: bool = True) -> None:
    """Maps of two layers of the first scan: the deeper one without heat for the background."""
    explanation, maps = folder / "explanation", []
    (explanation / "maps").mkdir(parents=True, exist_ok=True)
    content = {"weights_sha256": WEIGHTS, "data": "drawn", "stamp": APART, "scans": [SCANS[0]], "score": "sum of P_c"}
    content |= {"methods": ["gradcam"], "layers": {"last": "softmax", "deep": "decoder5"}}
    _write_json(explanation / EXPLANATION, content)
    arrays: dict[str, Array] = {
        "image": np.linspace(0, 1, ROWS * COLUMNS, dtype=np.float32).reshape(ROWS, COLUMNS),
        "rows_px": np.arange(ROWS, dtype=float), "columns_px": np.arange(COLUMNS, dtype=float),
    }  # fmt: skip
    for layer, shape in (("last", (ROWS, COLUMNS)), ("deep", (4, 6))):
        heat = np.tile(np.linspace(0, 1, shape[1], dtype=np.float32), (8, shape[0], 1))
        peaks = np.full(8, 0.5, np.float32)
        peaks[0] = 0.5 if layer == "last" else 0
        arrays |= {f"gradcam/{layer}/normalised": heat, f"gradcam/{layer}/raw_max": peaks}
        maps += [_map_row(layer, name) for name in CLASS_NAMES]
    np.savez_compressed(explanation / "maps" / f"{SCANS[0]}.npz", **arrays)  # type: ignore[arg-type]
    write_rows(explanation / "maps.csv", maps)
    rows = [{"method": "gradcam", "layer": layer, "module": "m", "num_maps": 7, "repeating": repeating,
             "identity": "", "in_layer": 0.5} for layer, repeating in (("last", 7), ("deep", 0))]  # fmt: skip
    write_rows(explanation / "summary.csv", rows)
    if is_tested:
        verdict = {"method": "gradcam", "left-right flip": "stable", "left-right flip, rank correlation": 0.9}
        answers = {"faithful": False, "passes sanity": True, "stable": True}
        write_rows(explanation / "verdicts.csv", [verdict | {"layer": layer} | answers for layer in ("last", "deep")])


def _map_row(layer: str, name: str) -> dict[str, Any]:
    known = {"scan": SCANS[0], "method": "gradcam", "layer": layer, "class_name": name, "repeats": layer == "last"}
    return dict.fromkeys(RECORD_COLUMNS, "") | known | {"stamp": "repeats the prediction" if layer == "last" else ""}


def _interval(label_origin: str) -> dict[str, Any]:
    columns = {"mean": [0.91, None], "lowest": [0.85, None]}
    return {"level": 0.9, "mode": {"words": "1 network, 1 view"}, "num_scans": 4, "num_subjects": 2,
            "data_name": "drawn", "label_origin": label_origin, "slabs": ["NFL", "total retina"],
            "factors": {"columns": [1.5, None]}, "coverage_of_subjects_left_out": {"columns": columns}}  # fmt: skip


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A CSV of rows of one kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
