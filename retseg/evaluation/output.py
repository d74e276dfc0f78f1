"""What an evaluation leaves in its folder: metrics.json, scores.csv, scans.csv, misclassification.csv, fluid_*.csv."""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retseg.anatomy import CLASS_NAMES, LAYER_NAMES, SURFACE_NAMES
from retseg.bscan import Array
from retseg.errors import InputError
from retseg.evaluation.atomic import make_folder, replacing_file
from retseg.evaluation.definitions import DEFINITIONS
from retseg.evaluation.evaluation import Evaluation, mean_layer_dice
from retseg.evaluation.fluid_output import TABLES as FLUID_TABLES
from retseg.evaluation.fluid_output import fluid_content, fluid_tables
from retseg.evaluation.network_scores import scan_reliability
from retseg.evaluation.quantities import OVERLAPS
from retseg.evaluation.record import ScanRecord
from retseg.evaluation.sums import Unit, scaled_errors
from retseg.evaluation.topology_scores import PER_LAYER, PER_SCAN
from retseg.metrics.boundary import summarise_errors
from retseg.metrics.calibration import GROUPS, TEMPERATURES, UNSCALED

METRICS = "metrics.json"


def write_numbers(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write all tables into a folder, metrics.json last: where it is, the others are whole. Their paths."""
    make_folder(folder)
    (folder / METRICS).unlink(missing_ok=True)
    tables = {
        "scores.csv": [asdict(score) for score in evaluation.scores],
        "scans.csv": list(scan_rows(evaluation.records, evaluation.unit)),
        "misclassification.csv": list(evaluation.misclassified.rows()),
    }
    for name in FLUID_TABLES:
        (folder / name).unlink(missing_ok=True)
    tables |= {} if evaluation.fluid is None else fluid_tables(evaluation.fluid)
    for name, rows in tables.items():
        write_csv(folder / name, rows)
    content = json.dumps(_plain(_content(evaluation)), indent=1, allow_nan=False)
    with replacing_file(folder / METRICS) as partial:
        partial.write_text(content + "\n", encoding="utf-8")
    return [folder / name for name in (METRICS, *tables)]


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]], names: Sequence[str] | None = None) -> None:
    """Rows of one kind as CSV; what is not known is empty. With the names of all columns, rows may come one by one."""
    if names is None:
        rows = list(rows)
        names = list(dict.fromkeys(name for row in rows for name in row))
    with replacing_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(_plain_row(row) for row in rows)


def read_metrics(folder: Path) -> dict[str, Any] | None:
    """metrics.json of an evaluation; None where there is none. InputError where it is damaged."""
    path = folder / METRICS
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read ({error}); run `retseg evaluate` again with --fresh") from error
    return content if isinstance(content, dict) else None


def _content(evaluation: Evaluation) -> dict[str, Any]:
    origin, subjects = evaluation.origin, evaluation.subjects
    fluid = {} if evaluation.fluid is None else {"fluid": fluid_content(evaluation.fluid)}
    data = {"name": origin.data_name, "label_origin": origin.label_origin}
    return {
        "stamp": origin.stamp,
        "title": origin.title,
        "data": data if origin.fluid is None else data | {"fluid": origin.fluid.to_json()},
        "split": origin.split,
        "checkpoint": origin.checkpoint,
        "num_scans": len(evaluation.records),
        "num_subjects": len(subjects),
        "subjects": subjects,
        "scans": [record.name for record in evaluation.records],
        "unit": evaluation.unit,
        "ceiling": {"title": origin.ceiling, "note": origin.ceiling_note},
        "notices": evaluation.notices,
        "definitions": DEFINITIONS,
        "scores": [asdict(score) for score in evaluation.scores],
        "calibration": _calibration(evaluation),
        "misclassification": evaluation.misclassified.as_dict() | {"worst_scans": _worst(evaluation)},
        "made_from": origin.made_from,
        "source_notices": origin.source_notices,
    } | fluid


def _worst(evaluation: Evaluation) -> list[dict[str, Any]]:
    by_name = {record.name: record for record in evaluation.records}
    return [{"scan": case.name, "mean_layer_dice": mean_layer_dice(by_name[case.name])} for case in evaluation.worst]


def _calibration(evaluation: Evaluation) -> dict[str, Any]:
    """Temperatures, and the reliability diagrams' numbers before and after scaling."""
    scaling = evaluation.scaling
    content: dict[str, Any] = {
        "temperature": scaling.temperature,
        "temperature_index": scaling.overall,
        "fitted_on": scaling.fitted_on,
        "scan_temperatures": [None if index is None else TEMPERATURES[index] for index in scaling.of_scans],
    }
    for name, indices in (("unscaled", [UNSCALED] * len(evaluation.records)), ("scaled", list(scaling.of_scans))):
        content[name] = reliability_table(evaluation.records, indices)
    return content


def reliability_table(records: Sequence[ScanRecord], indices: Sequence[int | None]) -> dict[str, Any] | None:
    """By group of pixels: mean confidence, accuracy and share of pixels a bin; None where something is not known."""
    sums = [record.network for record in records if record.network is not None]
    known = [index for index in indices if index is not None]
    if not sums or len(sums) < len(records) or len(known) < len(records):
        return None
    found = scan_reliability(sums, known)
    counts, confidence, hits = (plane.sum(axis=0) for plane in (found.counts, found.confidence, found.hits))
    with np.errstate(divide="ignore", invalid="ignore"):
        planes = {"confidence": confidence / counts, "accuracy": hits / counts}
        planes["share"] = counts / counts.sum(axis=1, keepdims=True)
    return {
        group: {name: values[place].tolist() for name, values in planes.items()} for place, group in enumerate(GROUPS)
    }


def scan_rows(records: Iterable[ScanRecord], unit: Unit) -> Iterator[dict[str, Any]]:
    """A row for each scan and class, and one for each scan (layer "scan"); distances in the unit of the evaluation."""
    for record in records:
        surfaces, thickness = scaled_errors(record, unit)
        upper, layers = summarise_errors(surfaces), summarise_errors(thickness)
        overlaps = {name: _by_class(name, record.confusion) for name in OVERLAPS}
        who = {"subject": record.subject, "scan": record.name}
        for k, name in enumerate(CLASS_NAMES):
            row = who | {"layer": name, "unit": unit} | {score: values[k] for score, values in overlaps.items()}
            yield row | (_layer_cells(record, k - 1, upper, layers) if name in LAYER_NAMES else {})
        means = {"dice": mean_layer_dice(record)}
        yield who | {"layer": "scan", "unit": unit} | means | {n: getattr(record.topology, n) for n in PER_SCAN}


def _layer_cells(
    record: ScanRecord, layer: int, upper: dict[str, Array], thickness: dict[str, Array]
) -> dict[str, Any]:
    """What scans.csv says of a layer (0 is NFL) beside overlap: its two surfaces, its thickness, its topology."""
    cells: dict[str, Any] = {}
    for side, surface in (("upper", layer), ("lower", layer + 1)):
        cells[f"{side}_surface"] = SURFACE_NAMES[surface]
        cells |= {f"{side}_surface_{name}": float(values[surface]) for name, values in upper.items()}
    cells |= {f"thickness_{name}": float(thickness[name][layer]) for name in ("mean_absolute", "signed")}
    return cells | {name: int(getattr(record.topology, name)[layer]) for name in PER_LAYER}


def _by_class(score: str, confusion: Array) -> list[float]:
    values: list[float] = OVERLAPS[score](torch.from_numpy(confusion).double()).tolist()
    return values


def _plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: "" if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}


def _plain(node: Any) -> Any:
    """Containers and numbers as JSON knows them; nan becomes null."""
    if isinstance(node, Mapping):
        return {str(name): _plain(value) for name, value in node.items()}
    if isinstance(node, list | tuple):
        return [_plain(value) for value in node]
    if isinstance(node, np.generic):
        node = node.item()
    return None if isinstance(node, float) and not math.isfinite(node) else node
