"""Segmentations read back by pydicom and by highdicom, pixel by pixel, and what they refer to."""

import builtins
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from retseg.anatomy import LAYERS, NUM_SURFACES
from retseg.bscan import Spacing
from retseg.data.readers.dicom import open_dicom
from retseg.errors import InputError
from retseg.geometry.volume_map import BScanDistance
from retseg.inference.dicom_files import write_segmentation
from retseg.inference.predicted import PredictedScan, PredictedVolume
from tests.data.readers.dicom_made import CAPTURE, oct_dataset, on_fundus, placed_at, ramp, save, shared_groups

SCALED = {
    "spacing": Spacing(3.9, 11.3, "file header"),
    "distance": BScanDistance(120, "file header"),
    "eye": "OS",
    "first_bscan": "inferior",
    "subject": "P7",
}


def predicted(
    numbers: tuple[int, ...] = (0, 1, 2), height: int = 40, width: int = 60, **said: object
) -> PredictedVolume:
    """Layers that differ from scan to scan and from column to column; one column without retina."""
    volume = PredictedVolume("eye/s", Path("s.npy"), (), numbers[-1] + 1, Spacing())
    volume = replace(volume, **said)
    scans = []
    for number in numbers:
        waves = np.sin(np.arange(width) / 9 + number)
        rows = np.linspace(6 + number, 30, NUM_SURFACES)[:, None] + waves[None]
        rows[:, 5 + number] = np.nan
        nothing = np.full((NUM_SURFACES, width), np.nan, np.float32)
        image = ramp(number + 1, height, width)[number]
        scans.append(
            PredictedScan(f"s_b{number}", number, image, rows.astype(np.float32), nothing, nothing[0], volume.spacing)
        )
    return replace(volume, scans=tuple(scans))


def masks(volume: PredictedVolume) -> np.ndarray:
    return np.stack([scan.mask for scan in volume.scans])


def checked(volume: PredictedVolume, path: Path) -> pydicom.Dataset:
    """The data set, after pydicom and highdicom have both read the masks out of the file."""
    dataset = pydicom.dcmread(path)
    assert dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.7"
    assert dataset.SegmentationType == "LABELMAP"
    assert np.array_equal(dataset.pixel_array.reshape(masks(volume).shape), masks(volume))
    segmentation, image = hd.seg.segread(path), hd.imread(path)
    for place, mask in enumerate(masks(volume), 1):
        assert np.array_equal(image.get_stored_frame(place), mask)
        assert np.array_equal(segmentation.get_stored_frame(place), mask)
    assert [segment.segment_label for segment in segmentation.SegmentSequence[1:]] == [layer.name for layer in LAYERS]
    assert list(segmentation.segment_numbers) == [layer.id for layer in LAYERS]
    return dataset


def referred(dataset: pydicom.Dataset) -> list[tuple[str, int | None]]:
    """Instance and frame that each frame was found in."""
    found = []
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        image = frame.DerivationImageSequence[0].SourceImageSequence[0]
        found.append((image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber")))
    return found


def test_scans_that_are_no_dicom_get_a_source(tmp_path: Path) -> None:
    volume = predicted(**SCALED)
    notices = write_segmentation(volume, tmp_path / "s.dcm")
    assert len(notices) == 1
    assert notices[0].startswith("s_source.dcm: ")
    dataset, source = checked(volume, tmp_path / "s.dcm"), pydicom.dcmread(tmp_path / "s_source.dcm")
    assert referred(dataset) == [(source.SOPInstanceUID, frame) for frame in (1, 2, 3)]
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "Laterality"):
        assert dataset[keyword].value == source[keyword].value, keyword
    (series,) = dataset.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    assert [one.ReferencedSOPInstanceUID for one in series.ReferencedInstanceSequence] == [source.SOPInstanceUID]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.dcm", "s_source.dcm"]


def test_the_made_source_is_read_back_as_a_scan(tmp_path: Path) -> None:
    volume = predicted(**SCALED)
    write_segmentation(volume, tmp_path / "s.dcm")
    (scans,) = open_dicom([tmp_path / "s_source.dcm"])
    assert (scans.spacing.axial_um, scans.spacing.lateral_um) == pytest.approx((3.9, 11.3))
    assert scans.distance is not None
    assert scans.distance.um == pytest.approx(120)
    assert (scans.eye, scans.subject, scans.num_bscans) == ("OS", "P7", 3)
    for scan in volume.scans:
        assert np.array_equal(scans.read(scan.number).image, scan.image)


@pytest.mark.parametrize(
    ("first_bscan", "heights_mm"), [("inferior", [0, 0.12, 0.36]), ("superior", [0, -0.12, -0.36])]
)
def test_places_in_the_patient(tmp_path: Path, first_bscan: str, heights_mm: list[float]) -> None:
    volume = predicted(numbers=(0, 1, 3), **(SCALED | {"first_bscan": first_bscan}))
    write_segmentation(volume, tmp_path / "s.dcm")
    dataset = checked(volume, tmp_path / "s.dcm")
    (shared,) = dataset.SharedFunctionalGroupsSequence
    assert shared.PixelMeasuresSequence[0].PixelSpacing == pytest.approx([0.0039, 0.0113])
    assert shared.PixelMeasuresSequence[0].SpacingBetweenSlices == pytest.approx(0.12)
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    places = [frame.PlanePositionSequence[0].ImagePositionPatient for frame in dataset.PerFrameFunctionalGroupsSequence]
    assert [place[2] for place in places] == pytest.approx(heights_mm)
    assert [place[0] for place in places] == pytest.approx([-59 / 2 * 0.0113] * 3)


def test_a_volume_that_highdicom_puts_together(tmp_path: Path) -> None:
    volume = predicted(**SCALED)
    write_segmentation(volume, tmp_path / "s.dcm")
    array = hd.seg.segread(tmp_path / "s.dcm").get_volume(combine_segments=True)
    assert array.spacing == pytest.approx((0.12, 0.0039, 0.0113))
    assert array.affine[2, 3] == pytest.approx(0.24)  # it begins at the head, the scans with the inferior one
    assert np.array_equal(array.array, masks(volume)[::-1])


def test_unknown_places_stay_unknown(tmp_path: Path) -> None:
    volume = predicted()
    notices = write_segmentation(volume, tmp_path / "s.dcm")
    assert "without pixel spacing" in notices[1]
    dataset, source = checked(volume, tmp_path / "s.dcm"), pydicom.dcmread(tmp_path / "s_source.dcm")
    for keyword in ("FrameOfReferenceUID", "PixelSpacing", "ImagePositionPatient", "SliceThickness"):
        for one in (dataset, source):
            assert not any(element.keyword == keyword for element in one.iterall()), keyword
    assert [
        frame.FrameContentSequence[0].InStackPositionNumber for frame in dataset.PerFrameFunctionalGroupsSequence
    ] == [*(1, 2, 3)]
    assert (dataset.PatientID, dataset.Laterality) == ("unknown", "")


def test_known_scale_without_known_order_has_no_places(tmp_path: Path) -> None:
    volume = predicted(**(SCALED | {"first_bscan": None}))
    assert len(write_segmentation(volume, tmp_path / "s.dcm")) == 1
    dataset = checked(volume, tmp_path / "s.dcm")
    assert "FrameOfReferenceUID" not in dataset
    measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert measures.PixelSpacing == pytest.approx([0.0039, 0.0113])
    (scans,) = open_dicom([tmp_path / "s_source.dcm"])
    assert (scans.spacing.axial_um, scans.spacing.lateral_um) == pytest.approx((3.9, 11.3))


def test_single_picture_of_half_known_scale(tmp_path: Path) -> None:
    volume = predicted(numbers=(0,), height=33, width=35, spacing=Spacing(3.9, None, "user"))
    assert "without pixel spacing" in write_segmentation(volume, tmp_path / "s.dcm")[1]
    assert "PixelMeasuresSequence" not in checked(volume, tmp_path / "s.dcm").SharedFunctionalGroupsSequence[0]


def of_dicom(path: Path, **said: object) -> PredictedVolume:
    """What a prediction of a DICOM file carries, as its reader gives it."""
    (scans,) = open_dicom([path] if path.is_file() else sorted(path.glob("IM*")))
    kept = ("spacing", "distance", "is_raster", "eye", "first_bscan", "subject", "source_dicom")
    return predicted(numbers=scans.numbers, **{name: getattr(scans, name) for name in kept} | said)


def test_it_refers_to_the_scans_own_file(tmp_path: Path) -> None:
    scan = oct_dataset(
        ramp(3), FrameOfReferenceUID="1.2.9", StudyDate="20200102", **shared_groups(), **placed_at(0.3, 0.2, 0.1)
    )
    source = pydicom.dcmread(save(scan, tmp_path / "scan.dcm"))
    volume = of_dicom(tmp_path / "scan.dcm")
    assert write_segmentation(volume, tmp_path / "s.dcm") == ()
    dataset = checked(volume, tmp_path / "s.dcm")
    assert referred(dataset) == [(source.SOPInstanceUID, frame) for frame in (1, 2, 3)]
    for keyword in ("StudyInstanceUID", "StudyDate", "FrameOfReferenceUID", "PatientID"):
        assert dataset[keyword].value == source[keyword].value, keyword
    places = [
        frame.PlanePositionSequence[0].ImagePositionPatient[2] for frame in dataset.PerFrameFunctionalGroupsSequence
    ]
    assert places == pytest.approx([0.3, 0.2, 0.1])
    assert dataset.SeriesInstanceUID != source.SeriesInstanceUID
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.dcm", "scan.dcm"]


def test_some_frames_of_a_file_without_places(tmp_path: Path) -> None:
    fundus = on_fundus(*((row, 100, row, 454) for row in (300, 250, 200, 150)))
    save(oct_dataset(ramp(4), **shared_groups(), **fundus), tmp_path / "scan.dcm")
    volume = of_dicom(tmp_path / "scan.dcm")
    volume = replace(volume, scans=(volume.scans[1], volume.scans[3]))
    write_segmentation(volume, tmp_path / "s.dcm")
    dataset = checked(volume, tmp_path / "s.dcm")
    assert [frame for _, frame in referred(dataset)] == [2, 4]
    assert "FrameOfReferenceUID" not in dataset


def test_the_users_scale_takes_the_place_of_the_files(tmp_path: Path) -> None:
    scan = oct_dataset(ramp(2), FrameOfReferenceUID="1.2.9", **shared_groups(), **placed_at(0.1, 0.2))
    save(scan, tmp_path / "scan.dcm")
    volume = of_dicom(tmp_path / "scan.dcm", spacing=Spacing(5, 10, "user"))
    write_segmentation(volume, tmp_path / "s.dcm")
    dataset = checked(volume, tmp_path / "s.dcm")
    assert dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing == pytest.approx(
        [0.005, 0.01]
    )
    assert "FrameOfReferenceUID" not in dataset  # places by another scale would contradict it


def test_a_file_for_each_scan(tmp_path: Path) -> None:
    instances = []
    for place, number in enumerate((3, 1, 2)):
        scan = oct_dataset(
            ramp(3)[number - 1 : number], sop_class=CAPTURE, SeriesInstanceUID="1.2.3", InstanceNumber=number
        )
        del scan.NumberOfFrames
        save(scan, tmp_path / f"IM{place}")
        instances.append(scan.SOPInstanceUID)
    save(oct_dataset(ramp(1)), tmp_path / "IM9")  # of another series
    (tmp_path / "notes.txt").write_text("no DICOM")
    (scans, _) = open_dicom(sorted(tmp_path.glob("IM*")))
    volume = predicted(numbers=scans.numbers, source_dicom=scans.source_dicom)
    write_segmentation(volume, tmp_path / "s.dcm")
    dataset = checked(volume, tmp_path / "s.dcm")
    assert referred(dataset) == [(instances[1], None), (instances[2], None), (instances[0], None)]
    assert len(dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 3


def test_nothing_of_a_person_but_the_pseudonym(tmp_path: Path) -> None:
    person = {"PatientBirthDate": "19500101", "PatientSex": "F", "OtherPatientIDs": "4711", "AccessionNumber": "A4711"}
    person |= {"ReferringPhysicianName": "House", "StudyDescription": "Doe, Jane", "InstitutionName": "Princeton"}
    save(oct_dataset(ramp(2), **person), tmp_path / "scan.dcm")
    write_segmentation(of_dicom(tmp_path / "scan.dcm"), tmp_path / "s.dcm")
    written = (tmp_path / "s.dcm").read_bytes()
    assert b"P007" in written
    for word in (b"Doe", b"Jane", b"1950", b"4711", b"House", b"Princeton"):
        assert word not in written


def test_codes(tmp_path: Path) -> None:
    write_segmentation(predicted(), tmp_path / "s.dcm")
    dataset = pydicom.dcmread(tmp_path / "s.dcm")
    segments = dataset.SegmentSequence[1:]
    codes = [segment.SegmentedPropertyTypeCodeSequence[0] for segment in segments]
    assert [(code.CodingSchemeDesignator, code.CodeValue) for code in codes] == [
        ("SCT", "45950005"),
        *(("99RETSEG", layer.name) for layer in LAYERS[1:]),
    ]
    assert dataset.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99RETSEG"
    for segment, layer in zip(segments, LAYERS, strict=True):
        (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
        assert algorithm.AlgorithmName == "retseg"
        colour = hd.color.CIELabColor.from_dicom_value(segment.RecommendedDisplayCIELabValue).to_rgb()
        assert colour == pytest.approx(layer.colour, abs=2)


def test_other_file_in_place_of_the_source(tmp_path: Path) -> None:
    save(oct_dataset(ramp(3)), tmp_path / "scan.dcm")
    volume = of_dicom(tmp_path / "scan.dcm")
    save(oct_dataset(ramp(2)), tmp_path / "scan.dcm")
    with pytest.raises(InputError, match=r"scan\.dcm: no B-scan 3 of 40 x 60 pixels"):
        write_segmentation(volume, tmp_path / "s.dcm")
    (tmp_path / "scan.dcm").unlink()
    with pytest.raises(InputError, match=r"scan\.dcm: "):
        write_segmentation(volume, tmp_path / "s.dcm")
    assert list(tmp_path.iterdir()) == []


def test_scans_of_two_sizes(tmp_path: Path) -> None:
    volume = predicted()
    other = predicted(numbers=(3,), width=61)
    with pytest.raises(InputError, match=r"s\.dcm: 2 sizes of scans in one volume"):
        write_segmentation(replace(volume, scans=(*volume.scans, *other.scans)), tmp_path / "s.dcm")


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_segmentation(predicted(), tmp_path / "missing" / "s.dcm")

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pydicom.Dataset, "save_as", full_disk)
    with pytest.raises(InputError, match="No space left"):
        write_segmentation(predicted(), tmp_path / "s.dcm")
    assert list(tmp_path.iterdir()) == []


def test_highdicom_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true_import = builtins.__import__

    def blocking(name: str, *rest: object, **named: object) -> object:
        if name.partition(".")[0] == "highdicom":
            raise ModuleNotFoundError("No module named 'highdicom'", name="highdicom")
        return true_import(name, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", blocking)
    with pytest.raises(
        InputError, match=r"s\.dcm: DICOM needs highdicom, not installed; pip install 'retseg\[vendor\]'"
    ):
        write_segmentation(predicted(), tmp_path / "s.dcm")
