"""Topcon's .fda files, read here: the one library that does (OCT-Converter) needs an old numpy and trusts every field.

A file is a header of 15 bytes and then chunks: length and text of a name, length of the content, content; a name of
length 0 ends it. B-scans are in @IMG_JPEG (a JPEG 2000 or JPEG picture each) or @IMG_MOT_COMP_03 (16 bits a pixel), the
size of what was scanned in @PARAM_SCAN_04 or @PARAM_SCAN_02. Source: OCT-Converter 0.7.0, `fda_binary.py`, after
bitbucket.org/uocte/uocte/wiki/Topcon%20File%20Format. Which eye it is, and what else a file says, is not read.
"""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from retseg.bscan import Array
from retseg.data.readers.dicom_frames import stated_shape
from retseg.data.readers.levels import VolumeLevels, check_size, level_notices
from retseg.data.readers.vendor_heidelberg import positive_um, spacing_of
from retseg.data.readers.volume import RawBScan, ScanVolume
from retseg.errors import InputError, typed_line
from retseg.geometry.volume_map import BScanDistance

_FDA = "Topcon .fda file"
_SIGNATURE, _HEADER_BYTES = b"FOCT", 15
_PICTURES, _DEEP = b"@IMG_JPEG", b"@IMG_MOT_COMP_03"
_SCANNED = ((b"@PARAM_SCAN_04", 12), (b"@PARAM_SCAN_02", 21))
"""Chunks that state what was scanned, and where in them: width and height in mm, height of a pixel in um."""

_MOST_CHUNKS, _MOST_BSCANS = 4096, 4096
"""Files have some thirty chunks and 512 B-scans at most."""

_Chunks = dict[bytes, tuple[int, int]]
"""Start and length of each chunk's content."""


@dataclass(frozen=True, slots=True)
class _Pixels:
    """Where the B-scans (H, W) of a file lie: start and length of each; pictures, or 16 bits a pixel."""

    shape: tuple[int, int]
    places: tuple[tuple[int, int], ...]
    is_pictures: bool


def open_fda(path: Path) -> list[ScanVolume]:
    """The volume of a .fda file; a B-scan is read when it is asked for. InputError where it is damaged."""
    with path.open("rb") as file:
        chunks = _chunks(file, path)
        pixels = _pixels(file, chunks, path)
        check_size(pixels.shape, path)
        scanned = _scanned(file, chunks)
    numbers = range(len(pixels.places))

    def raw(number: int) -> Array:
        return _read(path, pixels, number)

    dtype = raw(0).dtype
    levels = VolumeLevels(dtype, numbers, raw, path)
    lateral_um, distance_um, axial_um = _scale(scanned, pixels)
    is_placed = len(numbers) > 1 and distance_um is not None
    return [
        ScanVolume(
            name=path.stem,
            path=path,
            format=_FDA,
            numbers=tuple(numbers),
            read=lambda number: RawBScan(levels(raw(number), f"{path}, B-scan {number + 1}")),
            num_bscans=len(numbers),
            spacing=spacing_of(axial_um, lateral_um, _FDA),
            distance=BScanDistance(distance_um, _FDA) if is_placed and distance_um is not None else None,
            notices=level_notices(dtype),
        )
    ]


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"{path}: damaged {_FDA} ({why}); export it again")


def _chunks(file: BinaryIO, path: Path) -> _Chunks:
    if file.read(_HEADER_BYTES)[: len(_SIGNATURE)] != _SIGNATURE:
        raise InputError(f"{path}: no {_FDA}: it does not begin with {_SIGNATURE.decode()}; export it again")
    size, found = path.stat().st_size, _Chunks()
    while (length := file.read(1)) not in (b"", b"\0"):
        name, stated = file.read(length[0]), file.read(4)
        start = file.tell()
        num_bytes = int.from_bytes(stated, "little")
        if len(stated) < 4 or start + num_bytes > size:
            raise _damaged(path, f"the chunk at byte {start} is longer than the file")
        if name in found and name in (_PICTURES, _DEEP):
            raise _damaged(path, f"two chunks {name.decode()}")
        if len(found) == _MOST_CHUNKS:
            raise _damaged(path, f"more than {_MOST_CHUNKS} chunks")
        found.setdefault(name, (start, num_bytes))
        file.seek(num_bytes, io.SEEK_CUR)
    return found


def _pixels(file: BinaryIO, chunks: _Chunks, path: Path) -> _Pixels:
    find: Callable[[BinaryIO, tuple[int, int], Path], _Pixels]
    for name, find in ((_PICTURES, _pictures), (_DEEP, _deep)):
        if name in chunks:
            return find(file, chunks[name], path)
    raise InputError(f"{path}: a {_FDA} without B-scans (neither {_PICTURES.decode()} nor {_DEEP.decode()})")


def _pictures(file: BinaryIO, chunk: tuple[int, int], path: Path) -> _Pixels:
    """Of @IMG_JPEG: mode and two unknown numbers, width, height, B-scans, a number; length and picture each."""
    start, num_bytes = chunk
    width, height, num_bscans = _fields(file, start + 9, "<III", num_bytes - 9, path)
    _check_count(num_bscans, path)
    places, at = [], start + 25
    for number in range(num_bscans):
        (length,) = _fields(file, at, "<I", start + num_bytes - at, path)
        if length == 0 or at + 4 + length > start + num_bytes:
            raise _damaged(path, f"B-scan {number + 1} of {num_bscans} is cut off")
        places.append((at + 4, length))
        at += 4 + length
    return _Pixels((height, width), tuple(places), is_pictures=True)


def _deep(file: BinaryIO, chunk: tuple[int, int], path: Path) -> _Pixels:
    """Of @IMG_MOT_COMP_03: mode, width, height, bits, B-scans, format, size; then pixels, rows from left to right."""
    start, num_bytes = chunk
    width, height, _, num_bscans = _fields(file, start + 1, "<IIII", num_bytes - 1, path)
    _check_count(num_bscans, path)
    length = 2 * width * height
    if 22 + num_bscans * length > num_bytes:
        raise _damaged(path, f"{num_bscans} B-scans of {height} x {width} pixels in {num_bytes} bytes")
    places = tuple((start + 22 + number * length, length) for number in range(num_bscans))
    return _Pixels((height, width), places, is_pictures=False)


def _check_count(num_bscans: int, path: Path) -> None:
    if not 0 < num_bscans <= _MOST_BSCANS:
        raise _damaged(path, f"{num_bscans} B-scans, expected 1 to {_MOST_BSCANS}")


def _fields(file: BinaryIO, start: int, layout: str, room: int, path: Path) -> tuple[int, ...]:
    num_bytes = struct.calcsize(layout)
    file.seek(start)
    content = file.read(num_bytes)
    if room < num_bytes or len(content) < num_bytes:
        raise _damaged(path, f"cut off at byte {start}")
    return struct.unpack(layout, content)


def _scanned(file: BinaryIO, chunks: _Chunks) -> tuple[float, float, float] | None:
    """Width and height in mm of what was scanned, height of a pixel in um; None where the file states none."""
    for name, at in _SCANNED:
        start, num_bytes = chunks.get(name, (0, 0))
        if num_bytes >= at + 24:
            file.seek(start + at)
            width_mm, height_mm, pixel_um = struct.unpack("<ddd", file.read(24))
            return width_mm, height_mm, pixel_um
    return None


def _scale(
    scanned: tuple[float, float, float] | None, pixels: _Pixels
) -> tuple[float | None, float | None, float | None]:
    """Width of a pixel, distance of B-scans, height of a pixel, in um; None for what is not stated, or is no size."""
    if scanned is None:
        return None, None, None
    width_mm, height_mm, pixel_um = scanned
    return (
        positive_um(width_mm / pixels.shape[1]),
        positive_um(height_mm / len(pixels.places)),
        positive_um(pixel_um / 1000),
    )


def _read(path: Path, pixels: _Pixels, number: int) -> Array:
    """Gray levels (H, W) of a B-scan, as the file has them."""
    start, length = pixels.places[number]
    with path.open("rb") as file:
        file.seek(start)
        content = file.read(length)
    if len(content) < length:
        raise _damaged(path, f"B-scan {number + 1} is cut off")
    if not pixels.is_pictures:
        return np.frombuffer(content, "<u2").reshape(pixels.shape)
    return _picture(content, pixels.shape, f"B-scan {number + 1}", path)


def _picture(content: bytes, shape: tuple[int, int], name: str, path: Path) -> Array:
    stated = stated_shape(content)
    if stated != shape:
        raise _damaged(path, f"{name} states {stated or 'no'} pixels, its header {shape}")
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG2000", "JPEG")) as picture:
            image = np.asarray(picture)
    except UnidentifiedImageError as error:
        raise _damaged(path, f"{name} is neither JPEG 2000 nor JPEG") from error
    except Exception as error:  # decoders raise anything of what is damaged
        raise _damaged(path, f"{name}: {typed_line(error):.200}") from error
    if image.shape != shape:
        raise InputError(f"{path}: {name} has pixels {image.shape}, expected gray ones {shape}; export it again")
    return image
