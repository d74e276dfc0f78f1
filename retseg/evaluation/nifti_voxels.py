"""Voxels of a NIfTI file of anybody's. What its header declares is held to a limit before anything is unpacked."""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retseg.bscan import Array
from retseg.errors import InputError, one_line

LARGEST_BYTES = 2**30
"""Of the voxels of a file, as they are computed with."""

_HEAD_BYTES = 544
_LARGEST_OFFSET = 2**24
"""Voxels begin at this byte at the latest; the header and its extensions come before."""


@dataclass(frozen=True, slots=True, eq=False)
class Voxels:
    """values: (W, B, H) or (W, H, B) of real numbers. unit: of sizes, "unknown" where the header does not say."""

    values: Array
    sizes: tuple[float, float, float]
    unit: str


def read_voxels(path: Path) -> Voxels:
    """All voxels of a .nii or .nii.gz. InputError where it is damaged, huge, or has not three axes of real numbers."""
    try:
        image = _unpacked(path) if path.name.lower().endswith(".gz") else _mapped(path)
        header: Any = image.header  # untyped
        _check_declared(path, header)
        values = np.asarray(image.dataobj)
        unit, sizes = header.get_xyzt_units()[0], [float(size) for size in header.get_zooms()]
    except InputError:
        raise
    except Exception as error:  # nibabel raises whatever a damaged byte leads it to
        reason = one_line(error)
        raise InputError(f"{path}: not a whole NIfTI file ({reason:.300}); save it again") from error
    return Voxels(values, (sizes[0], sizes[1], sizes[2]), unit)


def _mapped(path: Path) -> Any:
    from nibabel.loadsave import load
    from nibabel.nifti1 import Nifti1Pair

    image = load(path)
    if not isinstance(image, Nifti1Pair):
        raise InputError(f"{path}: {type(image).__name__}, no NIfTI file; name it after what it is")
    return image


def _unpacked(path: Path) -> Any:
    """The image of a packed file, of which no more is unpacked than its header declares, and that within limits."""
    from nibabel.nifti1 import Nifti1Image
    from nibabel.nifti2 import Nifti2Image

    with gzip.open(path) as file:
        head = file.read(_HEAD_BYTES)
        is_newer = 540 in (int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big"))
        kind: Any = Nifti2Image if is_newer else Nifti1Image
        header = kind.header_class(head[: kind.header_class.template_dtype.itemsize], check=False)
        num_bytes = _check_declared(path, header)
        # One byte more than is needed: at its end, gzip compares its checksum.
        content = head + file.read(max(0, header.get_data_offset() + num_bytes - len(head)) + 1)
    return kind.from_bytes(content)


def _check_declared(path: Path, header: Any) -> int:
    """Bytes of the voxels that a header declares. InputError for other axes, for no real numbers, and for too many."""
    shape, dtype, offset = header.get_data_shape(), header.get_data_dtype(), header.get_data_offset()
    if len(shape) != 3 or min(shape) < 1:
        raise InputError(f"{path}: {shape} voxels, expected (columns, B-scans, rows)")
    if dtype.kind not in "iuf":
        raise InputError(f"{path}: voxels of type {dtype}, expected class ids as whole or real numbers; save it again")
    num_values = int(np.prod(shape, dtype=object))
    is_scaled = header.get_slope_inter() not in ((None, None), (1.0, 0.0))
    num_bytes = num_values * max(dtype.itemsize, 8 if is_scaled else 0)
    if num_bytes > LARGEST_BYTES:
        raise InputError(f"{path}: {shape} voxels declare {num_bytes:,} bytes, at most {LARGEST_BYTES:,} are read")
    if not 0 <= offset <= _LARGEST_OFFSET:
        raise InputError(f"{path}: voxels begin at byte {offset}, expected at most {_LARGEST_OFFSET:,}; save it again")
    return num_values * int(dtype.itemsize)
