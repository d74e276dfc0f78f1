"""A volume as an eyepy EyeVolume with its surfaces as layers (https://github.com/MedVisBonn/eyepy), ending .eye.

B B-scans, H rows, W columns. `eyepy.EyeVolume.load(path)` gives it back; `.layers["ILM"].data` (B, W) are surface rows
as everywhere here, and `.layers["BM"].data - .layers["ILM"].data`, times `.scale_y`, is the total retina in mm.

eyepy knows one distance between neighbouring B-scans, so every B-scan of the volume has its place, and one that was
not at hand is black, its layers nan. It takes the first B-scan as the lowest: a volume whose first one is superior is
turned round; `.meta["bscan_meta"][i]["retseg_bscan"]` is the number of B-scan i. Where one of the three sizes is not
known, all are 1, in the unit "px".
"""

import time
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from retseg.anatomy import SURFACE_NAMES
from retseg.bscan import Array
from retseg.errors import InputError
from retseg.evaluation.atomic import replacing_file
from retseg.inference.nifti_files import voxel_um, why_no_box
from retseg.inference.predicted import PredictedVolume


def write_eyepy(volume: PredictedVolume, place: Callable[[str], Path]) -> list[str]:
    """Write <volume>.eye; notices of what could not be. InputError where eyepy is missing, or no zip can be written."""
    if why := why_no_box(volume):
        return [f"no .eye: {why}"]
    if (year := time.localtime(time.time()).tm_year) < 1980:
        raise InputError(f"no .eye: the clock says {year}, and zips of eyepy know no time before 1980; set the clock")
    eyepy, transform = _eyepy()
    images, heights = _planes(volume)
    order = range(volume.num_bscans)
    if volume.first_bscan == "superior":
        order, images, heights = order[::-1], images[::-1], heights[:, ::-1]
    column, bscan, _ = _sizes(volume)
    meta, localizer_meta = _metas(eyepy, volume, order)
    stretch = np.diag([1.0, bscan / column, 1.0])
    whole = eyepy.EyeVolume(
        data=np.ascontiguousarray(images),
        meta=meta,
        localizer=eyepy.EyeEnface(_seen_from_the_front(images, bscan / column), localizer_meta),
        transformation=transform.AffineTransform(matrix=stretch),
    )
    for name, rows in zip(SURFACE_NAMES, heights, strict=True):
        whole.add_layer_annotation(np.ascontiguousarray(rows), name=name)
    with replacing_file(place(".eye")) as partial:
        whole.save(partial)
    return _notices(volume)


def _eyepy() -> tuple[Any, Any]:
    """eyepy, and skimage.transform, which it comes with. InputError where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own dependencies, on import
            return import_module("eyepy"), import_module("skimage.transform")
    except ImportError as error:
        raise InputError("eyepy: not installed, so no .eye; `pip install 'retseg[vendor]'` or leave it out") from error


def _sizes(volume: PredictedVolume) -> tuple[float, float, float]:
    """Distance of columns, B-scans and rows in mm, or 1 px each."""
    found_um = voxel_um(volume)
    return (1.0, 1.0, 1.0) if found_um is None else (found_um[0] / 1e3, found_um[1] / 1e3, found_um[2] / 1e3)


def _planes(volume: PredictedVolume) -> tuple[Array, Array]:
    """Images (B, H, W) uint8, black where not at hand, and surface rows (S, B, W), nan there."""
    height, width = volume.scans[0].image.shape
    images = np.zeros((volume.num_bscans, height, width), np.uint8)
    heights = np.full((len(SURFACE_NAMES), volume.num_bscans, width), np.nan, np.float32)
    for scan in volume.scans:
        images[scan.number], heights[:, scan.number] = scan.image, scan.surface_rows
    return images, heights


def _metas(eyepy: Any, volume: PredictedVolume, order: range) -> tuple[Any, Any]:
    """What eyepy keeps of the volume, and of its picture from the front, whose pixels are as wide as the columns."""
    column, bscan, row = _sizes(volume)
    unit = "px" if voxel_um(volume) is None else "mm"
    end = (volume.scans[0].image.shape[1] - 1) * column
    # From the top of the picture downwards, so the last B-scan is at 0.
    offsets = [(volume.num_bscans - 1 - index) * bscan for index in range(volume.num_bscans)]
    bscans = [
        eyepy.EyeBscanMeta(start_pos=(0.0, y), end_pos=(end, y), pos_unit=unit, retseg_bscan=number)
        for number, y in zip(order, offsets, strict=True)
    ]
    eye = volume.eye or "unknown"
    meta = eyepy.EyeVolumeMeta(
        scale_x=column,
        scale_y=row,
        scale_z=bscan,
        scale_unit=unit,
        bscan_meta=bscans,
        laterality=eye,
        intensity_transform="default",
        retseg_scale_source=volume.spacing.source,
        retseg_bscan_distance_source=None if volume.distance is None else volume.distance.source,
        retseg_first_bscan=volume.first_bscan,
    )
    front = eyepy.EyeEnfaceMeta(scale_x=column, scale_y=column, scale_unit=unit, laterality=eye)
    return meta, front


def _seen_from_the_front(images: Array, rows_per_bscan: float) -> Array:
    """Mean gray levels of images (B, H, W), the last B-scan on top, on square pixels: each of the nearest B-scan."""
    projection = images.mean(axis=1)[::-1]
    num_rows = max(1, round((len(images) - 1) * rows_per_bscan) + 1)
    nearest = np.rint(np.arange(num_rows) / rows_per_bscan).astype(np.intp)
    return np.asarray(projection[np.minimum(nearest, len(images) - 1)].astype(np.float32))


def _notices(volume: PredictedVolume) -> list[str]:
    notices = []
    if missing := volume.num_bscans - len(volume.scans):
        notices.append(
            f".eye: {missing} of {volume.num_bscans} B-scans were not at hand, black and without layers there"
        )
    if voxel_um(volume) is None:
        notices.append(".eye: all sizes are 1 px: not all of rows, columns and B-scans have a known size")
    return notices
