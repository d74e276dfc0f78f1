"""A volume as NIfTI, for ITK-SNAP, 3D Slicer and whatever else reads it. B B-scans, H rows, W columns.

Axes of the arrays: (column, B-scan, row). In the world, in mm: x along the B-scans, y across them, z upwards, so rows
run towards -z and B-scans stand upright. NIfTI's +x is the left of a body that is not here; x is the picture's: larger
columns lie at larger x, whatever the eye, and which side is nasal stands in the header's description.
Every B-scan of the volume has its plane, at its place; those that were not at hand are NOT_LOOKED_AT in the mask and 0
in the image. An unknown scale gives voxels of size 1 of unknown unit.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from retseg.anatomy import CLASSES
from retseg.bscan import Array
from retseg.evaluation.atomic import replacing_file
from retseg.inference.predicted import PredictedVolume

NOT_LOOKED_AT = 255
MOST_PLANES = 1024


def write_nifti(volume: PredictedVolume, place: Callable[[str], Path]) -> list[str]:
    """Write <volume>_mask.nii.gz, <volume>_image.nii.gz and <volume>_labels.txt; notices of what could not be."""
    shapes = {scan.image.shape for scan in volume.scans}
    if len(shapes) > 1:
        return ["no NIfTI: the B-scans differ in size"]
    if not volume.is_raster:
        return ["no NIfTI: the B-scans are not parallel, so they are no box"]
    if volume.num_bscans > MOST_PLANES:
        return [f"no NIfTI: {volume.num_bscans} B-scans; at most {MOST_PLANES} are put into one file"]
    masks = {scan.number: scan.mask.astype(np.uint8) for scan in volume.scans}
    _save(volume, masks, NOT_LOOKED_AT, place("_mask.nii.gz"))
    _save(volume, {scan.number: scan.image for scan in volume.scans}, 0, place("_image.nii.gz"))
    with replacing_file(place("_labels.txt")) as partial:
        partial.write_text(label_description(), encoding="utf-8")
    missing = volume.num_bscans - len(volume.scans)
    return [f"NIfTI: {missing} B-scans were not at hand, {NOT_LOOKED_AT} in the mask there"] if missing else []


def voxel_mm(volume: PredictedVolume) -> tuple[float, float, float] | None:
    """Size (x, y, z) in mm of a voxel, None unless all three are known."""
    spacing, distance = volume.spacing, volume.distance
    if spacing.axial_um is None or spacing.lateral_um is None or distance is None:
        return None
    return spacing.lateral_um / 1e3, distance.um / 1e3, spacing.axial_um / 1e3


def label_description() -> str:
    """Labels with names and colours as ITK-SNAP reads them."""
    lines = ["# ITK-SNAP label description: id, red, green, blue, opacity, visible, mesh visible, name"]
    for layer in CLASSES:
        is_layer = int(layer.id > 0)
        red, green, blue = layer.colour
        lines.append(f'{layer.id} {red} {green} {blue} {is_layer} {is_layer} {is_layer} "{layer.name}"')
    lines.append(f'{NOT_LOOKED_AT} 128 128 128 1 0 0 "not looked at"')
    return "\n".join(lines) + "\n"


def _save(volume: PredictedVolume, planes: dict[int, Array], empty: int, path: Path) -> None:
    """Write planes (H, W) by number as one array (W, B, H)."""
    from nibabel.loadsave import save
    from nibabel.nifti1 import Nifti1Image

    height, width = next(iter(planes.values())).shape
    box = np.full((width, volume.num_bscans, height), empty, np.uint8)
    for number, plane in planes.items():
        box[:, number] = plane.T
    size = voxel_mm(volume)
    x, y, z = size or (1.0, 1.0, 1.0)
    # Rows run downwards: the first one is the highest.
    affine = np.array([[x, 0, 0, 0], [0, y, 0, 0], [0, 0, -z, (height - 1) * z], [0, 0, 0, 1]])
    image: Any = Nifti1Image(box, affine)  # type: ignore[no-untyped-call]  # nibabel left it untyped
    image.header.set_xyzt_units("mm" if size else "unknown")
    image.header["descrip"] = _description(volume, size is not None).encode()[:79]
    image.set_qform(affine, code="scanner" if size else "unknown")
    image.set_sform(affine, code="scanner" if size else "unknown")
    with replacing_file(path) as partial:
        whole = partial.with_name(f"{partial.name}.nii.gz")
        save(image, whole)
        whole.replace(partial)


def _description(volume: PredictedVolume, is_known: bool) -> str:
    nasal = {"OD": "nasal +x", "OS": "nasal -x", None: "eye unknown"}[volume.eye]
    scale = f"scale {volume.spacing.source}" if is_known else "scale unknown: px"
    return f"retseg; {nasal}; {scale}"
