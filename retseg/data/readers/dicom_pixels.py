"""Frames of a DICOM file, decoded one at a time and brought to gray levels 0..255. H rows, W columns.

The rule, for all frames of a file: stored values go through the rescale slope and intercept, then through the first
window (PS3.3, C.11.2.1.2; of the frame, else of all frames, else of the file), whose output is 0..255. Where there is
no window, values of unsigned, unrescaled pixels go by `VolumeLevels` as every other format does, and any other by the
range of their type (bits stored). Nothing is stretched by what a frame shows. MONOCHROME1 is inverted at last. Colours
become gray by Rec. 601 (0.299 R + 0.587 G + 0.114 B).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retseg.bscan import Array
from retseg.data.readers.dicom_frames import stated_shape
from retseg.data.readers.dicom_header import DicomHeader, frame_bytes, one_line_of_damage
from retseg.data.readers.levels import VolumeLevels
from retseg.data.readers.volume import RawBScan
from retseg.errors import InputError

_LUMA = np.array([0.299, 0.587, 0.114])
_COLOURED = 16
_EXTENDED_OFFSETS = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")


def functional_group(dataset: Any, index: int, sequence: str, keyword: str) -> Any:
    """An attribute of frame `index`: from its own functional group, else the shared one, else the file; or None."""
    for groups, number in (("PerFrameFunctionalGroupsSequence", index), ("SharedFunctionalGroupsSequence", 0)):
        frames = dataset.get(groups) or []
        if number < len(frames):
            items = frames[number].get(sequence) or []
            value = items[0].get(keyword) if items else None
            if value is not None:
                return value
    return dataset.get(keyword)


@dataclass(frozen=True, slots=True)
class GrayRule:
    """Stored values to 0..255, see the file's docstring. window: (centre, width, function) in rescaled values."""

    slope: float
    intercept: float
    window: tuple[float, float, str] | None
    stored_range: tuple[int, int]

    @property
    def is_plain(self) -> bool:
        """Whether values are unsigned and stand for themselves."""
        return (self.slope, self.intercept, self.window, self.stored_range[0]) == (1.0, 0.0, None, 0)

    def __call__(self, stored: Array) -> Array:
        """Gray levels 0..255, float64."""
        values = stored * self.slope + self.intercept
        if self.window is None:
            ends = [end * self.slope + self.intercept for end in self.stored_range]
            return np.asarray((values - min(ends)) / (max(ends) - min(ends)) * 255)
        centre, width, function = self.window
        if function == "SIGMOID":
            return np.asarray(255 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700))))
        if function != "LINEAR_EXACT":  # LINEAR: integers, of which the lowest and the highest of the window are kept
            centre, width = centre - 0.5, max(width - 1, 1e-9)
        return np.asarray(np.clip((values - centre) / width + 0.5, 0, 1) * 255)


def gray_rule(header: DicomHeader, index: int) -> GrayRule:
    """The rule of frame `index`. InputError for a window or a slope that is no number."""

    def first(sequence: str, keyword: str) -> float | None:
        value = functional_group(header.dataset, index, sequence, keyword)
        value = value[0] if isinstance(value, list | tuple) or hasattr(value, "append") else value
        return None if value in (None, "") else float(value)

    slope = first("PixelValueTransformationSequence", "RescaleSlope")
    intercept = first("PixelValueTransformationSequence", "RescaleIntercept")
    centre, width = (first("FrameVOILUTSequence", f"Window{name}") for name in ("Center", "Width"))
    function = functional_group(header.dataset, index, "FrameVOILUTSequence", "VOILUTFunction")
    window = None if centre is None or width is None else (centre, width, str(function or "LINEAR"))
    numbers = (1.0 if slope is None else slope, 0.0 if intercept is None else intercept, *(window or ())[:2])
    if not all(math.isfinite(number) for number in numbers) or numbers[0] == 0 or (window and window[1] <= 0):
        raise InputError(
            f"{header.path}: slope, intercept and window {numbers}, expected numbers, a slope other than 0 and a "
            "positive width; export it anew"
        )
    bits = int(header.dataset.get("BitsStored") or header.dataset.BitsAllocated)
    is_signed = bool(header.dataset.get("PixelRepresentation"))
    stored_range = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if is_signed else (0, 2**bits - 1)
    return GrayRule(numbers[0], numbers[1], window, stored_range)


@dataclass(frozen=True, slots=True)
class Stored:
    """Pixels as a file has them: values (H, W), or gray levels made of colours; share of coloured pixels."""

    values: Array
    colour_share: float


class FrameFile:
    """Frames of one file by their 0-based index, also for several threads: each read opens the file anew."""

    def __init__(self, header: DicomHeader) -> None:
        from pydicom.dataset import Dataset

        self.header = header
        self.rules = [gray_rule(header, index) for index in range(header.num_frames)]
        photometric = header.text("PhotometricInterpretation")
        self.is_inverted = photometric == "MONOCHROME1"
        self.is_gray = photometric.startswith("MONOCHROME")
        self.dtype = np.dtype(f"uint{int(header.dataset.BitsAllocated) if self.is_gray else 8}")
        self._image = Dataset()
        self._image.file_meta = header.dataset.file_meta
        self._image.update(header.dataset.group_dataset(0x0028))
        self._image.NumberOfFrames = 1
        offsets = [header.dataset.get(keyword) for keyword in _EXTENDED_OFFSETS]
        self._offsets = None if None in offsets else (offsets[0], offsets[1])

    def stored(self, index: int, place: str) -> Stored:
        """A frame. InputError, which begins with `place`, where it cannot be decoded."""
        values = self._decoded(index, place)
        if values.ndim == 2:
            return Stored(values, 0.0)
        colours = values / 257 if values.dtype.itemsize == 2 else values.astype(np.float64)
        is_coloured = np.ptp(colours, axis=2) > _COLOURED
        return Stored(np.rint(colours @ _LUMA).astype(np.uint8), float(is_coloured.mean()))

    def _decoded(self, index: int, place: str) -> Array:
        """Stored values (H, W), or red, green and blue (H, W, 3)."""
        from pydicom.dataset import Dataset
        from pydicom.pixels.processing import apply_color_lut
        from pydicom.pixels.utils import pixel_array

        image = Dataset()
        image.file_meta = self._image.file_meta
        image.update(self._image)
        with one_line_of_damage(place, "pixels cannot be decoded"):
            image.PixelData = self._frame_bytes(index, place)
            image["PixelData"].VR = "OW" if image.BitsAllocated > 8 else "OB"
            stored = pixel_array(image)
            if image.PhotometricInterpretation == "PALETTE COLOR":
                stored = apply_color_lut(stored, image)
        if stored.shape[:2] != self.header.shape:
            raise InputError(
                f"{place}: pixels of shape {stored.shape}, its header says {self.header.shape}; get it again"
            )
        return np.asarray(stored)

    def _frame_bytes(self, index: int, place: str) -> bytes:
        from pydicom.encaps import encapsulate, get_frame

        header = self.header
        with header.path.open("rb") as file:
            file.seek(header.pixel_offset)
            if header.is_compressed:
                frame = get_frame(
                    file,
                    index,
                    number_of_frames=header.num_frames,
                    extended_offsets=self._offsets,
                )
                if (stated := stated_shape(frame)) not in (None, header.shape):
                    raise InputError(
                        f"{place}: a compressed frame of {stated}, its header says {header.shape}; get it again"
                    )
                return encapsulate([frame])
            num_bytes = frame_bytes(header)
            file.seek(index * num_bytes, 1)
            return file.read(num_bytes) + b"\0" * (num_bytes % 2)


class VolumeFrames:
    """B-scans of a volume by their numbers: the file of each, its index there, and how a complaint begins."""

    def __init__(self, frames: Mapping[int, tuple[FrameFile, int, str]], path: Path) -> None:
        self._frames = frames
        files = [file for file, _, _ in frames.values()]
        self._is_plain = all(file.rules[index].is_plain for file, index, _ in frames.values())
        dtype = max((file.dtype for file in files), key=lambda dtype: dtype.itemsize)
        dtype = dtype if self._is_plain else np.dtype(np.uint8)
        self._levels = VolumeLevels(dtype, list(frames), self._values, path)

    def read(self, number: int) -> RawBScan:
        """A B-scan. InputError where it cannot be decoded, or shows nothing."""
        file, index, place = self._frames[number]
        stored = file.stored(index, place)
        values = stored.values if self._is_plain or not file.is_gray else np.round(file.rules[index](stored.values), 6)
        image = self._levels(values, place)
        return RawBScan(255 - image if file.is_inverted else image, stored.colour_share)

    def _values(self, number: int) -> Array:
        file, index, place = self._frames[number]
        return file.stored(index, place).values
