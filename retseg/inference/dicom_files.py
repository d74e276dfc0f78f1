"""Predicted layers as a DICOM Label Map Segmentation (PS3.3, A.51), written with highdicom.

Its frames are the scans in their order, its pixel values class ids; it refers to the scans' DICOM files, or to
`<name>_source.dcm`, which is written beside it where they have none. Places in patient coordinates are given where the
scans' files have them, or where eye, order, distance and pixel size are all known; else frames are a stack without
places, with the size of a pixel where that is known.

Height Map Segmentation (Supplement 240, 1.2.840.10008.5.1.4.1.1.66.8), which would hold the surfaces, is not written:
neither highdicom 0.28 nor pydicom 3.0 knows how to make one.
"""

from pathlib import Path
from typing import Any

import numpy as np

from retseg import __version__
from retseg.anatomy import NUM_CLASSES
from retseg.bscan import Array
from retseg.errors import InputError, typed_line
from retseg.evaluation.atomic import replacing_file
from retseg.inference.dicom_source import (
    CAPTURE_CLASS,
    LETTERS,
    Geometry,
    Source,
    identify,
    pixel_measures,
    place_frames,
    source_of,
)
from retseg.inference.dicom_terms import coding_scheme, segment_descriptions
from retseg.inference.predicted import PredictedVolume

_NO_PLACES = Geometry("", (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), np.zeros((0, 3)))


def write_segmentation(volume: PredictedVolume, path: Path) -> tuple[str, ...]:
    """Write the layers of a volume's scans as a segmentation, and what it refers to if that is no DICOM: notices.

    InputError where highdicom is not installed, scans differ in size, the DICOM files that they came from are gone or
    changed, or nothing can be written.
    """
    shapes = {scan.image.shape for scan in volume.scans}
    if len(shapes) != 1:
        raise InputError(
            f"{path}: {len(shapes)} sizes of scans in one volume; a DICOM segmentation holds one: left out"
        )
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise InputError(f"{path}: DICOM needs highdicom, not installed; pip install 'retseg[vendor]'") from error
    source = source_of(volume)
    segmentation = _segmentation(volume, source, path)
    notices: tuple[str, ...] = ()
    if source.made is not None:
        made_path = path.with_name(f"{path.stem}_source.dcm")
        _save(source.made, made_path)
        notices = (f"{made_path.name}: the scans as DICOM, made because the segmentation has to refer to some",)
    _save(segmentation, path)
    return (*notices, *_missing_scale(volume))


def _missing_scale(volume: PredictedVolume) -> tuple[str, ...]:
    if None in (volume.spacing.axial_um, volume.spacing.lateral_um):
        return ("DICOM segmentation without pixel spacing: the scale is not known in both directions",)
    return ()


def _save(dataset: Any, path: Path) -> None:
    with replacing_file(path) as partial:
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(partial, enforce_file_format=True)


def _segmentation(volume: PredictedVolume, source: Source, path: Path) -> Any:
    """The data set. highdicom sets frames along the normal of their planes; here they are set back as the scans are."""
    import highdicom as hd

    masks = np.stack([scan.mask for scan in volume.scans]).astype(np.uint8)
    assert masks.max() < NUM_CLASSES
    try:
        segmentation = hd.seg.Segmentation(
            source_images=[_referred_image(volume, source)],
            pixel_array=masks,
            segmentation_type=hd.seg.SegmentationTypeValues.LABELMAP,
            segment_descriptions=segment_descriptions(),
            series_instance_uid=hd.UID(),
            series_number=2,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer="retseg",
            manufacturer_model_name="retseg",
            software_versions=__version__,
            device_serial_number="none",
            content_label="RETINAL_LAYERS",
            content_description="Retinal layers",
            omit_empty_frames=False,
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path}: highdicom cannot make a segmentation of {volume.path} ({typed_line(error)})"
        ) from error
    _set_back(segmentation, masks)
    _refer(segmentation, source)
    if source.geometry is None:
        _forget_places(segmentation, _measures(volume))
    segmentation.CodingSchemeIdentificationSequence = [coding_scheme()]
    segmentation.BodyPartExamined = "EYE"
    segmentation.Laterality = "" if volume.eye is None else LETTERS[volume.eye]
    return segmentation


def _measures(volume: PredictedVolume) -> Any:
    """`pixel_measures` with the slice thickness that highdicom wants to read.

    It is the distance of B-scans, or, where that is not known, the width of a column: the beam of an A-scan is round.
    """
    measures = pixel_measures(volume)
    if measures is not None:
        measures.SliceThickness = measures.get("SpacingBetweenSlices") or measures.PixelSpacing[1]
    return measures


def _referred_image(volume: PredictedVolume, source: Source) -> Any:
    """The scans as one image of several frames, which is what highdicom takes: no pixels, made-up places if need be.

    What it stands for, and unknown places, are put right after.
    """
    from pydicom.dataset import Dataset
    from pydicom.uid import generate_uid

    height, width = volume.scans[0].image.shape
    image = Dataset()
    identify(image, volume, source)
    image.SOPClassUID, image.SOPInstanceUID = CAPTURE_CLASS, generate_uid()
    image.SeriesInstanceUID, image.Modality = source.series, "OPT"
    image.SpecificCharacterSet = "ISO_IR 192"
    image.Rows, image.Columns, image.NumberOfFrames = height, width, len(volume.scans)
    measures, geometry = _measures(volume), source.geometry
    if measures is None:
        measures = Dataset()
        measures.PixelSpacing = [1, 1]
    if geometry is None:
        positions = np.array([[0.0, 0.0, place] for place in range(len(volume.scans))])
        geometry = Geometry(generate_uid(), _NO_PLACES.orientation, positions)
    place_frames(image, measures, geometry)
    return image


def _set_back(segmentation: Any, masks: Array) -> None:
    """Frames in the order of the scans, which the frame numbers of their source tell."""
    frames = list(segmentation.PerFrameFunctionalGroupsSequence)

    def place(frame: Any) -> int:
        return int(frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)

    segmentation.PerFrameFunctionalGroupsSequence = sorted(frames, key=place)
    data = masks.tobytes()
    segmentation.PixelData = data + b"\0" * (len(data) % 2)
    assert len({place(frame) for frame in frames}) == len(masks), "a frame for each scan"


def _refer(segmentation: Any, source: Source) -> None:
    """Each frame to the image that it was found in, and the whole to all of them (Common Instance Reference)."""
    from pydicom.dataset import Dataset

    for frame, image in zip(segmentation.PerFrameFunctionalGroupsSequence, source.images, strict=True):
        referred = frame.DerivationImageSequence[0].SourceImageSequence[0]
        referred.ReferencedSOPClassUID, referred.ReferencedSOPInstanceUID = image.sop_class, image.sop_instance
        if image.frame is None:
            del referred.ReferencedFrameNumber
        else:
            referred.ReferencedFrameNumber = image.frame
    instances = []
    for sop_class, sop_instance in dict.fromkeys((image.sop_class, image.sop_instance) for image in source.images):
        instance = Dataset()
        instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = sop_class, sop_instance
        instances.append(instance)
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedInstanceSequence = source.series, instances
    segmentation.ReferencedSeriesSequence = [series]
    if "SourceImageSequence" in segmentation:  # of versions of highdicom that write it: it names what is made up
        del segmentation.SourceImageSequence


def _forget_places(segmentation: Any, measures: Any) -> None:
    """Frames as a stack whose places are not known: nothing of the made-up ones stays."""
    from pydicom.dataset import Dataset
    from pydicom.tag import Tag
    from pydicom.uid import generate_uid

    for keyword in ("FrameOfReferenceUID", "PositionReferenceIndicator", "DimensionOrganizationType"):
        if keyword in segmentation:
            delattr(segmentation, keyword)
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    del shared.PlaneOrientationSequence
    del shared.PixelMeasuresSequence
    if measures is not None:
        shared.PixelMeasuresSequence = [measures]
    organization = generate_uid()
    item = Dataset()
    item.DimensionOrganizationUID = organization
    segmentation.DimensionOrganizationSequence = [item]
    indices = []
    for keyword, label in (("StackID", "Stack"), ("InStackPositionNumber", "Number of the B-scan")):
        index = Dataset()
        index.DimensionIndexPointer, index.FunctionalGroupPointer = Tag(keyword), Tag("FrameContentSequence")
        index.DimensionOrganizationUID, index.DimensionDescriptionLabel = organization, label
        indices.append(index)
    segmentation.DimensionIndexSequence = indices
    for place, frame in enumerate(segmentation.PerFrameFunctionalGroupsSequence, 1):
        del frame.PlanePositionSequence
        content = frame.FrameContentSequence[0]
        content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = "1", place, [1, place]
