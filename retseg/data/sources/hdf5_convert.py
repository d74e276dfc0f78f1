"""Writes a source's B-scans as our own HDF5 files: one per subject, one B-scan a chunk, without loss."""

import json
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from retseg import __version__
from retseg.anatomy import CLASS_NAMES, SURFACE_NAMES
from retseg.bscan import Array, BScan, ScanKey
from retseg.data.source import ScanSource
from retseg.data.sources.hdf5_index import write_index
from retseg.data.sources.hdf5_subject import EYES, FORMAT, FORMAT_VERSION, SCAN_DTYPE, STACKS, SUBJECT
from retseg.data.sources.new_hdf5 import new_hdf5
from retseg.errors import InputError, typed_line

_LONGEST_FIXED = 60_000
"""Bytes: HDF5 keeps attributes below 64 kB."""


def convert(
    source: ScanSource,
    folder: str | Path,
    progress: Callable[[int, int], None] | None = None,
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Write all B-scans of a source as `<subject>.h5` files into a folder, and its index; the files' paths.

    progress is called with the number of B-scans done and of all. Each file appears whole or not at all. InputError
    where one is there already (unless overwrite), cannot be written, or a subject's B-scans differ in size or type.
    """
    folder = Path(folder)
    keys = sorted(source.keys, key=lambda key: (key.subject, key.bscan, key.grader))
    paths = {subject: folder / f"{subject}.h5" for subject in dict.fromkeys(key.subject for key in keys)}
    for subject, path in paths.items():
        if not SUBJECT.fullmatch(subject):
            raise InputError(
                f"subject {subject!r}: expected letters, digits, '_', '-' and '.' alone, as in a file name"
            )
        if path.exists() and not overwrite:
            raise InputError(f"{path}: is there already; choose an empty folder, or say --overwrite")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made a folder ({typed_line(error)}); choose another") from error
    num_done = 0
    for subject, subject_keys in groupby(keys, key=lambda key: key.subject):
        with new_hdf5(paths[subject]) as file:
            writer = _Writer(file, paths[subject])
            for key in subject_keys:
                writer.add(source.read(key))
                num_done += 1
                if progress is not None:
                    progress(num_done, len(keys))
            writer.finish(subject, source)
    write_index(folder)
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
        eye = EYES.index(scan.eye)
        self._rows.append((scan.key.grader, scan.key.bscan, image, *places, source, eye, axial_um, lateral_um))

    def finish(self, subject: str, source: ScanSource) -> None:
        """Write the table and what the file is."""
        self._file.create_dataset("scans", data=np.array(self._rows, SCAN_DTYPE))
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
        assert array.dtype in STACKS[stack], (stack, array.dtype)
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
