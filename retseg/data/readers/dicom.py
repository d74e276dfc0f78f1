"""OCT B-scans in DICOM files: Ophthalmic Tomography, in one file or a file per B-scan, and secondary captures of OCT.

A file of several frames is a volume, its B-scans numbered as its frames; single frames of one series are one together.
Nothing of a patient is read but the ID, as a pseudonym.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from retseg.data.readers.dicom_geometry import (
    FrameFacts,
    arrange,
    common_eye,
    common_spacing,
    frame_facts,
    patient_offsets_mm,
)
from retseg.data.readers.dicom_header import DicomHeader, read_header
from retseg.data.readers.dicom_pixels import FrameFile, VolumeFrames
from retseg.data.readers.names import natural_key
from retseg.data.readers.vendor_eyepy import heard
from retseg.data.readers.volume import ScanVolume

FORMAT = "DICOM"


def open_dicom(paths: Sequence[Path]) -> list[ScanVolume]:
    """The volumes of these files, each named after its (first) file; single frames of one series and size are one.

    InputError for the first file that is damaged or holds no B-scans. Reading a B-scan: InputError where its pixels
    cannot be decoded or are all the same.
    """
    series: dict[object, list[DicomHeader]] = {}
    warned: dict[Path, list[str]] = {}
    for path in paths:
        with heard(path, "DICOM header") as said:
            header = read_header(path)
            series.setdefault(_series_key(header) or path, []).append(header)
        warned[path] = said.lines
    volumes = []
    for headers in series.values():
        with heard(headers[0].path, "DICOM header") as said:
            volume = _volume(ordered_series(headers))
        lines = dict.fromkeys([line for header in headers for line in warned[header.path]] + said.lines)
        volumes.append(replace(volume, notices=(*lines, *volume.notices)))
    return volumes


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Files of one volume in the order of their B-scans, with the number of each; one file if it has several frames."""

    headers: tuple[DicomHeader, ...]
    numbers: tuple[int, ...]
    frames: tuple[FrameFacts, ...]
    notices: tuple[str, ...] = ()


def ordered_series(headers: Sequence[DicomHeader]) -> Series:
    """Files of one series in order: by their place in the patient, else by instance number, else by name.

    Numbers count from the first one; an instance number that is left out leaves a gap.
    """
    if len(headers) == 1:
        header = headers[0]
        facts = tuple(frame_facts(header.dataset, index) for index in range(header.num_frames))
        return Series((header,), tuple(range(header.num_frames)), facts)
    single = [frame_facts(header.dataset, 0) for header in headers]
    instances = [int(header.text("InstanceNumber") or -1) for header in headers]
    offsets = patient_offsets_mm(single)
    numbers = list(range(len(headers)))
    notices: tuple[str, ...] = ()
    if offsets is not None and len(set(np.round(offsets, 6))) == len(headers):
        order = list(np.argsort(offsets))
        if instances[order[0]] > instances[order[-1]]:
            order.reverse()  # numbers run as the instances do, whichever side the normal points to
    elif len(set(instances)) == len(headers):
        order = list(np.argsort(instances))
        numbers = [instances[index] - instances[order[0]] for index in order]
        if numbers[-1] >= len(headers):
            notices = (
                f"{len(headers)} files with instance numbers up to {numbers[-1] + 1} of the first: gaps are left",
            )
    else:
        order = sorted(range(len(headers)), key=lambda index: natural_key(headers[index].path.name))
        notices = ("neither places nor instance numbers tell the order of the files: their names do",)
    return Series(tuple(headers[i] for i in order), tuple(numbers), tuple(single[i] for i in order), notices)


def _series_key(header: DicomHeader) -> tuple[object, ...] | None:
    """What single frames of one volume share; None for a file that is a volume by itself."""
    series = header.text("SeriesInstanceUID")
    if header.num_frames > 1 or not series:
        return None
    return (series, header.text("SOPClassUID"), header.shape)


def _volume(series: Series) -> ScanVolume:
    first = series.headers[0]
    is_one_file = len(series.headers) == 1
    spacing, spacing_notices = common_spacing(series.frames)
    placed = arrange(series.frames, first.shape[1], first.text("OphthalmicImageOrientation"))
    num_bscans = series.numbers[-1] + 1
    eye = common_eye(series.frames) if placed.eye_is_sided else None
    return ScanVolume(
        name=first.path.stem if first.path.suffix.lower() in (".dcm", ".dicom") else first.path.name,
        path=first.path if is_one_file else first.path.parent,
        format=FORMAT,
        numbers=series.numbers,
        read=_frames(series).read,
        num_bscans=num_bscans,
        spacing=spacing,
        distance=placed.distance if num_bscans > 1 else None,
        is_raster=placed.is_raster,
        eye=eye,
        first_bscan=placed.first_bscan,
        subject=first.text("PatientID") or None,
        source_dicom=first.path,
        notices=(*series.notices, *spacing_notices, *placed.notices),
    )


def _frames(series: Series) -> VolumeFrames:
    first = series.headers[0]
    files = [FrameFile(header) for header in series.headers]
    if len(files) > 1:
        of_number = {
            number: (file, 0, str(file.header.path)) for number, file in zip(series.numbers, files, strict=True)
        }
        return VolumeFrames(of_number, first.path.parent)
    place = "{path}, frame {frame}" if first.num_frames > 1 else "{path}"
    frames = {n: (files[0], n, place.format(path=first.path, frame=n + 1)) for n in series.numbers}
    return VolumeFrames(frames, first.path)
