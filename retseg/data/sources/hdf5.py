"""Our own files: one HDF5 file per subject, one B-scan a chunk, made from any source without loss.

A file holds the table `scans`, a row for each key, and up to four stacks (N, H, W): `images`, `surface_rows` (N, S, W),
`masks`, `fluids`. A row says where in each stack its arrays lie; -1 is None. Graders share their pixels.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from retseg import __version__
from retseg.anatomy import CLASS_NAMES, IGNORE, NUM_CLASSES, SURFACE_NAMES
from retseg.bscan import Array, BScan, Eye, ScanKey, Spacing
from retseg.data.source import ScanSource
from retseg.data.sources.pixels import stated_spacing
from retseg.data.sources.safe_hdf5 import checked_dataset, checked_values, has_link, one_line, open_hdf5, text_attribute
from retseg.errors import InputError

FORMAT = "retseg scans"
FORMAT_VERSION = 1

_STACKS = {"images": ("|u1", "<f4"), "surface_rows": ("<f4",), "masks": ("|i1",), "fluids": ("|b1",)}
"""Name and possible dtypes of each stack."""

_SCAN_DTYPE = np.dtype(
    [
        *((name, "<i4") for name in ("grader", "bscan", *_STACKS, "spacing_source", "eye")),
        *((name, "<f8") for name in ("axial_um", "lateral_um")),
    ]
)
"""A row of `scans`. Spacing NaN is None; spacing_source indexes the attribute `spacing_sources`, eye `_EYES`."""

_LONGEST_FIXED = 60_000
"""Bytes: HDF5 keeps attributes below 64 kB."""

_EYES: tuple[Eye | None, ...] = (None, "OD", "OS")
_SUBJECT = re.compile(r"\w[\w.-]*")


class Hdf5Source:
    """B-scans of a folder of `.h5` files that `convert` wrote, or of one such file, as the first source gave them.

    Opening reads the tables alone. A file is open for the length of one `read` (under a millisecond to open), so no
    handle is pickled, crosses a fork or is shared by workers. Links, and values kept in other files, are refused.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        paths = sorted(self.root.glob("*.h5")) if self.root.is_dir() else [self.root] * self.root.exists()
        if not paths:
            raise InputError(
                f"{root}: no .h5 file here; make some with `retseg data convert -o {root}`, or use data=phantom"
            )
        self._places: dict[ScanKey, tuple[Path, dict[str, int], Spacing, Eye | None]] = {}
        descriptions = {path: self._open_subject(path) for path in paths}
        first = descriptions[paths[0]]
        for path, description in descriptions.items():
            if description[:2] != first[:2]:
                raise InputError(f"{path}: scans of {description[:2]}, but {paths[0]} has {first[:2]}; keep them apart")
        self.name, self.label_origin = first[:2]
        self._keys = tuple(sorted(self._places))
        self._notices = tuple(dict.fromkeys(line for *_, lines in descriptions.values() for line in lines))

    @property
    def keys(self) -> tuple[ScanKey, ...]:
        """All B-scans, sorted."""
        return self._keys

    @property
    def notices(self) -> tuple[str, ...]:
        """What the first source had to say when it was converted."""
        return self._notices

    def read(self, key: ScanKey) -> BScan:
        """The B-scan of a key. InputError where the file is damaged or holds labels that nobody can have drawn."""
        if key not in self._places:
            raise InputError(f"{self.root}: no B-scan {key.name} among its {len(self._keys)}")
        path, rows, spacing, eye = self._places[key]
        with open_hdf5(path) as file:
            arrays = {
                stack: _values(checked_dataset(file, stack, path, one_row=True), row, path)
                for stack, row in rows.items()
                if row >= 0
            }
        mask, surface_rows = arrays.get("masks"), arrays.get("surface_rows")
        if mask is not None and (mask.min() < IGNORE or mask.max() >= NUM_CLASSES):
            raise InputError(
                f"{path}, {key.name}: labels {mask.min()}..{mask.max()}, expected {IGNORE}..{NUM_CLASSES - 1}"
            )
        if surface_rows is not None and np.isinf(surface_rows).any():
            raise InputError(f"{path}, {key.name}: an infinite surface row, expected numbers or NaN; convert again")
        return BScan(key, arrays["images"], surface_rows, mask, arrays.get("fluids"), spacing, eye)

    def _open_subject(self, path: Path) -> tuple[str, str, tuple[str, ...]]:
        """Add the keys of one file; its source's name, label origin and notices."""
        with open_hdf5(path) as file:
            about = _read_about(file, path)
            table = _read_table(file, path, num_spacing_sources=len(about["spacing_sources"]))
        for row in table:
            key = ScanKey(int(row["grader"]), about["subject"], int(row["bscan"]))
            if key in self._places:
                raise InputError(f"{path}: {key.name} is there twice, also in {self._places[key][0]}; keep one file")
            source = about["spacing_sources"][row["spacing_source"]]
            spacing = stated_spacing((row["axial_um"], row["lateral_um"]), source, path)
            self._places[key] = (path, {stack: int(row[stack]) for stack in _STACKS}, spacing, _EYES[row["eye"]])
        return about["source_name"], about["label_origin"], tuple(about["notices"])


def convert(
    source: ScanSource,
    folder: str | Path,
    progress: Callable[[int, int], None] | None = None,
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Write all B-scans of a source as `<subject>.h5` files into a folder; their paths.

    progress is called with the number of B-scans done and of all. Each file appears whole or not at all. InputError
    where one is there already (unless overwrite), cannot be written, or a subject's B-scans differ in size or type.
    """
    folder = Path(folder)
    keys = sorted(source.keys, key=lambda key: (key.subject, key.bscan, key.grader))
    paths = {subject: folder / f"{subject}.h5" for subject in dict.fromkeys(key.subject for key in keys)}
    for subject, path in paths.items():
        if not _SUBJECT.fullmatch(subject):
            raise InputError(
                f"subject {subject!r}: expected letters, digits, '_', '-' and '.' alone, as in a file name"
            )
        if path.exists() and not overwrite:
            raise InputError(f"{path}: is there already; choose an empty folder, or say --overwrite")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made a folder ({one_line(error)}); choose another") from error
    num_done = 0
    for subject, subject_keys in groupby(keys, key=lambda key: key.subject):
        with _replacing(paths[subject]) as file:
            writer = _Writer(file, paths[subject])
            for key in subject_keys:
                writer.add(source.read(key))
                num_done += 1
                if progress is not None:
                    progress(num_done, len(keys))
            writer.finish(subject, source)
    return tuple(paths.values())


class _Writer:
    """Stacks and table of one subject's file while it grows, B-scan by B-scan."""

    def __init__(self, file: Any, path: Path) -> None:
        self._file, self._path = file, path
        self._rows: list[tuple[Any, ...]] = []
        self._spacing_sources: dict[str, int] = {}
        self._last: tuple[Array | None, int] = (None, -1)

    def add(self, scan: BScan) -> None:
        """Append a B-scan. Pixels equal to those of the one before (by another grader) are not stored again."""
        last_image, image = self._last
        if last_image is None or last_image.dtype != scan.image.dtype or not np.array_equal(last_image, scan.image):
            image = self._append("images", scan.image, scan.key)
        self._last = (scan.image, image)
        labels = (("surface_rows", scan.surface_rows), ("masks", scan.mask), ("fluids", scan.fluid))
        places = [-1 if array is None else self._append(stack, array, scan.key) for stack, array in labels]
        axial_um, lateral_um = (np.nan if um is None else um for um in (scan.spacing.axial_um, scan.spacing.lateral_um))
        source = self._spacing_sources.setdefault(scan.spacing.source, len(self._spacing_sources))
        eye = _EYES.index(scan.eye)
        self._rows.append((scan.key.grader, scan.key.bscan, image, *places, source, eye, axial_um, lateral_um))

    def finish(self, subject: str, source: ScanSource) -> None:
        """Write the table and what the file is."""
        self._file.create_dataset("scans", data=np.array(self._rows, _SCAN_DTYPE))
        about = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "retseg_version": __version__,
            "subject": subject,
            "source_name": source.name,
            "label_origin": source.label_origin,
            "surface_names": SURFACE_NAMES,
            "class_names": CLASS_NAMES,
            "spacing_sources": list(self._spacing_sources),
            "notices": source.notices,
        }
        text = json.dumps(about)
        # Texts of a fixed length need no heap, which would have to be looked for in all of the file when it is read.
        self._file.attrs["about"] = np.bytes_(text.encode()) if len(text) < _LONGEST_FIXED else text

    def _append(self, stack: str, array: Array, key: ScanKey) -> int:
        """The place of an array at the end of a stack, whose shape and dtype the first one set."""
        assert array.dtype in _STACKS[stack], (stack, array.dtype)
        if stack not in self._file:
            self._file.create_dataset(
                stack, (0, *array.shape), array.dtype, maxshape=(None, *array.shape), chunks=(1, *array.shape),
                compression="gzip", shuffle=True, fletcher32=True,
            )  # fmt: skip
        dataset = self._file[stack]
        if dataset.shape[1:] != array.shape or dataset.dtype != array.dtype:
            raise InputError(
                f"{key.name}: {stack} {array.shape} {array.dtype}, the subject's first has {dataset.shape[1:]} "
                f"{dataset.dtype}; one file holds B-scans of one size and type"
            )
        dataset.resize(len(dataset) + 1, axis=0)
        dataset[-1] = array
        return len(dataset) - 1


@contextmanager
def _replacing(path: Path) -> Iterator[Any]:
    """A new HDF5 file that takes the place of path once it is whole; nothing is left of it otherwise."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with h5py.File(part, "w") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({one_line(error)}); choose a folder with room") from error
    finally:
        part.unlink(missing_ok=True)


def _read_about(file: Any, path: Path) -> dict[str, Any]:
    """What a file says of itself. InputError where it is no file of ours, newer, or with other layers."""
    try:
        about = json.loads(text_attribute(file, "about", path))
    except InputError:
        raise
    except Exception as error:  # h5py raises whatever a damaged byte leads it to
        raise InputError(f"{path}: not a file of `retseg data convert` ({one_line(error)}); convert it") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise InputError(f"{path}: not a file of `retseg data convert`; convert it")
    if about.get("format_version") != FORMAT_VERSION:
        found = about.get("format_version")
        raise InputError(f"{path}: format version {found}, this retseg reads {FORMAT_VERSION}; convert again")
    texts, lists = ("subject", "source_name", "label_origin"), ("spacing_sources", "notices")
    is_whole = all(isinstance(about.get(name), str) for name in texts) and all(
        isinstance(about.get(name), list) and all(isinstance(text, str) for text in about[name]) for name in lists
    )
    if not is_whole or not _SUBJECT.fullmatch(about["subject"]):
        raise InputError(f"{path}: its attribute `about` lacks a name or holds a wrong one; convert again")
    if about.get("surface_names") != list(SURFACE_NAMES) or about.get("class_names") != list(CLASS_NAMES):
        raise InputError(f"{path}: its layers are not {', '.join(CLASS_NAMES)}; convert again with this retseg")
    return about


def _read_table(file: Any, path: Path, num_spacing_sources: int) -> Array:
    """The table `scans`, each place of which is inside its stack. InputError otherwise, or for odd stacks."""
    table = _values(checked_dataset(file, "scans", path), None, path)
    if table.dtype != _SCAN_DTYPE or table.ndim != 1 or not len(table):
        raise InputError(f"{path}: table scans is not one of ours; convert again")
    sizes = {stack: _checked_stack(file, stack, path) if has_link(file, stack) else 0 for stack in _STACKS}
    limits = {**{stack: (-1, size) for stack, size in sizes.items()}, "images": (0, sizes["images"])}
    limits |= {
        "spacing_source": (0, num_spacing_sources),
        "eye": (0, len(_EYES)),
        "bscan": (0, 2**31),
        "grader": (0, 2**31),
    }
    for field, (lowest, limit) in limits.items():
        if table[field].min() < lowest or table[field].max() >= limit:
            raise InputError(f"{path}: {field} in table scans is outside {lowest}..{limit - 1}; convert again")
    return table


def _checked_stack(file: Any, stack: str, path: Path) -> int:
    """The length of a stack whose dtype and shape fit the images. InputError otherwise."""
    dataset = checked_dataset(file, stack, path, one_row=True)
    if dataset.dtype not in _STACKS[stack] or dataset.ndim != 3:
        raise InputError(
            f"{path}: {stack} is {dataset.dtype} with {dataset.ndim} axes, expected {_STACKS[stack]} with 3"
        )
    image_shape = checked_dataset(file, "images", path, one_row=True).shape
    expected = (len(SURFACE_NAMES), *image_shape[2:]) if stack == "surface_rows" else image_shape[1:]
    if dataset.shape[1:] != expected:
        raise InputError(f"{path}: {stack} of {dataset.shape[1:]}, images are {image_shape[1:]}; convert again")
    return len(dataset)


def _values(dataset: Any, row: int | None, path: Path) -> Array:
    """Values of a dataset, or one row. InputError where bytes are damaged (each chunk has a checksum)."""
    try:
        return checked_values(dataset, path, row)
    except InputError:
        raise
    except Exception as error:  # h5py raises whatever a damaged byte leads it to
        raise InputError(f"{path}: {dataset.name} is damaged ({one_line(error)}); convert again") from error
