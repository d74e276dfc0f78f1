"""What one of our HDF5 files is, and what its table says: which B-scans it holds and where their arrays lie.

A file holds the table `scans`, a row for each key, and up to four stacks (N, H, W): `images`, `surface_rows` (N, S, W),
`masks`, `fluids`. A row says where in each stack its arrays lie; -1 is None. Graders share their pixels.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retseg.anatomy import CLASS_NAMES, SURFACE_NAMES
from retseg.bscan import Array, Eye, ScanKey, Spacing
from retseg.data.sources.pixels import stated_spacing
from retseg.data.sources.safe_hdf5 import checked_dataset, checked_values, has_link, open_hdf5, text_attribute
from retseg.errors import InputError, typed_line

FORMAT = "retseg scans"
FORMAT_VERSION = 1

STACKS = {"images": ("|u1", "<f4"), "surface_rows": ("<f4",), "masks": ("|i1",), "fluids": ("|b1",)}
"""Name and possible dtypes of each stack."""

SCAN_DTYPE = np.dtype(
    [
        *((name, "<i4") for name in ("grader", "bscan", *STACKS, "spacing_source", "eye")),
        *((name, "<f8") for name in ("axial_um", "lateral_um")),
    ]
)
"""A row of `scans`. Spacing NaN is None; spacing_source indexes the attribute `spacing_sources`, eye `EYES`."""

EYES: tuple[Eye | None, ...] = (None, "OD", "OS")
SUBJECT = re.compile(r"\w[\w.-]*")
"""Subjects that a file can be named after."""

TEXTS, LISTS = ("subject", "source_name", "label_origin"), ("spacing_sources", "notices")
"""What the attribute `about` says of the source, each a field of SubjectTable."""

_NO_LIMIT = 2**31


@dataclass(frozen=True, slots=True)
class SubjectTable:
    """The B-scans of one file: rows (N,) of SCAN_DTYPE, and what the source that it was made from said."""

    path: Path
    subject: str
    source_name: str
    label_origin: str
    spacing_sources: tuple[str, ...]
    notices: tuple[str, ...]
    rows: Array

    @property
    def keys(self) -> list[ScanKey]:
        """Of each row."""
        pairs = zip(self.rows["grader"].tolist(), self.rows["bscan"].tolist(), strict=True)
        return [ScanKey(grader, self.subject, bscan) for grader, bscan in pairs]

    def spacing(self, row: int) -> Spacing:
        """Pixel size of a row. InputError where the file states an impossible one."""
        found = self.rows[row]
        source = self.spacing_sources[found["spacing_source"]]
        return stated_spacing((found["axial_um"], found["lateral_um"]), source, self.path)

    def eye(self, row: int) -> Eye | None:
        """Side of a row's eye."""
        return EYES[int(self.rows["eye"][row])]

    def check(self, sizes: dict[str, int] | None = None) -> None:
        """InputError where a row points past its stack, of which sizes gives the lengths if known, or is odd."""
        if not SUBJECT.fullmatch(self.subject):
            raise InputError(f"{self.path}: its attribute `about` lacks a name or holds a wrong one; convert again")
        ends = {stack: _NO_LIMIT if sizes is None else sizes[stack] for stack in STACKS}
        limits = {**{stack: (-1, end) for stack, end in ends.items()}, "images": (0, ends["images"])} | {
            "spacing_source": (0, len(self.spacing_sources)),
            "eye": (0, len(EYES)),
            "bscan": (0, _NO_LIMIT),
            "grader": (0, _NO_LIMIT),
        }
        for field, (lowest, limit) in limits.items():
            if self.rows[field].min() < lowest or self.rows[field].max() >= limit:
                raise InputError(f"{self.path}: {field} in table scans is outside {lowest}..{limit - 1}; convert again")
        if len(np.unique(self.rows[["grader", "bscan"]])) < len(self.rows):
            twice = Counter(self.keys).most_common(1)[0][0]
            raise InputError(f"{self.path}: {twice.name} is there twice; convert again")
        sizes_um = np.stack([self.rows["axial_um"], self.rows["lateral_um"]])
        wrong = ~(np.isnan(sizes_um) | (sizes_um > 0) & np.isfinite(sizes_um)).all(axis=0)
        if wrong.any():
            self.spacing(int(wrong.argmax()))


def read_subject(path: Path) -> SubjectTable:
    """The table of a file. InputError where it is damaged, no file of ours, newer, or its stacks do not fit."""
    with open_hdf5(path) as file:
        about = _read_about(file, path)
        rows = values(checked_dataset(file, "scans", path), None, path)
        if rows.dtype != SCAN_DTYPE or rows.ndim != 1 or not len(rows):
            raise InputError(f"{path}: table scans is not one of ours; convert again")
        sizes = {stack: _checked_stack(file, stack, path) if has_link(file, stack) else 0 for stack in STACKS}
    table = subject_table(path, about, rows)
    table.check(sizes)
    return table


def read_arrays(table: SubjectTable, row: int, stacks: Sequence[str]) -> dict[str, Array]:
    """Those of a row's arrays that it has. InputError where they are damaged."""
    places = {stack: int(table.rows[stack][row]) for stack in stacks}
    with open_hdf5(table.path) as file:
        return {
            stack: values(checked_dataset(file, stack, table.path, one_row=True), place, table.path)
            for stack, place in places.items()
            if place >= 0
        }


def subject_table(path: Path, about: dict[str, Any], rows: Array) -> SubjectTable:
    """The table of a file with the texts and lists of texts that its `about` holds."""
    said: dict[str, Any] = {name: str(about[name]) for name in TEXTS}
    said |= {name: tuple(map(str, about[name])) for name in LISTS}
    return SubjectTable(path=path, rows=rows, **said)


def values(dataset: Any, row: int | None, path: Path) -> Array:
    """Values of a dataset, or one row. InputError where bytes are damaged (each chunk has a checksum)."""
    try:
        return checked_values(dataset, path, row)
    except InputError:
        raise
    except Exception as error:  # h5py raises whatever a damaged byte leads it to
        raise InputError(f"{path}: {dataset.name} is damaged ({typed_line(error)}); convert again") from error


def _read_about(file: Any, path: Path) -> dict[str, Any]:
    """What a file says of itself. InputError where it is no file of ours, newer, or with other layers."""
    try:
        about = json.loads(text_attribute(file, "about", path))
    except InputError:
        raise
    except Exception as error:  # h5py raises whatever a damaged byte leads it to
        raise InputError(f"{path}: not a file of `retseg data convert` ({typed_line(error)}); convert it") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise InputError(f"{path}: not a file of `retseg data convert`; convert it")
    if about.get("format_version") != FORMAT_VERSION:
        found = about.get("format_version")
        raise InputError(f"{path}: format version {found}, this retseg reads {FORMAT_VERSION}; convert again")
    is_whole = all(isinstance(about.get(name), str) for name in TEXTS) and all(
        isinstance(about.get(name), list) and all(isinstance(text, str) for text in about[name]) for name in LISTS
    )
    if not is_whole:
        raise InputError(f"{path}: its attribute `about` lacks a name or holds a wrong one; convert again")
    if about.get("surface_names") != list(SURFACE_NAMES) or about.get("class_names") != list(CLASS_NAMES):
        raise InputError(f"{path}: its layers are not {', '.join(CLASS_NAMES)}; convert again with this retseg")
    return about


def _checked_stack(file: Any, stack: str, path: Path) -> int:
    """The length of a stack whose dtype and shape fit the images. InputError otherwise."""
    dataset = checked_dataset(file, stack, path, one_row=True)
    if dataset.dtype not in STACKS[stack] or dataset.ndim != 3:
        raise InputError(
            f"{path}: {stack} is {dataset.dtype} with {dataset.ndim} axes, expected {STACKS[stack]} with 3"
        )
    image_shape = checked_dataset(file, "images", path, one_row=True).shape
    expected = (len(SURFACE_NAMES), *image_shape[2:]) if stack == "surface_rows" else image_shape[1:]
    if dataset.shape[1:] != expected:
        raise InputError(f"{path}: {stack} of {dataset.shape[1:]}, images are {image_shape[1:]}; convert again")
    return len(dataset)
