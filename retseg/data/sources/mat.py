"""Numeric arrays of a MATLAB file, v5 (scipy) or v7.3 (an HDF5 file, axes reversed), in MATLAB's axis order."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

from retseg.bscan import Array
from retseg.data.sources.safe_hdf5 import MAX_BYTES, checked_dataset, has_hard_link, one_line, open_hdf5
from retseg.errors import InputError

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
BYTES_PER_VALUE = {
    "double": 8, "single": 4, "int64": 8, "uint64": 8, "int32": 4, "uint32": 4,
    "int16": 2, "uint16": 2, "int8": 1, "uint8": 1, "logical": 1,
}  # fmt: skip
_MATLAB_CLASS = {"float64": "double", "float32": "single", "bool": "logical"}


@dataclass(frozen=True, slots=True)
class Variable:
    """What a .mat file declares of one variable: shape in MATLAB's order, and MATLAB class ("double", "cell")."""

    shape: tuple[int, ...]
    matlab_class: str


def list_variables(path: Path) -> dict[str, Variable]:
    """What the file declares, no values read. InputError where it is empty, damaged or something else."""
    if _is_v73(path):
        with open_hdf5(path) as file:
            return {name: _declared(file, name, path) for name in file if not name.startswith("#")}
    try:
        return {name: Variable(tuple(shape), kind) for name, shape, kind in scipy.io.whosmat(path, appendmat=False)}
    except Exception as error:  # scipy's parser raises whatever a damaged byte leads it to
        raise _damaged(path, error) from error


def check_variable(path: Path, variables: dict[str, Variable], name: str, num_axes: int) -> tuple[int, ...]:
    """The shape of a numeric variable with num_axes axes. InputError otherwise, or if it is too large to read."""
    if name not in variables:
        raise InputError(f"{path}: no variable {name}, it holds {', '.join(sorted(variables)) or 'none'}")
    variable = variables[name]
    if variable.matlab_class not in BYTES_PER_VALUE:
        raise InputError(f"{path}: {name} is of class {variable.matlab_class}, expected a numeric array")
    if len(variable.shape) != num_axes or 0 in variable.shape:
        raise InputError(f"{path}: {name} has the shape {variable.shape}, expected {num_axes} axes, none of them empty")
    num_bytes = int(np.prod(variable.shape, dtype=object)) * BYTES_PER_VALUE[variable.matlab_class]
    if num_bytes > MAX_BYTES:
        raise InputError(f"{path}: {name} declares {num_bytes} bytes, expected at most {MAX_BYTES}; refused")
    return variable.shape


def read_variable(path: Path, name: str) -> Array:
    """The values of one variable that passed `check_variable`. InputError where the file is damaged, or complex."""
    try:
        if _is_v73(path):
            with open_hdf5(path) as file:
                values = checked_dataset(file, name, path)[()].T
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
        raise InputError(f"{path}: cannot be read ({one_line(error)})") from error
    if not head:
        raise InputError(f"{path}: empty (0 bytes), expected a .mat file; download it again")
    if head.lstrip()[:5].lower() in (b"<!doc", b"<html", b"<?xml"):
        raise InputError(f"{path}: an HTML page saved as .mat, expected a MATLAB file; download it again")
    return HDF5_SIGNATURE in (head[:8], head[512:])


def _declared(file: Any, name: str, path: Path) -> Variable:
    """Shape and class of a variable of a v7.3 file. Links are refused before anything follows them."""
    if has_hard_link(file, name) and isinstance(file[name], h5py.Group):
        return Variable((), "struct")
    dataset = checked_dataset(file, name, path, max_bytes=2**63)
    matlab_class = dataset.attrs.get("MATLAB_class", dataset.dtype.name)
    matlab_class = matlab_class.decode() if isinstance(matlab_class, bytes) else str(matlab_class)
    shape = () if dataset.attrs.get("MATLAB_empty", 0) else tuple(dataset.shape[::-1])
    return Variable(shape, _MATLAB_CLASS.get(matlab_class, matlab_class))


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: damaged or not a .mat file ({one_line(error)}); download it again")
