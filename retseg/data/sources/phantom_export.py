"""The phantom as files of the official Duke DME layout (`Subject_01.mat`, ...), to try readers and commands on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import scipy.io
from scipy.ndimage import label

from retseg.anatomy import NUM_SURFACES
from retseg.bscan import Array, BScan, ScanKey
from retseg.data.sources.phantom import PhantomSource
from retseg.errors import InputError

DUKE_NUM_BSCANS = 61
DUKE_ANNOTATED_BSCANS = (10, 15, 20, 25, 28, 30, 32, 35, 40, 45, 50)
"""0-based B-scans that the graders of the Duke set annotated."""

# 116 bytes of text open a MAT file; without a date, so that the same phantom gives the same bytes.
HEADER_V5 = b"MATLAB 5.0 MAT-file, a synthetic retina written by retseg".ljust(116)
HEADER_V73 = b"MATLAB 7.3 MAT-file, a synthetic retina written by retseg, HDF5 schema 1.00 .".ljust(116)
V73_USER_BLOCK = HEADER_V73 + bytes(8) + b"\x00\x02IM" + bytes(512 - 128)

FIRST_GAP_SURFACE, LAST_GAP_SURFACE = 1, 5
WEDGE_SHARE = 0.04


def write_duke_mat(
    source: PhantomSource,
    folder: Path,
    *,
    version: Literal["5", "7.3"] = "5",
    num_bscans: int = DUKE_NUM_BSCANS,
    annotated_bscans: Sequence[int] = DUKE_ANNOTATED_BSCANS,
    annotated_share: float = 0.7,
    gaps: bool = False,
    wedges: bool = False,
) -> list[Path]:
    """Write one file per subject of a phantom with two graders, and return their paths.

    A source of as many B-scans as `annotated_bscans` fills those, and the others stay black; one of `num_bscans`
    fills them all. Layers (8, W, N) hold 1-based rows, NaN outside the middle `annotated_share` of the columns and
    on B-scans without annotation; fluid (H, W, N) numbers its regions from 1. The "automatic" keys are stand-ins: the
    first grader's surfaces rounded to rows, and his fluid. With `gaps` the inner surfaces below fluid are NaN; with
    `wedges` the left and right edges of the images are 255, as registration left them. The official size is
    `PhantomSource(height=496, width=768, spacing_um=(3.87, 11.33), num_graders=2)`.
    """
    _check_options(source, version, num_bscans, annotated_bscans, annotated_share)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for subject in range(1, source.num_subjects + 1):
        arrays = _subject_arrays(source, f"s{subject:02d}", num_bscans, annotated_bscans, annotated_share, gaps)
        if wedges:
            _add_wedges(arrays["images"])
        path = folder / f"Subject_{subject:02d}.mat"
        if version == "7.3":
            _write_v73(path, arrays)
        else:
            _write_v5(path, arrays)
        paths.append(path)
    return paths


def _check_options(
    source: PhantomSource, version: str, num_bscans: int, annotated_bscans: Sequence[int], annotated_share: float
) -> None:
    if version not in ("5", "7.3"):
        raise InputError(f"phantom export: version is {version!r}, expected '5' or '7.3'")
    if source.num_graders != 2:
        raise InputError("phantom export: the Duke layout has two graders; make the phantom with num_graders=2")
    if len(set(annotated_bscans)) != len(annotated_bscans) or not all(0 <= b < num_bscans for b in annotated_bscans):
        raise InputError(
            f"phantom export: annotated_bscans {list(annotated_bscans)}, expected different ones of 0..{num_bscans - 1}"
        )
    if source.bscans_per_subject not in (len(annotated_bscans), num_bscans):
        raise InputError(
            f"phantom export: {source.bscans_per_subject} B-scans per subject, expected {len(annotated_bscans)} "
            f"(the annotated ones) or {num_bscans} (all); change bscans_per_subject or annotated_bscans"
        )
    if not 0 < annotated_share <= 1:
        raise InputError(f"phantom export: annotated_share is {annotated_share}, expected above 0, up to 1")


def _subject_arrays(
    source: PhantomSource,
    subject: str,
    num_bscans: int,
    annotated_bscans: Sequence[int],
    annotated_share: float,
    gaps: bool,
) -> dict[str, Array]:
    """What one file holds, by key, in the axes that MATLAB shows: (H, W, N) and (8, W, N)."""
    height, width = source.grid.height, source.grid.width
    pixels, lines = (height, width, num_bscans), (NUM_SURFACES, width, num_bscans)
    arrays: dict[str, Array] = {"images": np.zeros(pixels, np.uint8)}
    for key in ("manualFluid1", "manualFluid2", "automaticFluidDME"):
        arrays[key] = np.full(pixels, np.nan)
    for key in ("manualLayers1", "manualLayers2", "automaticLayersDME", "automaticLayersNormal"):
        arrays[key] = np.full(lines, np.nan)

    margin = round(width * (1 - annotated_share) / 2)
    columns = slice(margin, width - margin)
    has_all = source.bscans_per_subject == num_bscans
    for index in range(source.bscans_per_subject):
        place = index if has_all else annotated_bscans[index]
        first = source.read(ScanKey(1, subject, index))
        arrays["images"][:, :, place] = first.image
        if place not in annotated_bscans:
            continue
        for grader, scan in ((1, first), (2, source.read(ScanKey(2, subject, index)))):
            surface_rows, fluid = _annotation(scan, gaps)
            arrays[f"manualLayers{grader}"][:, columns, place] = surface_rows[:, columns] + 1
            arrays[f"manualFluid{grader}"][:, :, place] = label(fluid)[0]
        whole_rows = np.rint(_annotation(first, gaps=False)[0]) + 1
        arrays["automaticLayersDME"][:, :, place] = arrays["automaticLayersNormal"][:, :, place] = whole_rows
        arrays["automaticFluidDME"][:, :, place] = arrays["manualFluid1"][:, :, place] > 0
    return arrays


def _annotation(scan: BScan, gaps: bool) -> tuple[Array, Array]:
    """Surfaces (8, W), 0-based, and fluid (H, W) of a phantom's scan; with gaps, NaN for inner surfaces below fluid."""
    assert scan.surface_rows is not None
    assert scan.fluid is not None
    rows = scan.surface_rows.astype(np.float64)
    if gaps:
        first_fluid_row = np.where(scan.fluid.any(axis=0), scan.fluid.argmax(axis=0), np.inf)
        inner = rows[FIRST_GAP_SURFACE : LAST_GAP_SURFACE + 1]
        inner[inner > first_fluid_row] = np.nan
    return rows, scan.fluid


def _add_wedges(images: Array) -> None:
    """Set triangles at the left and right edges of images (H, W, N) to 255, in place."""
    height, width, _ = images.shape
    reach = np.rint(np.linspace(0, WEDGE_SHARE * width, height))[:, None]
    columns = np.arange(width)
    images[(columns < reach) | (columns >= width - reach[::-1])] = 255


def _write_v5(path: Path, arrays: dict[str, Array]) -> None:
    """Write a MAT file of version 5, compressed."""
    scipy.io.savemat(path, arrays, do_compression=True)
    with path.open("rb+") as file:
        file.write(HEADER_V5)


def _write_v73(path: Path, arrays: dict[str, Array]) -> None:
    """Write a MAT file of version 7.3: HDF5 with reversed axes, MATLAB's class names, and its header in front."""
    classes = {"float64": b"double", "uint8": b"uint8"}
    with h5py.File(path, "w", userblock_size=len(V73_USER_BLOCK)) as file:
        for key, values in arrays.items():
            data = file.create_dataset(key, data=values.T, compression="gzip", compression_opts=3)
            data.attrs["MATLAB_class"] = np.bytes_(classes[values.dtype.name])
    with path.open("rb+") as opened:
        opened.write(V73_USER_BLOCK)
