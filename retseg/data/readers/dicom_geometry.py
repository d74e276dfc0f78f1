"""Where the frames of a DICOM volume lie: pixel size, distance and order of B-scans, which eye; B B-scans, in um.

Distances are millimetres in files. The distance of B-scans is taken from the first of these that states it: the frames'
positions in patient coordinates (PS3.3, C.7.6.2.1.1), their places on the picture of the fundus (Ophthalmic Frame
Location, C.8.17.9.1: pixels of that picture, which are made um by the B-scan's own length, taking its pixels as
square), Spacing Between Slices, Slice Thickness. What no attribute states stays unknown.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retseg.bscan import Array, Eye, Spacing
from retseg.data.readers.dicom_pixels import functional_group
from retseg.geometry.volume_map import BScanDistance, Vertical

_EVEN = 0.05
"""Distances of neighbouring B-scans differ by at most this share of their mean, else there is no one distance."""

_PARALLEL_COSINE = math.cos(math.radians(2))
_EYES: dict[str, Eye] = {"R": "OD", "L": "OS"}


@dataclass(frozen=True, slots=True, eq=False)
class FrameFacts:
    """What is said of one frame; None where nothing is.

    spacing_mm: (axial, lateral). position_mm (3,), orientation (2, 3): of rows and columns in patient coordinates.
    ends_px: (2, 2), (row, column) of its first and last A-scan on the picture of the fundus.
    between_mm, thickness_mm: Spacing Between Slices and Slice Thickness.
    """

    spacing_mm: tuple[float, float] | None
    position_mm: Array | None
    orientation: Array | None
    ends_px: Array | None
    between_mm: float | None
    thickness_mm: float | None
    eye: Eye | None


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How the B-scans of a volume lie together. eye_is_sided False: columns do not run as the fundus is seen."""

    distance: BScanDistance | None = None
    is_raster: bool = True
    first_bscan: Vertical | None = None
    eye_is_sided: bool = True
    notices: tuple[str, ...] = ()


def frame_facts(dataset: Any, index: int) -> FrameFacts:
    """Facts of frame `index` of a multi-frame file, of the one frame of another."""

    def numbers(sequence: str, keyword: str, count: int) -> Array | None:
        value = functional_group(dataset, index, sequence, keyword)
        if value is None or value == "":
            return None
        values = np.atleast_1d(np.asarray(value, np.float64))
        return values if values.shape == (count,) and np.isfinite(values).all() else None

    def size_mm(keyword: str) -> float | None:
        value = numbers("PixelMeasuresSequence", keyword, 1)
        return float(value[0]) if value is not None and value[0] > 0 else None

    spacing = numbers("PixelMeasuresSequence", "PixelSpacing", 2)
    orientation = numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6)
    ends = numbers("OphthalmicFrameLocationSequence", "ReferenceCoordinates", 4)
    letters = [functional_group(dataset, index, "FrameAnatomySequence", "FrameLaterality")]
    letters += [dataset.get(keyword) for keyword in ("ImageLaterality", "Laterality")]
    return FrameFacts(
        spacing_mm=None if spacing is None or min(spacing) <= 0 else (float(spacing[0]), float(spacing[1])),
        position_mm=numbers("PlanePositionSequence", "ImagePositionPatient", 3),
        orientation=None if orientation is None else orientation.reshape(2, 3),
        ends_px=None if ends is None else ends.reshape(2, 2),
        between_mm=size_mm("SpacingBetweenSlices"),
        thickness_mm=size_mm("SliceThickness"),
        eye=next((_EYES[str(letter)] for letter in letters if str(letter) in _EYES), None),
    )


def common_spacing(frames: Sequence[FrameFacts]) -> tuple[Spacing, tuple[str, ...]]:
    """Pixel size of all frames, and notices; unknown where one has none or they differ."""
    sizes = {frame.spacing_mm for frame in frames}
    first = frames[0].spacing_mm
    if first is None or None in sizes:
        return Spacing(), ()
    if not all(np.allclose(size, first, rtol=1e-3) for size in sizes if size is not None):
        return Spacing(), ("frames differ in pixel spacing: the scale is taken as unknown",)
    axial_um, lateral_um = (round(size_mm * 1000, 6) for size_mm in first)
    return Spacing(axial_um, lateral_um, "DICOM header"), ()


def common_eye(frames: Sequence[FrameFacts]) -> Eye | None:
    """The one eye that frames name, None where they name none or both."""
    eyes = {frame.eye for frame in frames} - {None}
    return eyes.pop() if len(eyes) == 1 else None


def patient_offsets_mm(frames: Sequence[FrameFacts]) -> Array | None:
    """Places (B,) of frames along the normal of their common plane; None where they are not all said, or all the same.

    nan (B,) where planes are not parallel.
    """
    if any(frame.position_mm is None or frame.orientation is None for frame in frames):
        return None
    normals = np.array([np.cross(*frame.orientation) for frame in frames])  # type: ignore[misc]
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    if (lengths < 0.5).any():
        return None  # directions that are none, as some exports write
    normals = normals / lengths
    if (normals @ normals[0] < _PARALLEL_COSINE).any():
        return np.full(len(frames), np.nan)
    offsets = np.array([frame.position_mm for frame in frames]) @ normals[0]
    return None if len(frames) > 1 and np.ptp(offsets) < 1e-9 else offsets


def arrange(frames: Sequence[FrameFacts], num_columns: int, orientation: str) -> Arrangement:
    """How B-scans (B) in their order lie. orientation: the file's Ophthalmic Image Orientation, "" where not said."""
    if orientation == "NONLINEAR":
        return Arrangement(is_raster=False, notices=("B-scans along curves (NONLINEAR): no maps are drawn of them",))
    if len(frames) < 2:
        return Arrangement()
    offsets_mm = patient_offsets_mm(frames)
    ends = [frame.ends_px for frame in frames]
    on_fundus = None if any(end is None for end in ends) else _on_picture(np.array(ends), frames[0], num_columns)
    if offsets_mm is None:
        return on_fundus or _stated(frames)
    if np.isnan(offsets_mm).any():
        return Arrangement(is_raster=False, notices=("B-scans are not parallel: no maps are drawn of them",))
    um, notice = even_step(offsets_mm * 1000)
    distance = None if um is None else BScanDistance(um, "DICOM header (positions of the frames)")
    notices = () if notice is None else (notice,)
    if on_fundus is None:
        return Arrangement(distance, notices=notices)
    return Arrangement(
        distance, on_fundus.is_raster, on_fundus.first_bscan, on_fundus.eye_is_sided, (*notices, *on_fundus.notices)
    )


def even_step(offsets: Array) -> tuple[float | None, str | None]:
    """Distance of neighbours at offsets (B,), in their unit, or why there is none: they turn back, or are uneven."""
    steps = np.diff(offsets)
    if not ((steps > 0).all() or (steps < 0).all()):
        return None, "B-scans are not in the order of their places: their distance is taken as unknown"
    mean = float(np.abs(steps).mean())
    if not np.allclose(np.abs(steps), mean, rtol=_EVEN):
        return None, "B-scans are not evenly spaced: their distance is taken as unknown"
    return mean, None


def _stated(frames: Sequence[FrameFacts]) -> Arrangement:
    for keyword, values in (
        ("spacing between slices", {frame.between_mm for frame in frames}),
        ("slice thickness", {frame.thickness_mm for frame in frames}),
    ):
        size_mm = values.pop() if len(values) == 1 else None
        if size_mm is not None:
            return Arrangement(BScanDistance(size_mm * 1000, f"DICOM header ({keyword})"))
    return Arrangement()


def _on_picture(ends_px: Array, first: FrameFacts, num_columns: int) -> Arrangement | None:
    """From ends in pixels of the picture of the fundus, which are square; um by the length of the B-scans."""
    length_px = float(np.linalg.norm(ends_px[:, 1] - ends_px[:, 0], axis=1).mean())
    um_per_px = None
    if first.spacing_mm is not None and length_px > 0:
        um_per_px = first.spacing_mm[1] * 1000 * (num_columns - 1) / length_px
    return arrange_on_fundus(ends_px, um_per_px, "DICOM header (places of the frames on the fundus)")


def arrange_on_fundus(ends: Array, um_per_unit: float | None, source: str) -> Arrangement | None:
    """From the ends of B-scans (B, 2, 2), (row, column) of the first and last A-scan as the fundus is seen.

    Rows grow downwards, from superior to inferior. um_per_unit None: no distance. None where they are places on no
    picture (a B-scan of no length, or all at one place).
    """
    along = ends[:, 1] - ends[:, 0]
    lengths = np.linalg.norm(along, axis=1)
    if (lengths == 0).any() or (np.ptp(ends, axis=0) == 0).all():
        return None
    directions = along / lengths[:, None]
    if (directions @ directions[0] < _PARALLEL_COSINE).any():
        return Arrangement(is_raster=False, notices=("B-scans are not parallel: no maps are drawn of them",))
    row_direction, column_direction = directions[0]
    offsets = ends.mean(axis=1) @ np.array([column_direction, -row_direction])
    step, notice = even_step(offsets)
    notices: tuple[str, ...] = () if notice is None else (notice,)
    is_sided = bool(column_direction > math.sqrt(0.5))
    if not is_sided:
        notices += ("B-scans do not run from left to right on the fundus: sides are left open",)
    first_bscan: Vertical | None = None
    if is_sided and offsets[0] != offsets[-1]:
        first_bscan = "inferior" if offsets[0] > offsets[-1] else "superior"
    distance = None if um_per_unit is None or step is None else BScanDistance(step * um_per_unit, source)
    return Arrangement(distance, True, first_bscan, is_sided, notices)
