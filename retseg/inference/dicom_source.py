"""What a DICOM segmentation refers to: the scans' own DICOM files, or an object made of the scans where there are none.

A segmentation stands by references: to a study, to a series, and from each frame to the image that it was found in. Of
a DICOM scan nothing is taken over but these identifiers, the study's number and date, and its geometry. Of other scans
a secondary capture of several frames is made (Multi-frame Grayscale Byte Secondary Capture, PS3.3 A.8.3): it claims no
more than is known of a picture, unlike an Ophthalmic Tomography image, which has to name device and optics.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from retseg import __version__
from retseg.bscan import Array
from retseg.data.readers.dicom import ordered_series
from retseg.data.readers.dicom_geometry import FrameFacts
from retseg.data.readers.dicom_header import DicomHeader, read_header
from retseg.errors import InputError
from retseg.inference.predicted import PredictedVolume

CAPTURE_CLASS = "1.2.840.10008.5.1.4.1.1.7.2"
LETTERS = {"OD": "R", "OS": "L"}
STUDY_KEYWORDS = ("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime")
_ORIENTATION = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
"""Rows run to the patient's left, columns to the back: how a B-scan lies in an eye, as the fundus is usually seen."""


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """Where frames lie in patient coordinates of a frame of reference: orientation (6,), positions_mm (B, 3)."""

    frame_of_reference: str
    orientation: tuple[float, ...]
    positions_mm: Array


@dataclass(frozen=True, slots=True)
class Referred:
    """An image, and its frame counted from 1 (None: it has one alone)."""

    sop_class: str
    sop_instance: str
    frame: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What the scans (B) of a volume are in DICOM. made: the object that was made of them, None where files exist.

    study: the attributes STUDY_KEYWORDS. geometry: None where the places are not known.
    """

    study: dict[str, str]
    series: str
    images: tuple[Referred, ...]
    geometry: Geometry | None
    made: Any = None


def patient_id(volume: PredictedVolume) -> str:
    """The pseudonym of the subject, or "unknown"; without the characters that DICOM parts values by."""
    return (volume.subject or "unknown").replace("\\", "_")[:64]


def source_of(volume: PredictedVolume) -> Source:
    """The DICOM files of a volume, or what is made of its scans.

    InputError where its files are gone, of another size than the scans, or have other frames.
    """
    return _made(volume) if volume.source_dicom is None else _found(volume, volume.source_dicom)


def _found(volume: PredictedVolume, path: Path) -> Source:
    series = ordered_series(_headers(path))
    place_of = {number: place for place, number in enumerate(series.numbers)}
    is_one_file = len(series.headers) == 1
    shape = series.headers[0].shape
    images, facts = [], []
    for scan in volume.scans:
        place = place_of.get(scan.number)
        if place is None or scan.image.shape != shape:
            raise InputError(
                f"{path}: no B-scan {scan.number + 1} of {scan.image.shape[0]} x {scan.image.shape[1]} pixels, which "
                "the segmentation is of; is it still the file that was predicted?"
            )
        header = series.headers[0] if is_one_file else series.headers[place]
        frame = place + 1 if is_one_file and "NumberOfFrames" in header.dataset else None
        images.append(Referred(header.text("SOPClassUID"), header.text("SOPInstanceUID"), frame))
        facts.append(series.frames[place])
    first = series.headers[0]
    return Source(
        study={keyword: first.text(keyword) for keyword in STUDY_KEYWORDS},
        series=first.text("SeriesInstanceUID"),
        images=tuple(images),
        geometry=_geometry_of(volume, facts, first.text("FrameOfReferenceUID")),
    )


def _headers(path: Path) -> list[DicomHeader]:
    """The file's header, and those of the single frames of its series in the same folder."""
    first = read_header(path)
    if not (first.text("StudyInstanceUID") and first.text("SeriesInstanceUID") and first.text("SOPInstanceUID")):
        raise InputError(f"{path}: its DICOM header names no study, series or instance, so nothing can refer to it")
    key = (first.text("SeriesInstanceUID"), first.text("SOPClassUID"), first.shape)
    headers = [first]
    for other in sorted(path.parent.iterdir()) if first.num_frames == 1 else []:
        if other == path or not other.is_file():
            continue
        try:
            header = read_header(other)
        except InputError:
            continue  # no B-scan, or damaged: no part of the volume either
        if (
            header.text("SeriesInstanceUID"),
            header.text("SOPClassUID"),
            header.shape,
        ) == key and header.num_frames == 1:
            headers.append(header)
    return headers


def _geometry_of(volume: PredictedVolume, facts: list[FrameFacts], frame_of_reference: str) -> Geometry | None:
    """The frames' own geometry, if all have one, in one orientation at different places, with the volume's spacing."""
    if not frame_of_reference or not volume.is_raster:
        return None
    positions, orientations = [f.position_mm for f in facts], [f.orientation for f in facts]
    if any(value is None for value in (*positions, *orientations)):
        return None
    orientation = np.asarray(orientations[0], np.float64)
    spacing_mm = (facts[0].spacing_mm or (np.nan, np.nan), _spacing_mm(volume) or (np.nan, np.nan))
    is_same = all(np.allclose(np.asarray(other), orientation, atol=1e-6) for other in orientations)
    normal = np.cross(*orientation)
    offsets = np.asarray(positions) @ normal
    is_unit = np.allclose(np.linalg.norm([*orientation, normal], axis=1), 1, atol=1e-3)
    is_apart = len(np.unique(np.round(offsets, 6))) == len(offsets)
    if not (is_same and is_unit and is_apart and np.allclose(*spacing_mm, rtol=1e-4)):
        return None
    return Geometry(frame_of_reference, tuple(orientation.ravel()), np.asarray(positions))


def _spacing_mm(volume: PredictedVolume) -> tuple[float, float] | None:
    axial, lateral = volume.spacing.axial_um, volume.spacing.lateral_um
    return None if axial is None or lateral is None else (axial / 1000, lateral / 1000)


def pixel_measures(volume: PredictedVolume) -> Any:
    """Item of Pixel Measures Sequence, in mm; None where the size of a pixel is not known in both directions."""
    from pydicom.dataset import Dataset
    from pydicom.valuerep import DSfloat

    spacing_mm = _spacing_mm(volume)
    if spacing_mm is None:
        return None
    item = Dataset()
    item.PixelSpacing = [DSfloat(size, auto_format=True) for size in spacing_mm]
    if volume.distance is not None and volume.is_raster and len(volume.scans) > 1:
        item.SpacingBetweenSlices = DSfloat(volume.distance.um / 1000, auto_format=True)
    return item


def _made_geometry(volume: PredictedVolume, frame_of_reference: str) -> Geometry | None:
    """Places of the scans of an eye that is known to lie upright; z points to the head."""
    spacing_mm = _spacing_mm(volume)
    is_known = volume.is_map and volume.first_bscan is not None and volume.eye is not None
    if spacing_mm is None or not is_known or volume.distance is None:
        return None
    step_mm = volume.distance.um / 1000 * (1 if volume.first_bscan == "inferior" else -1)
    left_mm = -(volume.scans[0].image.shape[1] - 1) / 2 * spacing_mm[1]
    positions = np.array([[left_mm, 0.0, scan.number * step_mm] for scan in volume.scans])
    return Geometry(frame_of_reference, _ORIENTATION, positions)


def _made(volume: PredictedVolume) -> Source:
    from pydicom.uid import generate_uid

    study = dict.fromkeys(STUDY_KEYWORDS, "") | {"StudyInstanceUID": str(generate_uid())}
    series, instance = str(generate_uid()), str(generate_uid())
    geometry = _made_geometry(volume, str(generate_uid()))
    images = tuple(Referred(CAPTURE_CLASS, instance, place + 1) for place in range(len(volume.scans)))
    source = Source(study, series, images, geometry)
    return Source(study, series, images, geometry, _capture(volume, source))


def identify(dataset: Any, volume: PredictedVolume, source: Source) -> None:
    """Patient and study of an object: the pseudonym, and nothing else of a person."""
    dataset.PatientID = patient_id(volume)
    for keyword in ("PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "ReferringPhysicianName"):
        setattr(dataset, keyword, "")
    for keyword, value in source.study.items():
        setattr(dataset, keyword, value)
    dataset.Laterality = "" if volume.eye is None else LETTERS[volume.eye]


def place_frames(dataset: Any, measures: Any, geometry: Geometry) -> None:
    """Functional groups of an image whose frames lie where `geometry` says."""
    from pydicom.dataset import Dataset
    from pydicom.valuerep import DSfloat

    def numbers(values: Any) -> list[Any]:
        return [DSfloat(float(value), auto_format=True) for value in values]

    shared, orientation = Dataset(), Dataset()
    orientation.ImageOrientationPatient = numbers(geometry.orientation)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    frames = []
    for position in geometry.positions_mm:
        frame, plane = Dataset(), Dataset()
        plane.ImagePositionPatient = numbers(position)
        frame.PlanePositionSequence = [plane]
        frames.append(frame)
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = geometry.frame_of_reference, ""
    dataset.SharedFunctionalGroupsSequence, dataset.PerFrameFunctionalGroupsSequence = [shared], frames


def _capture(volume: PredictedVolume, source: Source) -> Any:
    """The scans' pixels as a secondary capture.

    Burned In Annotation says YES: pictures may have names written into them, and nobody looked.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    now = datetime.now()
    images = np.stack([scan.image for scan in volume.scans])
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SpecificCharacterSet = "ISO_IR 192"
    identify(dataset, volume, source)
    data = images.tobytes()
    attributes: dict[str, Any] = {
        **{"SOPClassUID": CAPTURE_CLASS, "SOPInstanceUID": source.images[0].sop_instance},
        **{"SeriesInstanceUID": source.series, "SeriesNumber": 1, "InstanceNumber": 1, "Modality": "OPT"},
        **{"ConversionType": "WSD", "ImageType": ["DERIVED", "SECONDARY"], "BodyPartExamined": "EYE"},
        **{"Manufacturer": "retseg", "SoftwareVersions": __version__, "PatientOrientation": ""},
        **{"ContentDate": now.strftime("%Y%m%d"), "ContentTime": now.strftime("%H%M%S")},
        **{"NumberOfFrames": len(images), "Rows": images.shape[1], "Columns": images.shape[2]},
        **{"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "PixelRepresentation": 0},
        **{"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "BurnedInAnnotation": "YES"},
        **{"PresentationLUTShape": "IDENTITY", "RescaleIntercept": 0, "RescaleSlope": 1, "RescaleType": "US"},
    }
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    if len(images) > 1:
        dataset.FrameIncrementPointer = 0x00182001  # Page Number Vector
        dataset.PageNumberVector = list(range(1, len(images) + 1))
    measures = pixel_measures(volume)
    if source.geometry is not None:
        place_frames(dataset, measures, source.geometry)
    elif measures is not None:  # functional groups of a capture have to say where frames lie
        dataset.PixelSpacing = measures.PixelSpacing
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB"
    return dataset
