"""Reads what sweeps leave: ablation.csv (variants of a recipe) and leakage.csv (two splits of the same recipe)."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from retseg.errors import InputError

ABLATION_COLUMNS = (
    *("ablation", "seeds", "subjects", "dice_layers", "low", "high"),
    *("difference", "difference_low", "difference_high", "p_holm"),
)
ABLATION_COMMAND = "python -m retseg.train experiment=duke_segnet_cpu data.root=FOLDER sweep=ablation"
LEAKAGE_COMMAND = "python -m retseg.train experiment=duke_segnet_cpu data.root=FOLDER sweep=leakage"

LEAKAGE_COLUMNS = ("score", "random_split", "subjects_apart", "difference", "low", "high", "num_subjects")


@dataclass(frozen=True, slots=True)
class Sweep:
    """Rows of a sweep's table by their first column, numbers as float (None where empty); where its scans came from."""

    folder: str
    origin: str
    rows: Mapping[str, Mapping[str, float | None]]

    @property
    def on_duke(self) -> bool:
        """Whether its scans are the paper's."""
        return self.origin.startswith("Duke")

    @property
    def manual(self) -> bool:
        """Whether people drew its labels."""
        return "manual labels" in self.origin

    def number(self, row: str, column: str) -> float | None:
        """One number; None if the row or the value is absent."""
        return self.rows.get(row, {}).get(column)


def read_ablation(folder: Path) -> Sweep:
    """<folder>/ablation.csv: a row a variant, differences to the baseline. InputError if it is not there."""
    return _read(folder, "ablation.csv", ABLATION_COLUMNS, ABLATION_COMMAND)


def read_leakage(folder: Path) -> Sweep:
    """<folder>/leakage.csv: a row a score, random split minus subjects apart. InputError if it is not there."""
    return _read(folder, "leakage.csv", LEAKAGE_COLUMNS, LEAKAGE_COMMAND)


def _read(folder: Path, name: str, columns: tuple[str, ...], command: str) -> Sweep:
    path = folder / name
    if not path.is_file():
        raise InputError(f"{path}: no such file; name the folder of a finished sweep, made by `{command}`")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if lacking := [column for column in columns if column not in (reader.fieldnames or ())]:
            raise InputError(f"{path}: no column {', '.join(lacking)}; make it again with `{command}`")
        rows = list(reader)
    numbers = {row[columns[0]]: {column: _number(row[column], path) for column in columns[1:]} for row in rows}
    return Sweep(str(folder), _origin(folder), numbers)


def _number(text: str | None, path: Path) -> float | None:
    if not text or text.lower() == "nan":
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{path}: {text!r} is not a number; make the file again") from None


def _origin(folder: Path) -> str:
    """Data and label origin of the sweep's jobs, e.g. "Duke DME, silver labels"."""
    found = sorted(
        f"{data['name']}, {data['label_origin']} labels"
        for path in folder.glob("*/metrics.json")
        if (data := json.loads(path.read_text(encoding="utf-8")).get("data"))
    )
    return " and ".join(dict.fromkeys(found)) or "data not named"
