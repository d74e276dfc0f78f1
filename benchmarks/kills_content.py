"""What an output folder holds, without the times and numbers of processes that no two runs have alike."""

import csv
import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import torch

TIMED = {"started", "seconds", "time", "scans_of_an_earlier_call", "checkpoint_sha256", "current_score"}
"""Keys of JSON objects and checkpoints, and columns of tables, that tell times, or how often a command was started.

current_score: of the last look at a new best checkpoint; Lightning writes it, and reads neither back nor needs it."""
OWN_TO_A_START = {"environment.json"}
"""Files that tell of every start of a run."""


def content(folder: Path) -> dict[str, str]:
    """SHA-256 of what each file below a folder holds, by its name; growing logs and empty locks left out."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in (".log", ".lock")]
    return {
        path.relative_to(folder).as_posix(): _digest(_READERS.get(path.suffix, Path.read_bytes)(path))
        for path in files
        if path.name not in OWN_TO_A_START
    }


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """A line for each file that is missing, is there as well, or holds something else in the second."""
    lines = [f"{name}: missing" for name in sorted(one.keys() - other.keys())]
    lines += [f"{name}: not there in the undisturbed run" for name in sorted(other.keys() - one.keys())]
    return lines + [f"{name}: differs" for name in sorted(one.keys() & other.keys()) if one[name] != other[name]]


def _digest(value: Any) -> str:
    digest = hashlib.sha256()
    _add(digest.update, value)
    return digest.hexdigest()


def _add(update: Callable[[bytes], None], value: Any) -> None:
    """Feed a nest of plain containers, arrays and tensors to a hash, types and shapes included."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        update(f"{value.dtype}{value.shape}".encode())
        update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Mapping):
        update(b"{")
        for key, item in value.items():
            if key not in TIMED:
                update(repr(key).encode())
                _add(update, item)
    elif isinstance(value, list | tuple):
        update(b"[")
        for item in value:
            _add(update, item)
    else:
        update(value if isinstance(value, bytes) else repr(value).encode())


def _table(path: Path) -> Any:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{name: cell for name, cell in row.items() if name.rpartition("/")[2] not in TIMED} for row in rows]


def _arrays(path: Path) -> Any:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in sorted(archive.namelist())}


def _dicom(path: Path) -> Any:
    """Everything but dates, times, and numbers that DICOM wants to be new in every file."""
    dataset = pydicom.dcmread(path)
    kept = [(str(e.tag), str(e.value)) for e in dataset if e.VR not in ("DA", "TM", "DT", "UI", "SQ", "OB", "OW")]
    return [kept, dataset.pixel_array]


_READERS: dict[str, Callable[[Path], Any]] = {
    ".csv": _table,
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".npz": _arrays,
    ".eye": _zip,
    ".gz": lambda path: gzip.GzipFile(fileobj=io.BytesIO(path.read_bytes())).read(),
    ".ckpt": lambda path: torch.load(path, map_location="cpu", weights_only=True),
    ".dcm": _dicom,
}
