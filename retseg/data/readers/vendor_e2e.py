"""Heidelberg Engineering's .e2e files, through eyepy's reader: every series that holds B-scans is a volume.

Gray levels: 16-bit floats of the device (read as eyepy and OCT-Converter do, which take the bits of the mantissa in
reverse order; no public file tells whether that is right), shown by the rule of .vol (eyepy `from_e2e_intensity`).
The file states the height of a pixel. Its width and the distance of B-scans it gives in degrees, which are um in no eye
without its optics: both stay unknown. Places are degrees on the infrared picture, x to the right, y downwards.
"""

import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from retseg.bscan import Array, Eye
from retseg.data.readers.held import Held, Shelf
from retseg.data.readers.levels import check_size
from retseg.data.readers.vendor_eyepy import heard, module_of_eyepy
from retseg.data.readers.vendor_heidelberg import arranged, eye_of, positive_um, shown, spacing_of, subject_of
from retseg.data.readers.volume import RawBScan, ScanVolume
from retseg.errors import InputError

_E2E = "Heidelberg .e2e file"
_BSCAN_IMAGE = 35652097
_FIRST_CHUNK, _CHUNK_HEADER, _FOLDER, _CONTAINER_HEADER = 36 + 52, 52, 44, 60
"""Bytes of the headers of a file, a chunk, an entry of its directory, and the data that an entry stands for."""

_PIXEL_UM = (0.5, 20.0)
"""Heights of a pixel that OCT devices have; other numbers in a file are none."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A series with B-scans, in their order: id of the series, ids of its slices, and what it says."""

    series: int
    slices: tuple[int, ...]
    metas: tuple[Any, ...]
    eye: Eye | None
    subject: str | None


def open_e2e(path: Path, shelf: Shelf) -> list[ScanVolume]:
    """A volume for each series with B-scans, named after the file and the number of the series.

    The file stays open while it is read, as `Held` says. InputError where no series has any.
    """
    _check_directory(path)
    with heard(path, _E2E) as said:
        found = _series(path)
    if not found:
        raise InputError(f"{path}: a {_E2E} without B-scans; leave it out, or export it again")
    return [_volume(path, series, shelf, tuple(said.lines)) for series in found]


def _check_directory(path: Path) -> None:
    """InputError where the directory of a file leads in a circle: eyepy would follow it for ever."""
    size, position, visited, num_bytes = path.stat().st_size, _FIRST_CHUNK, set(), 0
    with path.open("rb") as file:
        while position + _CHUNK_HEADER <= size:
            file.seek(position + 36)
            (num_entries,) = struct.unpack("<I", file.read(4))
            end = position + _CHUNK_HEADER + num_entries * _FOLDER
            if num_entries == 0 or end > size:
                return  # where eyepy stops too
            num_bytes += num_entries * _FOLDER
            if position in visited or num_bytes > size:
                raise InputError(f"{path}: the directory of this {_E2E} leads in a circle; export it again")
            visited.add(position)
            file.seek(end - _FOLDER + 4)
            start, length = struct.unpack("<II", file.read(8))
            position = start + length + _CONTAINER_HEADER


def _opened(path: Path) -> Any:
    with heard(path, _E2E):
        return module_of_eyepy("io.he").HeE2eReader(path).__enter__()


def _series(path: Path) -> list[_Found]:
    found = []
    kinds = module_of_eyepy("io.he.e2e_format").TypesEnum
    with module_of_eyepy("io.he").HeE2eReader(path) as reader:
        for series in reader.series:
            slices = [
                (one.get_meta(), number)
                for number, one in series.slices.items()
                if kinds.bscanmeta in one.folders and kinds.image in one.folders
            ]
            if not slices:
                continue  # pictures of the fundus alone
            slices.sort(key=lambda pair: (pair[0]["aktImage"], pair[1]))
            letters = [folder.data.laterality.name for folder in series.folders.get(kinds.laterality, [])]
            patients = series.patient.folders.get(kinds.patient, []) if series.patient else []
            found.append(
                _Found(
                    series=series.id,
                    slices=tuple(number for _, number in slices),
                    metas=tuple(meta for meta, _ in slices),
                    eye=eye_of(letters[0]) if letters else None,
                    subject=subject_of(patients[0].data.patient_id) if patients else None,
                )
            )
    return found


def _volume(path: Path, found: _Found, shelf: Shelf, said: tuple[str, ...]) -> ScanVolume:
    first = found.metas[0]
    check_size((first["size_y"], first["size_x"]), f"{path}, series {found.series}")
    ends = [(*meta["start_pos"], *meta["end_pos"]) for meta in found.metas]
    placed = arranged(ends, first["scan_pattern"], None)
    axial_um = positive_um(first["scale_y"])
    notices = [*said, *placed.notices]
    if axial_um is not None and not _PIXEL_UM[0] <= axial_um <= _PIXEL_UM[1]:
        notices.append(f"a pixel {axial_um:g} um high, which no OCT has: its height is taken as unknown")
        axial_um = None
    num_bscans = len(found.slices)
    held: Held[Any] = Held(
        shelf, lambda: _opened(path), range(num_bscans), lambda reader: reader.__exit__(None, None, None)
    )

    def read(number: int) -> RawBScan:
        place = f"{path}, series {found.series}, B-scan {number + 1}"
        raw = held.read(number, lambda reader: _reflectance(reader, found.series, found.slices[number], path))
        if raw.shape != (first["size_y"], first["size_x"]):
            raise InputError(f"{place}: {raw.shape} pixels, its header says {first['size_y'], first['size_x']}")
        return RawBScan(shown(e2e_gray(raw), place))

    return ScanVolume(
        name=f"{path.stem}_{found.series}",
        path=path,
        format=_E2E,
        numbers=tuple(range(num_bscans)),
        read=read,
        num_bscans=num_bscans,
        spacing=spacing_of(axial_um, None, "Heidelberg .e2e header"),
        is_raster=placed.is_raster,
        eye=found.eye if placed.eye_is_sided else None,
        first_bscan=placed.first_bscan,
        subject=found.subject,
        notices=tuple(notices),
    )


def _reflectance(reader: Any, series: int, number: int, path: Path) -> Array:
    """Pixels (H, W) of the slice of that number; a copy of its entry is read, which forgets them again."""
    with heard(path, _E2E):
        (one,) = (found for found in reader.series if found.id == series)
        for folder in one.slices[number].folders[module_of_eyepy("io.he.e2e_format").TypesEnum.image]:
            image = replace(folder).data
            if image.type == _BSCAN_IMAGE:
                return np.asarray(image.data)
        raise InputError(f"{path}: slice {number} of series {series} has no B-scan; export it again")


def e2e_gray(reflectance: Array) -> Array:
    """Gray levels (H, W) uint8 of reflectances (H, W), as HEYEX shows them."""
    with np.errstate(all="ignore"):
        return np.asarray(module_of_eyepy("core.utils").from_e2e_intensity(np.array(reflectance, np.float32)))
