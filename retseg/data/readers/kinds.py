"""What kind of file something is: by its first bytes where endings lie, else by its ending."""

from enum import Enum
from pathlib import Path

from retseg.data.sources.mat import HDF5_SIGNATURE
from retseg.errors import InputError, typed_line


class Kind(Enum):
    """Kinds of scan files, each with its endings."""

    PICTURE = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
    NPY = (".npy",)
    NPZ = (".npz",)
    HDF5 = (".h5", ".hdf5")
    MATLAB = (".mat",)
    DICOM = (".dcm", ".dicom")
    VENDOR = (".vol", ".xml", ".e2e", ".fda")


ENDINGS = tuple(ending for kind in Kind for ending in kind.value)
LOOKED_FOR = f"{', '.join(ENDINGS)}, or DICOM files of any name"

_HEAD_BYTES = 65536
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", Kind.PICTURE),
    (b"\xff\xd8\xff", Kind.PICTURE),
    (b"BM", Kind.PICTURE),
    (b"II*\0", Kind.PICTURE),
    (b"MM\0*", Kind.PICTURE),
    (b"II+\0", Kind.PICTURE),
    (b"MM\0+", Kind.PICTURE),
    (b"\x93NUMPY", Kind.NPY),
    (HDF5_SIGNATURE, Kind.HDF5),
    (b"MATLAB 5.0 MAT-file", Kind.MATLAB),
)
_HEIDELBERG = (b"HEDX", b"OphthalmicAcquisitionContext", b"ExamURL")
"""Words of Heidelberg's XML export, one of which is among its first lines."""


def kind_of(path: Path) -> Kind | None:
    """The kind of a file, None for what is no scan. InputError where it cannot be read, is empty or a web page."""
    of_ending = next((kind for kind in Kind if path.suffix.lower() in kind.value), None)
    head = _head(path, _HEAD_BYTES if path.suffix.lower() == ".xml" else 1024)
    if head[128:132] == b"DICM":
        return Kind.DICOM
    of_content = next((kind for signature, kind in _SIGNATURES if head.startswith(signature)), None)
    if of_ending is None:
        return of_content if not path.suffix else None
    if not head:
        raise InputError(f"{path}: empty (0 bytes); copy or download it again")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:14].lower().startswith((b"<!doctype html", b"<html")):
        raise InputError(f"{path}: an HTML page saved as {path.suffix}, no scan; download it again")
    if path.suffix.lower() == ".xml":
        return Kind.VENDOR if any(word in head.replace(b"\0", b"") for word in _HEIDELBERG) else None
    if of_content is None or (of_ending, of_content) == (Kind.MATLAB, Kind.HDF5):  # the latter is MATLAB's v7.3
        return of_ending
    return of_ending if of_ending in (Kind.DICOM, Kind.VENDOR) else of_content


def _head(path: Path, num_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(num_bytes)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({typed_line(error)}); see its permissions") from error
