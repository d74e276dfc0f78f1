"""Files of OCT devices, read with eyepy: Heidelberg .vol, .xml and .e2e, Topcon .fda, RETOUCH .mhd."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from retseg.bscan import Array
from retseg.data.readers.held import Held, Shelf
from retseg.data.readers.levels import VolumeLevels, check_size, level_notices
from retseg.data.readers.vendor_e2e import open_e2e
from retseg.data.readers.vendor_eyepy import heard, module_of_eyepy
from retseg.data.readers.vendor_heidelberg import eye_of, open_vol, open_xml, positive_um, spacing_of
from retseg.data.readers.volume import RawBScan, ScanVolume
from retseg.errors import InputError
from retseg.geometry.volume_map import BScanDistance


def open_vendor(path: Path, shelf: Shelf | None = None) -> list[ScanVolume]:
    """The volumes of a file: of .e2e each series with B-scans, of any other kind one.

    InputError, one line, where it is damaged, holds no B-scans, is of no known kind, or needs a library that is not
    installed (eyepy: extra `vendor`; .fda: also oct-converter; .mhd: also itk). What the library warned of: notices.
    """
    readers: dict[str, Callable[[Path, Shelf], list[ScanVolume]]] = {
        ".vol": open_vol,
        ".xml": open_xml,
        ".e2e": open_e2e,
        ".fda": open_fda,
        ".mhd": open_retouch,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: no known kind of device file; expected {', '.join(readers)}")
    if not path.is_file():
        raise InputError(f"{path}: no such file; name a scan")
    return reader(path, shelf or Shelf())


def open_fda(path: Path, shelf: Shelf) -> list[ScanVolume]:
    """The volume of a Topcon .fda file. eyepy takes its B-scans as a raster and does not read the eye."""

    def load() -> Any:
        return module_of_eyepy("io").import_topcon_fda(path)

    return [_whole(path, "Topcon .fda file", load, shelf)]


def open_retouch(path: Path, shelf: Shelf) -> list[ScanVolume]:
    """The volume of a folder of the RETOUCH challenge, whose scan is called oct.mhd."""
    if path.name != "oct.mhd":
        raise InputError(f"{path}: of .mhd files only oct.mhd of RETOUCH is read; rename it, or save it as .npy")

    def load() -> Any:
        return module_of_eyepy("io").import_retouch(path.parent)

    return [_whole(path, "RETOUCH .mhd file", load, shelf)]


def _whole(path: Path, what: str, load: Callable[[], Any], shelf: Shelf) -> ScanVolume:
    """A volume that eyepy reads as one array (B, H, W); it stays in memory while it is read, as `Held` says."""

    def array() -> Array:
        with heard(path, what):
            return np.asarray(load().data)

    with heard(path, what) as said:
        volume = load()
        shape, dtype, meta = volume.data.shape, volume.data.dtype, dict(volume.meta)
        if len(shape) != 3 or 0 in shape:
            raise InputError(f"{path}: pixels of shape {shape}, expected B-scans of rows and columns; export it again")
        check_size((shape[1], shape[2]), path)
        has_scale = meta.get("scale_unit") == "mm"
        axial_um, lateral_um, distance_um = (
            positive_um(float(meta[name])) if has_scale else None for name in ("scale_y", "scale_x", "scale_z")
        )
        eye = eye_of(meta.get("laterality"))
    held = Held(shelf, array, range(shape[0]))
    levels = VolumeLevels(dtype, range(shape[0]), lambda number: held.read(None, lambda data: data[number]), path)

    def read(number: int) -> RawBScan:
        return RawBScan(levels(held.read(number, lambda data: data[number]), f"{path}, B-scan {number + 1}"))

    is_placed = shape[0] > 1 and distance_um is not None
    return ScanVolume(
        name=path.stem,
        path=path,
        format=what,
        numbers=tuple(range(shape[0])),
        read=read,
        num_bscans=shape[0],
        spacing=spacing_of(axial_um, lateral_um, what),
        distance=BScanDistance(distance_um, what) if is_placed and distance_um is not None else None,
        eye=eye,
        notices=(*said.lines, *level_notices(dtype)),
    )
