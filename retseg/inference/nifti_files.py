"""A volume as NIfTI, for ITK-SNAP, 3D Slicer and whatever else reads it. B B-scans, H rows, W columns.

Axes of the arrays: (column, B-scan, row); voxel [c, b, r] is pixel (r, c) of B-scan b of the volume. The affine
(https://nifti.nimh.nih.gov/nifti-1, RAS+, mm) lays them into the head as the eye lies in it:

- rows run from the vitreous to the choroid, from anterior to posterior, -y;
- columns run to the patient's left, -x, in either eye: a fundus seen as usual has the nose on the right of a right eye
  and on the left of a left one (`geometry.volume_map`);
- B-scans run upwards or downwards, z, as `first_bscan` says; of an unknown order the first one is on top.

So a viewer in the radiological manner, as ITK-SNAP and 3D Slicer are from the start, shows B-scans upright and not
mirrored in its axial window, and the eye as a fundus is seen in its coronal one. 0 is the middle of the field, row 0.

A mask keeps the geometry of the whole volume: every B-scan has its plane, and those that were not at hand are
NOT_LOOKED_AT in the mask and 0 in the image; nothing is made up between. Where one of the three sizes of a voxel is not
known, all are 1 in the unit "unknown", and the description says px.
"""

import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from retseg.anatomy import CLASSES
from retseg.bscan import Array
from retseg.evaluation.atomic import replacing_file
from retseg.inference.predicted import PredictedVolume

NOT_LOOKED_AT = 255
MOST_PLANES = 1024
_LONGEST_DESCRIPTION = 79
_GZIP = 16
"""What tells zlib to write the header and trailer of gzip."""


def why_no_box(volume: PredictedVolume) -> str:
    """Why the B-scans of a volume are not put into one array, in words; "" where they are."""
    if len({scan.image.shape for scan in volume.scans}) != 1:
        return "the B-scans differ in size" if volume.scans else "there are no B-scans"
    if not volume.is_raster and volume.num_bscans > 1:
        return "the B-scans are not parallel, so they are no box"
    if volume.num_bscans > MOST_PLANES:
        return f"{volume.num_bscans} B-scans, at most {MOST_PLANES} are put into one file"
    return ""


def voxel_um(volume: PredictedVolume) -> tuple[float, float, float] | None:
    """Distance in um of neighbouring columns, B-scans and rows; None unless all three are known."""
    spacing, distance = volume.spacing, volume.distance
    if spacing.axial_um is None or spacing.lateral_um is None or distance is None:
        return None
    return spacing.lateral_um, distance.um, spacing.axial_um


def write_nifti(volume: PredictedVolume, place: Callable[[str], Path]) -> list[str]:
    """Write <volume>_mask.nii.gz, <volume>_image.nii.gz and <volume>_labels.txt; notices of what could not be."""
    if why := why_no_box(volume):
        return [f"no NIfTI: {why}"]
    masks = {scan.number: scan.mask.astype(np.uint8) for scan in volume.scans}
    _save(volume, masks, NOT_LOOKED_AT, place("_mask.nii.gz"))
    del masks
    _save(volume, {scan.number: scan.image for scan in volume.scans}, 0, place("_image.nii.gz"))
    with replacing_file(place("_labels.txt")) as partial:
        partial.write_text(label_description(), encoding="utf-8", newline="\n")
    return _notices(volume)


def _notices(volume: PredictedVolume) -> list[str]:
    notices = []
    if missing := volume.num_bscans - len(volume.scans):
        notices.append(
            f"NIfTI: {missing} of {volume.num_bscans} B-scans were not at hand, {NOT_LOOKED_AT} in the mask there"
        )
    if voxel_um(volume) is None:
        notices.append("NIfTI: voxels of size 1, unit unknown: not all of rows, columns and B-scans have a known size")
    return notices


def label_description() -> str:
    """Labels with names and colours as ITK-SNAP reads them (Segmentation > Import Label Descriptions)."""
    lines = ["# ITK-SNAP label description: id, red, green, blue, opacity, visible, mesh visible, name"]
    for layer in CLASSES:
        seen = int(layer.id > 0)
        red, green, blue = layer.colour
        lines.append(f'{layer.id:5d} {red:5d} {green:4d} {blue:4d} {seen:8d} {seen:2d} {seen:2d}    "{layer.name}"')
    lines.append(f'{NOT_LOOKED_AT:5d} {128:5d} {128:4d} {128:4d} {1:8d} {0:2d} {0:2d}    "not looked at"')
    return "\n".join(lines) + "\n"


def affine_mm(volume: PredictedVolume) -> Array:
    """The affine (4, 4) of voxels (column, B-scan, row), as the module says; pixels where a size is unknown."""
    column, bscan, row = (size_um / 1e3 for size_um in voxel_um(volume) or (1e3, 1e3, 1e3))
    up = 1 if volume.first_bscan == "inferior" else -1
    width = volume.scans[0].image.shape[1]
    affine = np.zeros((4, 4))
    affine[0, 0], affine[0, 3] = -column, column * (width - 1) / 2
    affine[1, 2] = -row
    affine[2, 1], affine[2, 3] = up * bscan, -up * bscan * (volume.num_bscans - 1) / 2
    affine[3, 3] = 1
    return affine


def _save(volume: PredictedVolume, planes: Mapping[int, Array], empty: int, path: Path) -> None:
    """Write planes (H, W) by number of B-scan as one array (W, B, H) uint8."""
    from nibabel.nifti1 import Nifti1Image

    height, width = volume.scans[0].image.shape
    box = np.full((width, volume.num_bscans, height), empty, np.uint8, order="F")
    for number, plane in planes.items():
        box[:, number] = plane.T
    affine, is_known = affine_mm(volume), voxel_um(volume) is not None
    image: Any = Nifti1Image(box, affine)  # type: ignore[no-untyped-call]  # nibabel left it untyped
    image.header.set_xyzt_units("mm" if is_known else "unknown")
    image.header["descrip"] = _description(volume, is_known)
    # Both codes, also in pixels: a reader without one turns the axes as it likes.
    image.set_qform(affine, code="scanner")
    image.set_sform(affine, code="scanner")
    with replacing_file(path) as partial:
        partial.write_bytes(packed(image.to_bytes()))


def packed(content: bytes) -> bytes:
    """Content as a gzip file (RFC 1952) that tells no time and no name.

    Only runs are sought, not repeats: noise has none, so images take less than half the time, and both images and masks
    become smaller.
    """
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP + zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    return packer.compress(content) + packer.flush()


def _description(volume: PredictedVolume, is_known: bool) -> bytes:
    """What the header's 79 characters hold: scale and its origin, eye, order of B-scans."""
    scale = f"scale {volume.spacing.source}" if is_known else "scale unknown: px"
    first = f"first B-scan {volume.first_bscan}" if volume.first_bscan else "order of B-scans unknown"
    words = f"retseg; {volume.eye or 'eye unknown'}; {first}; {scale}"
    return words.encode("ascii", "replace")[:_LONGEST_DESCRIPTION]
