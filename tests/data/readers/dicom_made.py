"""DICOM files of OCT, made with pydicom: its own writer and codecs, none of ours."""

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

OPT = "1.2.840.10008.5.1.4.1.1.77.1.5.4"
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
CAPTURES = "1.2.840.10008.5.1.4.1.1.7.2"


def ramp(num_frames: int, height: int = 40, width: int = 60, highest: int = 255) -> np.ndarray:
    """Frames (B, H, W) that differ pixel by pixel, 0 to highest."""
    values = np.arange(num_frames * height * width) * 7919 % (highest + 1)
    return values.reshape(num_frames, height, width).astype(np.uint8 if highest < 256 else np.uint16)


def item(**attributes: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def oct_dataset(frames: np.ndarray, sop_class: str = OPT, syntax: str = ExplicitVRLittleEndian, **attributes: Any):
    """A data set of gray frames (B, H, W), or of colours (B, H, W, 3), and whatever else is given."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.Modality, dataset.PatientID, dataset.PatientName = "OPT", "P007", "Doe^Jane"
    dataset.Rows, dataset.Columns = frames.shape[1:3]
    dataset.SamplesPerPixel = frames.shape[3] if frames.ndim == 4 else 1
    dataset.PhotometricInterpretation = "RGB" if frames.ndim == 4 else "MONOCHROME2"
    if frames.ndim == 4:
        dataset.PlanarConfiguration = 0
    bits = 8 * frames.dtype.itemsize
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(frames.dtype.kind == "i")
    dataset.NumberOfFrames = len(frames)
    data = frames.tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def save(dataset: Dataset, path: Path) -> Path:
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path, enforce_file_format=True)
    return path


def shared_groups(eye: str = "R", **measures: Any) -> dict[str, Any]:
    """Functional groups of all frames: pixels of 4 x 12 um, eye, B-scans in the plane of x and y (depth)."""
    return {
        "SharedFunctionalGroupsSequence": [
            item(
                PixelMeasuresSequence=[item(PixelSpacing=[0.004, 0.012], **measures)],
                PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
                FrameAnatomySequence=[item(FrameLaterality=eye)],
            )
        ]
    }


def placed_at(*z_mm: float) -> dict[str, Any]:
    """Functional groups of each frame: its place."""
    return {
        "PerFrameFunctionalGroupsSequence": [
            item(PlanePositionSequence=[item(ImagePositionPatient=[0, 0, z])]) for z in z_mm
        ]
    }


def on_fundus(*ends: tuple[float, float, float, float]) -> dict[str, Any]:
    """Functional groups of each frame: (row, column) of its first and last A-scan on the picture of the fundus."""
    return {
        "PerFrameFunctionalGroupsSequence": [
            item(OphthalmicFrameLocationSequence=[item(ReferenceCoordinates=list(place))]) for place in ends
        ]
    }
