"""Anybody's labels in files: masks or surfaces, one file a scan or a folder of them. H rows, W columns, S surfaces.

Masks (H, W) of class ids: .npy, .npz (array `mask`), gray or indexed .png, .tif, .tiff. Surfaces: .csv with a row for
each A-scan and a column for each surface, named or the 8 of them in order; .npy (8, W) of floating type; .npz (array
`surface_rows`). Rows are 0-based, row r of a surface being the first pixel below it; an unknown one is empty or nan.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from retseg.anatomy import IGNORE, NUM_CLASSES, NUM_SURFACES, SURFACE_NAMES
from retseg.bscan import Array, Spacing
from retseg.data.sources.mapped import mapped_npy
from retseg.errors import InputError
from retseg.evaluation.store import LARGEST_BYTES, read_npz, saved_spacing

IMAGE_ENDINGS = (".png", ".tif", ".tiff")
ENDINGS = (".npz", ".npy", ".csv", *IMAGE_ENDINGS)
INDEX_MODES = ("1", "L", "P", "I", "I;16")
LARGEST_PIXELS = 2**28
"""Pixels of all masks of a file."""

LARGEST_MASK = 2**26
"""Pixels of one mask: as many as a scan may have."""


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """What a file says: a mask (H, W) int8, or surface_rows (S, W), or both, and what else it knows of its scan.

    num_rows: H, where there is no mask that shows it.
    """

    path: Path
    mask: Array | None = None
    surface_rows: Array | None = None
    spacing: Spacing | None = None
    subject: str | None = None
    label_origin: str | None = None
    image: Array | None = None
    num_rows: int | None = None

    @property
    def num_columns(self) -> int:
        """W."""
        known = self.surface_rows if self.mask is None else self.mask
        assert known is not None
        return int(known.shape[1])


def label_files(place: Path) -> dict[str, Path]:
    """Files of labels by stem: those of a folder, or the one file. InputError where there is none, or two of a stem."""
    if not place.exists():
        raise InputError(f"{place}: no such file or folder; name masks or surfaces ({', '.join(ENDINGS)})")
    try:
        found = sorted(place.iterdir()) if place.is_dir() else [place]
    except OSError as error:
        raise InputError(f"{place}: cannot be listed ({error.strerror}); name another folder") from error
    found = [path for path in found if path.suffix.lower() in ENDINGS and not path.name.startswith(".")]
    if not found:
        raise InputError(f"{place}: no file of labels here; expected {', '.join(ENDINGS)}")
    files: dict[str, Path] = {}
    for path in found:
        if path.stem in files:
            raise InputError(f"{path}: {files[path.stem].name} has the same stem; keep one file a scan")
        files[path.stem] = path
    return files


def read_labels(path: Path, ignore_labels: Sequence[int] = ()) -> Labels:
    """The labels in a file; ignore_labels mark what nobody annotated. InputError where it breaks a rule."""
    ending = path.suffix.lower()
    if ending == ".csv":
        return Labels(path, surface_rows=checked_surfaces(_read_csv(path), path))
    if ending in IMAGE_ENDINGS:
        return Labels(path, mask=checked_mask(_read_image(path), path, ignore_labels))
    if ending == ".npy":
        return _of_array(mapped_npy(path), path, ignore_labels)
    arrays = read_npz(path)
    if not {"mask", "surface_rows"} & arrays.keys():
        raise InputError(f"{path}: no array mask or surface_rows in it, but {', '.join(arrays) or 'nothing'}; name one")
    mask, surface_rows = arrays.get("mask"), arrays.get("surface_rows")
    return Labels(
        path,
        None if mask is None else checked_mask(mask, path, ignore_labels),
        None if surface_rows is None else checked_surfaces(surface_rows, path),
        saved_spacing(arrays, path) if {"spacing_um", "spacing_source"} <= arrays.keys() else None,
        str(arrays["subject"]) if "subject" in arrays else None,
        str(arrays["label_origin"]) if "label_origin" in arrays else None,
        arrays.get("image"),
    )


def _of_array(array: Array, path: Path, ignore_labels: Sequence[int]) -> Labels:
    """Surfaces where the array is (8, W) of floating type, else a mask."""
    if array.ndim == 2 and array.shape[0] == NUM_SURFACES and array.dtype.kind == "f":
        return Labels(path, surface_rows=checked_surfaces(array, path))
    return Labels(path, mask=checked_mask(array, path, ignore_labels))


def checked_mask(mask: Array, path: Path | str, ignore_labels: Sequence[int]) -> Array:
    """Class ids (H, W) int8. InputError for another rank or type, and for labels that are no class."""
    if mask.ndim != 2 or 0 in mask.shape or mask.dtype.kind not in "biuf":
        raise InputError(f"{path}: array {mask.shape} of {mask.dtype}, expected one mask (rows, columns) of class ids")
    mask = np.where(np.isin(mask, list(ignore_labels)), IGNORE, mask) if ignore_labels else mask
    known = np.isin(mask, np.arange(IGNORE, NUM_CLASSES))
    if not known.all():
        row, column = np.argwhere(~known)[0].tolist()
        label = mask[row, column]
        raise InputError(
            f"{path}: label {label:g} at row {row}, column {column}, expected 0..{NUM_CLASSES - 1}, or {IGNORE} where "
            f"nobody annotated; if {label:g} marks that, give --ignore-label {label:g}"
        )
    return mask.astype(np.int8)


def checked_surfaces(rows: Array, path: Path | str) -> Array:
    """Surface rows (S, W) float32. InputError for another shape and for infinite rows."""
    if rows.ndim != 2 or rows.shape[0] != NUM_SURFACES or rows.shape[1] == 0 or rows.dtype.kind not in "iuf":
        raise InputError(f"{path}: surfaces {rows.shape} of {rows.dtype}, expected ({NUM_SURFACES}, columns) of rows")
    if np.isinf(rows).any():
        surface, column = np.argwhere(np.isinf(rows))[0].tolist()
        raise InputError(f"{path}: {SURFACE_NAMES[surface]}, column {column}: infinite row; nan is for unknown ones")
    return rows.astype(np.float32)


def _read_image(path: Path) -> Array:
    """Class ids (H, W) of an image whose pixels are ids. InputError for colours and for more than one page."""
    try:
        with Image.open(path, formats=["PNG", "TIFF"]) as image:
            if image.mode not in INDEX_MODES:
                raise InputError(f"{path}: an image of mode {image.mode}, expected class ids as gray or indexed pixels")
            if image.width * image.height > LARGEST_MASK:
                raise InputError(f"{path}: {image.height} x {image.width} pixels; at most {LARGEST_MASK:,} are read")
            if (pages := getattr(image, "n_frames", 1)) > 1:
                raise InputError(f"{path}: {pages} pages, expected one mask; save one file a scan")
            return np.asarray(image).astype(np.int32)
    except InputError:
        raise
    except Exception as error:  # Pillow raises whatever a damaged byte leads it to
        raise InputError(f"{path}: not a whole image ({_one_line(error)}); save it again") from error


def _read_csv(path: Path) -> Array:
    """Surface rows (S, W) from a table with a line for each A-scan."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise InputError(f"{path}: {path.stat().st_size:,} bytes; at most {LARGEST_BYTES:,} are read")
        lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a table of numbers ({_one_line(error)}); save it again") from error
    lines = [[cell.strip() for cell in line] for line in lines if any(cell.strip() for cell in line)]
    if not lines:
        raise InputError(f"{path}: empty; expected a line for each A-scan")
    header = lines[0]
    if set(SURFACE_NAMES) <= set(header):
        places, lines, first = [header.index(name) for name in SURFACE_NAMES], lines[1:], 2
    elif len(header) == NUM_SURFACES and all(_is_number(cell) for cell in header):
        places, first = list(range(NUM_SURFACES)), 1
    else:
        raise InputError(
            f"{path}: columns {', '.join(header)}; expected {', '.join(SURFACE_NAMES)}, or 8 numbers a line"
        )
    return _numbers(path, lines, places, first)


def _numbers(path: Path, lines: Sequence[Sequence[str]], places: Sequence[int], first: int) -> Array:
    """Columns of a table (S, W) float32; first is the number of its first line. Empty is nan."""
    rows = np.full((len(places), len(lines)), np.nan, np.float32)
    for column, line in enumerate(lines):
        for surface, place in enumerate(places):
            cell = line[place] if place < len(line) else ""
            if not _is_number(cell):
                raise InputError(f"{path}, line {first + column}: {cell!r:.40} for {SURFACE_NAMES[surface]}; a number?")
            rows[surface, column] = float(cell) if cell else np.nan
    return rows


def _is_number(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return False
    return True


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
