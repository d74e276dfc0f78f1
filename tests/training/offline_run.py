"""Reads a .wandb file, in which W&B keeps an offline run: records of protocol buffers in the log format of LevelDB.

Written here from the format's description, so that the tests see what is on the disk and not what was called.
"""

import json
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2 as pb

BLOCK, HEADER = 32 * 1024, struct.Struct("<IHB")
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(path: Path) -> list[pb.Record]:
    """All records of a .wandb file, in order, up to one that W&B is still writing."""
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    place, parts, found = 7, b"", []
    while place + HEADER.size <= len(data):
        left = BLOCK - place % BLOCK
        if left < HEADER.size:  # the end of a block is padded
            place += left
            continue
        _, size, kind = HEADER.unpack_from(data, place)
        place += HEADER.size
        if place + size > len(data):
            break
        parts = data[place : place + size] if kind in (FULL, FIRST) else parts + data[place : place + size]
        place += size
        if kind in (FULL, LAST):
            record = pb.Record()
            record.ParseFromString(parts)
            found.append(record)
    return found


@dataclass
class OfflineRun:
    """What one run told W&B: tags and group as they were last set, configuration, histories, summary, artifacts."""

    path: Path
    name: str = ""
    run_id: str = ""
    group: str = ""
    sweep: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: list[pb.ArtifactRecord] = field(default_factory=list)
    step_metrics: dict[str, str] = field(default_factory=dict)
    has_ended: bool = False

    @property
    def media(self) -> Path:
        """The folder of its pictures and tables."""
        return self.path.parent / "files"

    def values(self, key: str) -> list[Any]:
        """All values that were logged under a name, in order."""
        return [row[key] for row in self.history if key in row]

    def table(self, key: str) -> tuple[list[str], list[list[Any]]]:
        """Columns and rows of the last table of a name."""
        content = json.loads((self.media / self.values(key)[-1]["path"]).read_text())
        return content["columns"], content["data"]


def read_run(path: Path) -> OfflineRun:
    """An offline run, from its .wandb file, whose end W&B writes a moment after it says that the run is over."""
    until = time.monotonic() + 10
    while not (run := _read(path)).has_ended and time.monotonic() < until:
        time.sleep(0.05)
    return run


def _read(path: Path) -> OfflineRun:
    run = OfflineRun(path)
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run.name, run.run_id, run.group = record.run.display_name, record.run.run_id, record.run.run_group
            run.tags, run.sweep = list(record.run.tags), record.run.sweep_id
            _set(run.config, record.run.config.update)
        elif kind == "config":
            _set(run.config, record.config.update)
        elif kind == "history":
            run.history.append(_set({}, record.history.item))
        elif kind == "summary":
            _set(run.summary, record.summary.update)
        elif kind == "artifact":
            run.artifacts.append(record.artifact)
        elif kind == "request" and record.request.HasField("log_artifact"):
            run.artifacts.append(record.request.log_artifact.artifact)
        elif kind == "metric":
            run.step_metrics[record.metric.name or record.metric.glob_name] = record.metric.step_metric
        run.has_ended |= kind == "exit"
    return run


def _set(target: dict[str, Any], items: Any) -> dict[str, Any]:
    """Put items, each under its key or nested keys, into a dictionary."""
    for item in items:
        *above, last = list(item.nested_key) or [item.key]
        place = target
        for key in above:
            place = place.setdefault(key, {})
        place[last] = json.loads(item.value_json)
    return target


def runs_below(folder: Path) -> list[OfflineRun]:
    """All offline runs below a folder, sorted by path."""
    return [read_run(path) for path in sorted(folder.rglob("*.wandb"))]
