"""Numeric arrays of a MATLAB file, v5 (scipy) or v7.3 (an HDF5 file, axes reversed), in MATLAB's axis order.

What a v5 file declares is read here and not by `scipy.io.whosmat`, which inflates 128 kB of each variable for it and
does not say how many bytes its values claim. Layout: MathWorks, "MAT-File Format", chapter 1, level 5.
"""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

from retseg.bscan import Array
from retseg.data.sources.safe_hdf5 import (
    MAX_BYTES,
    checked_dataset,
    checked_values,
    has_hard_link,
    open_hdf5,
    text_attribute,
)
from retseg.errors import InputError, typed_line

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
BYTES_PER_VALUE = {
    "double": 8, "single": 4, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2,
    "int32": 4, "uint32": 4, "int64": 8, "uint64": 8, "logical": 1,
}  # fmt: skip
_HDF5_CLASS = {"float64": "double", "float32": "single", "bool": "logical"}
_V5_CLASS = ("", "cell", "struct", "object", "char", "sparse", *list(BYTES_PER_VALUE)[:-1], "function", "opaque")
_V5_MATRIX, _V5_COMPRESSED = 14, 15
_V5_LOGICAL, _V5_COMPLEX = 0x200, 0x800
_V5_NUMBERS = (1, 2, 3, 4, 5, 6, 7, 9, 12, 13)
"""Types of stored values. scipy (1.17) takes any other for a place in a table of pointers, and crashes."""

_V5_HEAD_BYTES = 1024
"""Enough of a v5 variable for its class, shape and name."""


@dataclass(frozen=True, slots=True)
class Variable:
    """What a .mat file declares of one variable, before its values are read.

    shape: in MATLAB's order. matlab_class: "double", "cell", "complex single". num_bytes: what its values claim.
    """

    shape: tuple[int, ...]
    matlab_class: str
    num_bytes: int


def list_variables(path: Path) -> dict[str, Variable]:
    """What the file declares, no values read. InputError where it is empty, damaged or something else."""
    if _is_v73(path):
        with open_hdf5(path) as file:
            return {name: _declared(file, name, path) for name in file if not name.startswith("#")}
    try:
        return _list_v5(path)
    except (ValueError, IndexError, struct.error, zlib.error) as error:
        raise _damaged(path, error) from error


def check_variable(path: Path, variables: dict[str, Variable], name: str, num_axes: int) -> tuple[int, ...]:
    """The shape of a numeric variable with num_axes axes. InputError otherwise, or if it is too large to read."""
    if name not in variables:
        raise InputError(f"{path}: no variable {name}, it holds {', '.join(sorted(variables)) or 'none'}")
    variable = variables[name]
    if variable.matlab_class not in BYTES_PER_VALUE:
        raise InputError(f"{path}: {name} is of class {variable.matlab_class}, expected a numeric array")
    if len(variable.shape) != num_axes or min(variable.shape) < 1:
        raise InputError(f"{path}: {name} has the shape {variable.shape}, expected {num_axes} axes, none of them empty")
    if variable.num_bytes > MAX_BYTES:
        raise InputError(f"{path}: {name} declares {variable.num_bytes} bytes, expected at most {MAX_BYTES}; refused")
    return variable.shape


def read_variable(path: Path, name: str) -> Array:
    """The values of one variable that passed `check_variable`. InputError where the file is damaged, or complex."""
    try:
        if _is_v73(path):
            with open_hdf5(path) as file:
                values = checked_values(checked_dataset(file, name, path), path).T
        else:
            values = scipy.io.loadmat(path, variable_names=[name], appendmat=False)[name]
    except InputError:
        raise
    except Exception as error:  # the parsers raise whatever a damaged byte leads them to
        raise _damaged(path, error) from error
    if values.dtype.kind not in "biuf":
        raise InputError(f"{path}: {name} is of type {values.dtype}, expected real numbers")
    return np.asarray(values)


def _is_v73(path: Path) -> bool:
    """Whether the file is HDF5, plain or behind MATLAB's header of 512 bytes. InputError where it is no .mat file."""
    try:
        with path.open("rb") as file:
            head = file.read(520)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({typed_line(error)})") from error
    if not head:
        raise InputError(f"{path}: empty (0 bytes), expected a .mat file; download it again")
    if head.lstrip()[:5].lower() in (b"<!doc", b"<html", b"<?xml"):
        raise InputError(f"{path}: an HTML page saved as .mat, expected a MATLAB file; download it again")
    return HDF5_SIGNATURE in (head[:8], head[512:])


def _list_v5(path: Path) -> dict[str, Variable]:
    """The variables of a v5 file, from the head of each."""
    variables: dict[str, Variable] = {}
    num_file_bytes = path.stat().st_size
    with path.open("rb") as file:
        order = {b"IM": "<", b"MI": ">"}.get(file.read(128)[126:])
        if order is None:
            raise ValueError("no MATLAB header")
        while tag := file.read(8):
            kind, num_bytes = struct.unpack(f"{order}II", tag)
            end = file.tell() + num_bytes
            if end > num_file_bytes:
                raise ValueError(f"ends at byte {num_file_bytes} in the middle of a variable that ends at {end}")
            head = file.read(min(num_bytes, _V5_HEAD_BYTES))
            if kind == _V5_COMPRESSED:
                head = zlib.decompressobj().decompress(head, _V5_HEAD_BYTES)
                kind, _ = struct.unpack(f"{order}II", head[:8])
                head = head[8:]
            if kind != _V5_MATRIX:
                raise ValueError(f"an element of type {kind} in place of a variable")
            name, variable = _read_v5_head(head, order)
            if name in variables:
                raise ValueError(f"two variables are called {name!r}")  # scipy would read the other one
            variables[name] = variable
            file.seek(end)
    return variables


def _read_v5_head(head: bytes, order: str) -> tuple[str, Variable]:
    """Name and declaration of one v5 variable from its first bytes."""
    (flags,) = struct.unpack_from(f"{order}I", head, 8)
    matlab_class = _V5_CLASS[flags & 0xFF]
    shape: tuple[int, ...] = ()
    at = 16
    if matlab_class != "opaque":
        num_bytes, start, at = _v5_element(head, at, order)
        shape = struct.unpack_from(f"{order}{num_bytes // 4}i", head, start)
    num_bytes, start, at = _v5_element(head, at, order)
    name = head[start : start + num_bytes].decode("latin-1")
    num_bytes = 0
    if matlab_class in BYTES_PER_VALUE:
        # Values may be stored in a smaller type than their class: the larger of the two is what reading takes.
        num_bytes, *_ = _v5_element(head, at, order)
        (kind,) = struct.unpack_from(f"{order}I", head, at)
        if kind & 0xFFFF not in _V5_NUMBERS:
            raise ValueError(f"values of type {kind & 0xFFFF} in {name!r}")
        num_bytes = max(num_bytes, int(np.prod(shape, dtype=object)) * BYTES_PER_VALUE[matlab_class])
        matlab_class = "logical" if flags & _V5_LOGICAL else matlab_class
        matlab_class = f"complex {matlab_class}" if flags & _V5_COMPLEX else matlab_class
    return name, Variable(shape, matlab_class, num_bytes)


def _v5_element(head: bytes, at: int, order: str) -> tuple[int, int, int]:
    """Of the element at a place: its bytes, where they start, and where the next one does. Up to 4 sit in the tag."""
    kind, num_bytes = struct.unpack_from(f"{order}II", head, at)
    if kind >> 16:
        return kind >> 16, at + 4, at + 8
    return num_bytes, at + 8, at + 8 + num_bytes + -num_bytes % 8


def _declared(file: Any, name: str, path: Path) -> Variable:
    """Shape and class of a variable of a v7.3 file. Links are refused before anything follows them."""
    if has_hard_link(file, name) and isinstance(file[name], h5py.Group):
        return Variable((), "struct", 0)
    dataset = checked_dataset(file, name, path, max_bytes=2**63)
    matlab_class = text_attribute(dataset, "MATLAB_class", path) or dataset.dtype.name
    shape = () if dataset.attrs.get("MATLAB_empty", 0) else tuple(dataset.shape[::-1])
    return Variable(shape, _HDF5_CLASS.get(matlab_class, matlab_class), int(dataset.nbytes))


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: damaged or not a .mat file ({typed_line(error)}); download it again")
