"""The files that `retseg predict` leaves for each scan, named after it. C classes, H rows, W columns."""

import zipfile
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
from PIL import Image

from retseg.anatomy import CLASSES, LAYERS
from retseg.bscan import Array
from retseg.evaluation.atomic import replacing_file
from retseg.geometry.thickness import thickness_profile
from retseg.inference.predicted import PredictedScan
from retseg.inference.preview import FLUID_COLOUR, draw_preview
from retseg.inference.surface_tables import surfaces_csv, surfaces_json, thickness_csv

HalfWidths = Callable[[PredictedScan], Array | None]
"""Half-widths (L, W) of intervals of a scan's thickness, in its unit; None where none were calibrated."""

_PALETTE = [level for layer in CLASSES for level in layer.colour] + 3 * (256 - len(CLASSES)) * [0]
"""Of 256 colours: with fewer than 17 Pillow packs two pixels into a byte, which torchvision's reader does not undo."""

_FLUID_PALETTE = [0, 0, 0, *FLUID_COLOUR] + 3 * 254 * [0]


def write_scan_files(
    scan: PredictedScan, folder: Path, kinds: Collection[str], half_widths: HalfWidths | None = None
) -> list[Path]:
    """Write what kinds name (mask, fluid, surfaces, thickness, overlay, probabilities) for a scan; the paths.

    fluid only where it was sought.
    """
    paths: list[Path] = []
    mask = scan.mask if {"mask", "overlay"} & set(kinds) else None

    def place(ending: str) -> Path:
        paths.append(folder / f"{scan.name}_{ending}")
        return paths[-1]

    if "mask" in kinds and mask is not None:
        write_mask(mask, place("mask.png"))
    if "fluid" in kinds and scan.fluid is not None:
        _write_indexed(scan.fluid, _FLUID_PALETTE, place("fluid.png"))
    if "surfaces" in kinds:
        _write_text(surfaces_csv(scan), place("surfaces.csv"))
        _write_text(surfaces_json(scan), place("surfaces.json"))
    if "thickness" in kinds:
        profile = thickness_profile(scan.surface_rows, scan.spacing)
        found = None if half_widths is None else half_widths(scan)
        _write_text(thickness_csv(profile, scan.spacing, found), place("thickness.csv"))
    if "overlay" in kinds and mask is not None:
        # As PNG it would take longer to save than everything else together: a noisy picture hardly packs.
        with replacing_file(place("overlay.jpg")) as partial:
            draw_preview(scan, mask).save(partial, quality=92, subsampling=0)
    if "probabilities" in kinds and scan.probabilities is not None:
        names = np.array(["background", *(layer.name for layer in LAYERS)])
        with replacing_file(place("probabilities.npz")) as partial:
            _save_packed(partial, probabilities=scan.probabilities, class_names=names)
    return paths


def write_mask(mask: Array, path: Path) -> None:
    """Write class ids (H, W) as an indexed PNG: pixel values are ids, colours those of `anatomy`, a byte a pixel.

    Pillow, imageio with mode="P" and torchvision's read_image give the ids. OpenCV (whatever flag), scikit-image,
    matplotlib and imageio as it is give the colours instead: open the file with Pillow there.
    """
    _write_indexed(mask, _PALETTE, path)


def _write_indexed(plane: Array, palette: list[int], path: Path) -> None:
    """Write whole numbers (H, W) as an indexed PNG with the RGB levels of 256 colours."""
    image = Image.fromarray(plane.astype(np.uint8))
    image.putpalette(palette)
    with replacing_file(path) as partial:
        image.save(partial, compress_level=1)


def _write_text(text: str, path: Path) -> None:
    with replacing_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def _save_packed(path: Path, **arrays: Array) -> None:
    """Write a .npz, packed at the quickest level: numpy's own takes a quarter longer and saves nothing."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
