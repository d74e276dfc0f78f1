"""Whether every file of an output folder is whole, and which temporary ones are left."""

import csv
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import torch
from omegaconf import OmegaConf
from PIL import Image

TEMPORARY = re.compile(r"\..+\.\d+\.(part|old)(\.[^.]*)?")
"""What retseg calls a file or folder that is not finished: hidden, the final name, a process."""
GROWING = (".log", ".lock")
"""Endings of files that are never whole: lines are added as they come, or nothing is in them."""


def broken(folder: Path) -> list[str]:
    """A line for every file under a final name that cannot be read to its end, and for every name of no known kind."""
    found = []
    for path in _files(folder):
        if _is_temporary(path, folder) or path.suffix in GROWING:
            continue
        check = _CHECKS.get(path.suffix)
        if check is None:
            found.append(f"{path.relative_to(folder)}: no check for this kind of file")
            continue
        try:
            check(path)
        except Exception as error:
            found.append(f"{path.relative_to(folder)}: {type(error).__name__}: {' '.join(str(error).split())[:120]}")
    return found


def leftovers(folder: Path) -> list[str]:
    """Temporary files that are there, below the folder."""
    return [path.relative_to(folder).as_posix() for path in _files(folder) if _is_temporary(path, folder)]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _is_temporary(path: Path, folder: Path) -> bool:
    return any(TEMPORARY.fullmatch(part) for part in path.relative_to(folder).parts)


def _csv(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.name == "failures.csv" and not text:
        return
    header, *rows = list(csv.reader(text.splitlines()))
    assert text.endswith("\n"), "its last line is cut off"
    assert all(len(row) == len(header) for row in rows), "a row has not as many cells as the header"


def _image(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def _pdf(path: Path) -> None:
    data = path.read_bytes()
    assert data.startswith(b"%PDF"), "no PDF"
    assert data.rstrip().endswith(b"%%EOF"), "cut off"


def _arrays(path: Path) -> None:
    with np.load(path, allow_pickle=False) as arrays:
        for name in arrays.files:
            arrays[name]


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None, "a member is damaged"


def _text(path: Path) -> None:
    assert path.read_text(encoding="utf-8"), "empty"


_CHECKS: dict[str, Callable[[Path], object]] = {
    ".csv": _csv,
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".yaml": lambda path: OmegaConf.to_container(OmegaConf.load(path)),
    ".png": _image,
    ".jpg": _image,
    ".pdf": _pdf,
    ".npz": _arrays,
    ".eye": _zip,
    ".ckpt": lambda path: torch.load(path, map_location="cpu", weights_only=True),
    ".gz": lambda path: nibabel.load(path).get_fdata(),  # type: ignore[attr-defined]  # nibabel types it loosely
    ".dcm": lambda path: pydicom.dcmread(path).pixel_array,
    ".txt": _text,
    "": _text,
}
