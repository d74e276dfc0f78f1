"""Whether two run folders hold the same training: weights, every epoch's metrics, scores and split; what differs."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from retseg.build import load_net
from retseg.errors import InputError
from retseg.evaluation.json_files import read_object
from retseg.training.environment import differences, weights_sha256
from retseg.training.history import read_history

CHECKPOINTS = ("best", "last")
SIDES = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be the same: what it is in either run, in a few words."""

    what: str
    is_same: bool
    run: str
    repeat: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A value of an epoch (from 1) that differs; size: |repeat - run|, None where one of them is no number."""

    epoch: int
    metric: str
    run: str
    repeat: str
    size: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Checks; the first epoch's first difference and the largest of all, None without any; facts that differ.

    First within an epoch: of training, then of validation. environment: {fact: [run, repeat]}, None for unknown.
    """

    checks: tuple[Check, ...]
    first: Difference | None
    largest: Difference | None
    environment: Mapping[str, list[Any]]

    @property
    def is_same(self) -> bool:
        """Whether all checks hold."""
        return all(check.is_same for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {"same": self.is_same, **asdict(self)}


def compare_runs(run: Path, repeat: Path, num_epochs: int | None = None) -> Comparison:
    """Compare a repeated run with the run. num_epochs: metrics.csv alone, and of so many epochs.

    InputError where a file is missing or damaged.
    """
    rows = [_history(folder) for folder in (run, repeat)]
    if num_epochs is not None:
        rows = [found[:num_epochs] for found in rows]
    found = list(_row_differences(*rows))
    checks = [_check_rows(rows, found), _check_split(run, repeat)]
    if num_epochs is None:
        checks = [*(_check_weights(name, run, repeat) for name in CHECKPOINTS), *checks, _check_scores(run, repeat)]
    sized = [one for one in found if one.size is not None]
    return Comparison(
        checks=tuple(checks),
        first=found[0] if found else None,
        largest=max(sized, key=lambda one: one.size or 0.0, default=None),
        environment=_environment(run, repeat),
    )


def _history(folder: Path) -> list[dict[str, str]]:
    path = folder / "metrics.csv"
    try:
        return read_history(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); only a run that trained can be compared") from error


def _row_differences(ours: list[dict[str, str]], theirs: list[dict[str, str]]) -> Iterator[Difference]:
    """By epoch, in the order of the columns: lr, train, val."""
    for number, (one, other) in enumerate(zip(ours, theirs, strict=False), start=1):
        for metric in dict.fromkeys([*one, *other]):
            values = one.get(metric) or "", other.get(metric) or ""
            if values[0] != values[1]:
                yield Difference(number, metric, *values, _size(*values))


def _size(one: str, other: str) -> float | None:
    try:
        size = abs(float(other) - float(one))
    except ValueError:
        return None
    return size if math.isfinite(size) else None


def _check_rows(rows: list[list[dict[str, str]]], found: list[Difference]) -> Check:
    counts = [f"{len(one)} epochs" for one in rows]
    is_same = not found and len(rows[0]) == len(rows[1])
    num_values = sum(map(len, rows[0]))
    told = counts[1] if not found else f"{counts[1]}, {len(found)} of {num_values} values differ"
    return Check("metrics.csv", is_same, counts[0], told)


def _check_weights(name: str, run: Path, repeat: Path) -> Check:
    hashes = [weights_sha256(load_net(folder, name)) for folder in (run, repeat)]
    return Check(f"weights of {name}.ckpt", hashes[0] == hashes[1], *hashes)


def _check_split(run: Path, repeat: Path) -> Check:
    splits = [read_object(folder / "split.json") for folder in (run, repeat)]
    is_same = all(splits[0].get(side, []) == splits[1].get(side, []) for side in SIDES)
    counts = [", ".join(f"{len(split.get(side, []))} {side}" for side in SIDES) for split in splits]
    return Check("split", is_same, *counts)


def _check_scores(run: Path, repeat: Path) -> Check:
    """metrics.json but for the words that define its scores."""
    contents = [dict(read_object(folder / "metrics.json")) for folder in (run, repeat)]
    facts = [dict(_leaves({**content, "definitions": None})) for content in contents]
    names = [name for name in {**facts[0], **facts[1]} if facts[0].get(name) != facts[1].get(name)]
    told = "as there" if not names else f"{len(names)} of {len(facts[0])} values differ, first {names[0]}"
    return Check("metrics.json", not names, f"{len(facts[0])} values", told)


def _leaves(node: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _leaves(value, f"{place}.{name}" if place else name)
    else:
        yield place, node


def _environment(run: Path, repeat: Path) -> dict[str, list[Any]]:
    """Facts of environment.json that differ, and subjects whose scans do; nothing of what a run of before left out."""
    facts = [read_object(folder / "environment.json") for folder in (run, repeat)]
    found = differences(*facts)
    data = [_data(folder) for folder in (run, repeat)]
    if data[0] is not None and data[1] is not None:
        found |= {f"data.{name or 'scans'}": pair for name, pair in differences(data[0], data[1]).items()}
        for name in data[0].keys() ^ data[1].keys():
            found[f"data.{name}"] = [data[0].get(name), data[1].get(name)]
    return found


def _data(folder: Path) -> Mapping[str, Any] | None:
    """Hashes by subject that the audit kept; None where it kept none."""
    path = folder / "audit.json"
    subjects = read_object(path).get("data", {}).get("subjects") if path.is_file() else None
    return subjects or None


def words(value: Any) -> str:
    """A fact in a cell of a table: hashes shortened, absent ones named."""
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value)
    return f"{text[:12]}..." if len(text) in (40, 64) and all(sign in "0123456789abcdef" for sign in text) else text
