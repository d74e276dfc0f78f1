"""Anybody's labels of whole volumes: one file of B masks or surfaces, read to the scans that it holds.

B B-scans, H rows (depth), W columns, S surfaces. .npy (B, H, W) of class ids or (B, 8, W) of floating type; .npz with
the array `mask` (B, H, W) or `surface_rows` (B, 8, W); .tif of B pages; .nii and .nii.gz of class ids (W, B, H), as
retseg writes them, or (W, H, B), rows downwards or upwards: it is seen on the layers. A file of a single scan
(`label_files`) is a volume of one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageSequence

from retseg.anatomy import IGNORE, NUM_CLASSES, NUM_SURFACES
from retseg.bscan import Array, Spacing
from retseg.data.readers.names import natural_key
from retseg.data.readers.tiff_scale import TiffScale, tiff_scale
from retseg.data.sources.mapped import mapped_npy
from retseg.data.sources.pixels import stated_spacing
from retseg.errors import InputError, one_line
from retseg.evaluation.label_files import (
    ENDINGS,
    INDEX_MODES,
    LARGEST_PIXELS,
    Labels,
    checked_mask,
    checked_surfaces,
    read_labels,
)
from retseg.evaluation.nifti_voxels import read_voxels
from retseg.evaluation.store import read_npz, saved_spacing
from retseg.geometry.surfaces import depth_classes

NIFTI_ENDINGS = (".nii", ".nii.gz")
VOLUME_ENDINGS = (*ENDINGS, *NIFTI_ENDINGS)
_TIFF_ENDINGS = (".tif", ".tiff")
_UM_PER_UNIT = {"mm": 1e3, "micron": 1.0, "meter": 1e6}
_LINES_LOOKED_AT = 4096
_FROM_FILE = "file header"
NOT_LOOKED_AT = 255
"""In NIfTI masks: B-scans that are all of it were not at hand."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelVolume:
    """Scans of one file, in the order of their B-scans, and the numbers of these, 0-based.

    is_volume: the file holds a stack, be it of one; else it is one scan, whose name may say which B-scan it is.
    distance_um: of B-scans, as the file says. notices: one line each.
    """

    scans: tuple[Labels, ...]
    numbers: tuple[int, ...] = (0,)
    is_volume: bool = False
    distance_um: float | None = None
    notices: tuple[str, ...] = field(default=())


def label_ending(path: Path) -> str | None:
    """The ending of a file of labels, as it is written there (.nii.gz as a whole); None for any other file."""
    name = path.name.lower()
    known = next((ending for ending in reversed(VOLUME_ENDINGS) if name.endswith(ending)), None)
    return None if known is None else path.name[len(name) - len(known) :]


def label_paths(place: Path) -> list[Path]:
    """Files of labels below a folder, recursively, in natural order, or the one file. InputError where there is none.

    Hidden files and folders are left out.
    """
    expected = f"expected masks or surfaces ({', '.join(VOLUME_ENDINGS)})"
    if not place.exists():
        raise InputError(f"{place}: no such file or folder; {expected}")
    if place.is_file():
        if label_ending(place) is None:
            raise InputError(f"{place}: no file of labels; {expected}")
        return [place]
    try:
        below = sorted(place.rglob("*"), key=lambda path: natural_key(path.relative_to(place).as_posix()))
    except OSError as error:
        raise InputError(f"{place}: cannot be listed ({error.strerror}); name another folder") from error
    found = [
        path
        for path in below
        if label_ending(path) and path.is_file() and not any(p.startswith(".") for p in path.relative_to(place).parts)
    ]
    if not found:
        raise InputError(f"{place}: no file of labels below it; {expected}")
    return found


def read_label_volume(path: Path, ignore_labels: Sequence[int] = ()) -> LabelVolume:
    """All labels in a file; ignore_labels mark what nobody annotated. InputError where it breaks a rule."""
    ending = (label_ending(path) or "").lower()
    if ending in NIFTI_ENDINGS:
        return _read_nifti(path, ignore_labels)
    if ending in _TIFF_ENDINGS:
        return _read_tiff(path, ignore_labels)
    if ending == ".npy" and (array := _stacked_npy(path)) is not None:
        is_surfaces = array.shape[1] == NUM_SURFACES and array.dtype.kind == "f"
        return _of_arrays(path, None if is_surfaces else array, array if is_surfaces else None, ignore_labels)
    if ending == ".npz":
        arrays = read_npz(path)
        if any(arrays[name].ndim == 3 for name in ("mask", "surface_rows") if name in arrays):
            return _of_npz(path, arrays, ignore_labels)
    labels = read_labels(path, ignore_labels)
    return LabelVolume((_told_beside(labels) if ending == ".csv" else labels,))


def _told_beside(labels: Labels) -> Labels:
    """Surfaces with the pixel size and H of the .json that retseg writes beside `<scan>_surfaces.csv`, if it is there.

    InputError where it is damaged.
    """
    beside = labels.path.with_suffix(".json")
    if not (labels.path.stem.endswith("_surfaces") and beside.is_file()):
        return labels
    try:
        content = json.loads(beside.read_text(encoding="utf-8"))
        sizes = [None if content[name] is None else float(content[name]) for name in ("axial_um", "lateral_um")]
        spacing = stated_spacing(sizes, str(content["scale_source"]), beside)
        if (num_rows := int(content["rows"])) < 1:
            raise InputError(f"{beside}: {num_rows} rows, expected at least 1; mend or remove it")
        return replace(labels, spacing=spacing, num_rows=num_rows)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise InputError(f"{beside}: not what retseg writes beside surfaces ({error}); mend or remove it") from error


def _of_npz(path: Path, arrays: dict[str, Array], ignore_labels: Sequence[int]) -> LabelVolume:
    spacing = saved_spacing(arrays, path) if {"spacing_um", "spacing_source"} <= arrays.keys() else None
    return _of_arrays(path, arrays.get("mask"), arrays.get("surface_rows"), ignore_labels, spacing)


def _of_arrays(
    path: Path,
    masks: Array | None,
    surfaces: Array | None,
    ignore_labels: Sequence[int],
    spacing: Spacing | None = None,
    scale: TiffScale | None = None,
) -> LabelVolume:
    """Scans of stacked masks (B, H, W), of surfaces (B, S, W), or of both."""
    stacks = [stack for stack in (masks, surfaces) if stack is not None]
    if len({len(stack) for stack in stacks}) > 1 or any(stack.ndim != 3 or 0 in stack.shape for stack in stacks):
        shapes = " and ".join(str(stack.shape) for stack in stacks)
        raise InputError(f"{path}: arrays {shapes}, expected (B-scans, rows, columns), as many of each")
    scans = []
    for number in range(len(stacks[0])):
        where = f"{path}, B-scan {number}"
        mask = None if masks is None else checked_mask(np.asarray(masks[number]), where, ignore_labels)
        rows = None if surfaces is None else checked_surfaces(np.asarray(surfaces[number]), where)
        scans.append(Labels(path, mask, rows, spacing))
    if masks is not None:
        _refuse_other_axes(scans, path)
    found = scale or TiffScale()
    return LabelVolume(tuple(scans), tuple(range(len(scans))), True, found.distance_um, found.notices)


def _refuse_other_axes(scans: Sequence[Labels], path: Path) -> None:
    """InputError where layers lie on each other along another axis than the rows: the axes are exchanged."""
    volume = np.stack([scan.mask for scan in scans if scan.mask is not None])
    shares = {
        what: _share_in_order(np.moveaxis(volume, axis, 0)) for axis, what in enumerate(("B-scans", "rows", "columns"))
    }
    best = max(shares, key=lambda what: shares[what])
    if shares[best] > 2 * shares["rows"] + 0.1:
        raise InputError(
            f"{path}: layers lie on each other along its axis of {best}, not of rows, in {volume.shape} read as "
            "(B-scans, rows, columns); save it with its axes in the order that `retseg measure --help` names"
        )


def _share_in_order(lines: Array) -> float:
    """Share of lines (K, ...) with a layer that begin and end outside the retina and have their layers in order."""
    flat = lines.reshape(len(lines), -1)
    flat = flat[:, :: max(1, flat.shape[1] // _LINES_LOOKED_AT)]
    flat = flat[:, ((flat > 0) & (flat < NUM_CLASSES)).any(axis=0)]
    if not flat.size:
        return 0.0
    depth = depth_classes(flat)
    falls = ((depth[1:] < depth[:-1]) & (depth[1:] != IGNORE)).any(axis=0)
    is_whole = (flat[0] <= 0) & (flat[-1] <= 0)
    return float((is_whole & ~falls).mean())


def _stacked_npy(path: Path) -> Array | None:
    """The array of a .npy file if it has three axes; None where it is for `read_labels` to read or to refuse."""
    array = mapped_npy(path)
    return array if array.ndim == 3 else None


def _read_tiff(path: Path, ignore_labels: Sequence[int]) -> LabelVolume:
    """The pages of a TIFF, with the scale that OME-XML or ImageJ state in it."""
    try:
        with Image.open(path, formats=["TIFF"]) as image:
            tags: dict[int, Any] = dict(getattr(image, "tag_v2", {}))
            num_pages = int(getattr(image, "n_frames", 1))
            pages = [] if num_pages == 1 else _pages(image, path, num_pages)
    except InputError:
        raise
    except Exception as error:  # Pillow raises whatever a damaged byte leads it to
        reason = one_line(error)
        raise InputError(f"{path}: not a whole image ({reason}); save it again") from error
    scale = tiff_scale(tags)
    spacing = None if scale.spacing == Spacing() else scale.spacing
    if num_pages == 1:
        labels = read_labels(path, ignore_labels)
        return LabelVolume((Labels(path, labels.mask, spacing=spacing),), notices=scale.notices)
    return _of_arrays(path, np.stack(pages), None, ignore_labels, spacing, scale)


def _pages(image: Image.Image, path: Path, num_pages: int) -> list[Array]:
    """Class ids (H, W) of each page. InputError for colours, for pages of another size, and for too many pixels."""
    size = image.size
    if size[0] * size[1] * num_pages > LARGEST_PIXELS:
        raise InputError(f"{path}: {num_pages} pages of {size} pixels; at most {LARGEST_PIXELS:,} pixels are read")
    pages = []
    for number, page in enumerate(ImageSequence.Iterator(image), start=1):
        if page.mode not in INDEX_MODES or page.size != size:
            raise InputError(
                f"{path}, page {number}: {page.mode}, {page.size} pixels; expected class ids as gray or indexed "
                f"pixels, {size} of them as on the first page"
            )
        pages.append(np.array(page))
    return pages


def _read_nifti(path: Path, ignore_labels: Sequence[int]) -> LabelVolume:
    """Class ids (W, H, B) of a NIfTI file; voxel sizes where the header says in which unit they are."""
    found = read_voxels(path)
    unit, sizes = found.unit, found.sizes
    volume, is_swapped, notices = _upright(found.values)
    lateral, distance, axial = (sizes[place] for place in ((0, 2, 1) if is_swapped else (0, 1, 2)))
    per_unit = _UM_PER_UNIT.get(unit)
    if per_unit is None:
        notices.append(f"voxels of {', '.join(f'{size:g}' for size in sizes)} in no unit: not taken as a scale")
    spacing = None if per_unit is None else Spacing(axial * per_unit, lateral * per_unit, _FROM_FILE)
    is_at_hand = ~(volume == NOT_LOOKED_AT).all(axis=(1, 2))
    if not is_at_hand.any():
        raise InputError(f"{path}: {NOT_LOOKED_AT} in all of it, so no labels; make it again")
    volumes = _of_arrays(path, volume[is_at_hand], None, ignore_labels, spacing)
    return LabelVolume(
        scans=volumes.scans,
        numbers=tuple(np.flatnonzero(is_at_hand).tolist()),
        is_volume=True,
        distance_um=None if per_unit is None else distance * per_unit,
        notices=tuple(notices),
    )


def _upright(voxels: Array) -> tuple[Array, bool, list[str]]:
    """(B, H, W) from (W, B, H) or (W, H, B), rows downwards; whether it was the latter; a notice for what was turned.

    It is the way in which most columns have their layers in order; retseg's own way where no other is clearly better.
    """
    ways = {
        "": voxels.transpose(1, 2, 0),
        "rows run upwards in the file": voxels.transpose(1, 2, 0)[:, ::-1],
        "axes are columns, rows, B-scans in the file": voxels.transpose(2, 1, 0),
        "axes are columns, rows, B-scans in the file, rows run upwards": voxels.transpose(2, 1, 0)[:, ::-1],
    }
    shares = {what: _share_in_order(np.moveaxis(way, 1, 0)) for what, way in ways.items()}
    best = max(shares, key=lambda what: shares[what])
    way = best if shares[best] > 2 * shares[""] + 0.1 else ""
    return ways[way], "axes" in way, [f"seen on the layers: {way}"] if way else []
