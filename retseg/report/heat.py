"""Heat maps that `retseg explain` saved, over the scan as the network saw it, and what was found of them.

C classes, H x W pixels of the network's grid, h x w of a layer's.
"""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retseg.anatomy import CLASS_NAMES
from retseg.bscan import Array
from retseg.errors import InputError
from retseg.evaluation.store import read_npz
from retseg.report.colours import INFERNO, ramp
from retseg.report.images import gray_webp, indexed_png
from retseg.report.run_folder import EXPLANATION, Explained, ReportedRun, Row

NUM_SCANS = 2
NUM_LEVELS = 40
"""Of heat in the pictures: finer steps are not seen, and cost twice the bytes."""
LONGEST_PX = 128
QUESTIONS = ("faithful", "passes sanity", "stable")
"""Columns of verdicts.csv."""
MOSTLY = 0.5
"""From this share of maps on that repeat the prediction, a method at a layer is called redundant."""
NO_MAP = "no heat at all"


@dataclass(frozen=True, slots=True)
class HeatMap:
    """One class's map at one layer: data URI, its peak before it was stretched to 0..1, and what must not be missed."""

    layer: str
    class_name: str
    uri: str
    peak: str
    remark: str
    repeats: bool


@dataclass(frozen=True, slots=True, eq=False)
class HeatPanel:
    """Maps of one scan in one run by one method; aspect: width over height of the scan as it was taken."""

    letter: str
    run: str
    scan: str
    method: str
    aspect: float
    pixels: str
    maps: Sequence[HeatMap]


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One method at one layer: how many maps repeat the prediction, and what the tests said; "" where none was made."""

    method: str
    layer: str
    module: str
    repeating: int
    num_maps: int
    identity: str
    in_layer: str
    faithful: str
    sane: str
    stable: str

    @property
    def share(self) -> float:
        """Share of the maps that repeat the prediction; 0 without any."""
        return self.repeating / self.num_maps if self.num_maps else 0.0

    @property
    def is_redundant(self) -> bool:
        """Whether most maps say no more than the prediction."""
        return self.share >= MOSTLY


def summary_rows(explained: Explained) -> list[SummaryRow]:
    """Rows of summary.csv, each with its verdicts where maps were tested."""
    verdicts = {(row["method"], row["layer"]): row for row in explained.verdicts}
    return [
        SummaryRow(
            row["method"], row["layer"], row["module"], int(row["repeating"]), int(row["num_maps"]), row["identity"],
            f"{float(row['in_layer']):.2f}" if row["in_layer"] else "",
            *(_verdict(verdicts.get((row["method"], row["layer"])), question) for question in QUESTIONS),
        )
        for row in explained.summary
    ]  # fmt: skip


def _verdict(row: Row | None, question: str) -> str:
    """Yes, no, or whatever word stands there; "" where maps were not tested."""
    if row is None:
        return ""
    return {"True": "yes", "False": "no"}.get(row.get(question, ""), row.get(question, "") or "unknown")


def names_of_tests(explained: Explained) -> str:
    """Names of the tests of sanity and stability, as columns of verdicts.csv name them."""
    suffix = ", rank correlation"
    names = [name.removesuffix(suffix) for name in (explained.verdicts or [{}])[0] if name.endswith(suffix)]
    return ", ".join(names)


def heat_panels(run: ReportedRun, wanted: Sequence[str], with_pixels: bool) -> list[HeatPanel]:
    """Maps of the first NUM_SCANS of the wanted scans that have some, else of the first scans that do."""
    if run.explained is None:
        return []
    folder = run.folder / EXPLANATION / "maps"
    there = [scan for scan in run.explained.content["scans"] if (folder / f"{scan}.npz").is_file()]
    chosen = [scan for scan in wanted if scan in there] or there
    return [_panel(run, run.explained, folder / f"{scan}.npz", scan, with_pixels) for scan in chosen[:NUM_SCANS]]


def _panel(run: ReportedRun, explained: Explained, path: Path, scan: str, with_pixels: bool) -> HeatPanel:
    method = explained.methods[0]
    rows = {(row["layer"], row["class_name"]): row for row in explained.maps
            if row["scan"] == scan and row["method"] == method}  # fmt: skip
    arrays = read_npz(path)
    try:
        image = np.round(255 * np.clip(arrays["image"], 0, 1)).astype(np.uint8)
        aspect = _extent(arrays["columns_px"]) / _extent(arrays["rows_px"])
        maps = [one for layer in explained.layers for one in _maps(arrays, method, layer, rows)]
    except (KeyError, IndexError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not what `retseg explain` saves ({error}); run it again") from error
    return HeatPanel(run.letter, run.name, scan, method, aspect, gray_webp(image) if with_pixels else "", maps)


def _extent(centres: Array) -> float:
    """Length that pixels with these centres cover."""
    return float(centres[-1] - centres[0]) * len(centres) / (len(centres) - 1)


def _maps(arrays: Mapping[str, Array], method: str, layer: str, rows: Mapping[tuple[str, str], Row]) -> list[HeatMap]:
    heat, peaks = arrays[f"{method}/{layer}/normalised"], arrays[f"{method}/{layer}/raw_max"]
    found = []
    for number, name in enumerate(CLASS_NAMES):
        row = rows.get((layer, name), {})
        peak = float(peaks[number])
        remark = row.get("stamp", "") if peak > 0 else NO_MAP
        uri = heat_png(heat[number]) if peak > 0 else ""
        found.append(HeatMap(layer, name, uri, f"{peak:.2g}", remark, row.get("repeats") == "True"))
    return found


def heat_png(heat: Array) -> str:
    """Data URI of heat (h, w) in 0..1: the hotter, the brighter and the less clear; no heat is clear."""
    step = max(1, -(-max(heat.shape) // LONGEST_PX))
    height, width = (size // step * step for size in heat.shape)
    means = heat[:height, :width].reshape(height // step, step, width // step, step).mean(axis=(1, 3))
    levels = np.round(np.clip(np.nan_to_num(means), 0, 1) * (NUM_LEVELS - 1)).astype(np.uint8)
    alphas = [round(255 * min(1.0, 0.15 + level / (NUM_LEVELS - 1)) * (level > 0)) for level in range(NUM_LEVELS)]
    return indexed_png(levels, ramp(INFERNO, NUM_LEVELS), alphas)
