"""NumPy files: .npy, mapped and never loaded whole, and .npz. N B-scans, H rows, W columns. Pickles are refused."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from retseg.bscan import Array, Spacing
from retseg.data.readers.choice import AXES_NOTICE, Declared, check_axes, choose_array
from retseg.data.readers.held import Held, Shelf
from retseg.data.readers.levels import VolumeLevels, level_notices
from retseg.data.readers.options import ReadOptions
from retseg.data.readers.volume import RawBScan, ScanVolume
from retseg.data.sources.mapped import mapped_npy
from retseg.data.sources.pixels import stated_spacing
from retseg.data.sources.safe_hdf5 import MAX_BYTES
from retseg.errors import InputError, typed_line

_HEADER_BYTES = 16384
"""Read of each member: numpy takes headers of at most 10,000 bytes."""

_TEXT_BYTES = 2**16
"""Of a member that holds a name or a pixel size."""


@dataclass(frozen=True, slots=True)
class ArrayFile:
    """An array of a file as a volume. raw(n, is_read): B-scan n (H, W) as it is in the file."""

    path: Path
    format: str
    declared: Declared
    dtype: np.dtype[Any]
    raw: Callable[[int, bool], Array]
    spacing: Spacing = field(default_factory=Spacing)
    subject: str | None = None

    def volume(self, name: str) -> ScanVolume:
        """The volume; name: of the array in its file, empty if it is the only one."""
        num_bscans = check_axes(self.declared, name, self.path)
        numbers = range(num_bscans)
        levels = VolumeLevels(self.dtype, numbers, lambda number: self.raw(number, False), self.path)
        where = f", {name}" if name else ""

        def read(number: int) -> RawBScan:
            place = f"{self.path}{where}" + (f", B-scan {number}" if num_bscans > 1 else "")
            return RawBScan(levels(self.raw(number, True), place))

        return ScanVolume(
            name=self.path.stem,
            path=self.path,
            format=self.format,
            numbers=tuple(numbers),
            read=read,
            num_bscans=num_bscans,
            spacing=self.spacing,
            subject=self.subject,
            notices=(*((AXES_NOTICE,) if len(self.declared.shape) == 3 else ()), *level_notices(self.dtype)),
        )


def open_npy(path: Path, options: ReadOptions, shelf: Shelf) -> list[ScanVolume]:
    """An array (H, W) or (N, H, W). The file is mapped anew for each read; no handle outlives it."""
    array = mapped_npy(path)
    declared = Declared(array.shape, array.dtype.kind)
    is_volume = array.ndim == 3

    def raw(number: int, is_read: bool) -> Array:
        mapped = mapped_npy(path)
        return np.array(mapped[number] if is_volume else mapped)

    return [ArrayFile(path, "NumPy array", declared, array.dtype, raw).volume("")]


def open_npz(path: Path, options: ReadOptions, shelf: Shelf) -> list[ScanVolume]:
    """One array of an archive; what `retseg evaluate` saved of a scan comes with its pixel size and subject.

    An array lies in one stream, so it is held in memory while its B-scans are read, as `Held` says.
    """
    headers = _npz_headers(path)
    declared = {name: Declared(shape, dtype.kind) for name, (shape, dtype) in headers.items()}
    name = choose_array(declared, options.array_key, path)
    shape, dtype = headers[name]
    if (num_bytes := int(np.prod(shape, dtype=object)) * dtype.itemsize) > MAX_BYTES:
        raise InputError(f"{path}: {name} declares {num_bytes} bytes, expected at most {MAX_BYTES}; refused")
    held = Held(shelf, lambda: _npz_values(path, name), range(check_axes(declared[name], name, path)))

    def raw(number: int, is_read: bool) -> Array:
        return held.read(
            number if is_read else None, lambda array: np.array(array[number] if array.ndim == 3 else array)
        )

    is_saved_scan = name == "image" and {"spacing_um", "spacing_source", "subject"} <= headers.keys()
    spacing, subject = _saved_scan(path) if is_saved_scan else (Spacing(), None)
    return [ArrayFile(path, "NumPy archive", declared[name], dtype, raw, spacing, subject).volume(name)]


def _npz_headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and type of each array, no values read. InputError where the archive is damaged."""
    headers = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if not member.endswith(".npy"):
                    continue
                with archive.open(member) as file:
                    head = io.BytesIO(file.read(_HEADER_BYTES))  # a header may claim 4 GB, packed into 4 MB
                version = np.lib.format.read_magic(head)
                read = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }[version]
                shape, _, dtype = read(head)
                headers[member.removesuffix(".npy")] = (shape, dtype)
    except Exception as error:  # a damaged archive leads zipfile and numpy to whatever
        raise InputError(f"{path}: not a whole .npz archive ({typed_line(error)}); save it again") from error
    return headers


def _npz_values(path: Path, name: str, max_bytes: int = MAX_BYTES) -> Array:
    """An array of an archive, by its member and no other (NumPy takes one without .npy for raw bytes)."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
            num_bytes = archive.getinfo(f"{name}.npy").file_size
            if num_bytes > max_bytes + _HEADER_BYTES:
                raise InputError(f"{path}: {name} declares {num_bytes} bytes, expected at most {max_bytes}; refused")
            values: Array = np.lib.format.read_array(file, allow_pickle=False)
    except InputError:
        raise
    except Exception as error:  # as above
        raise InputError(f"{path}: {name} is damaged ({typed_line(error)}); save it again") from error
    return values


def _saved_scan(path: Path) -> tuple[Spacing, str]:
    """Pixel size and subject in a scan that `retseg evaluate` saved; nan is unknown."""
    sizes, source, subject = (
        _npz_values(path, name, _TEXT_BYTES) for name in ("spacing_um", "spacing_source", "subject")
    )
    if sizes.shape != (2,) or sizes.dtype.kind != "f":
        raise InputError(f"{path}: spacing_um {sizes.shape} of {sizes.dtype}, expected two sizes in um; save it again")
    return stated_spacing(sizes.tolist(), str(source), path), str(subject)
