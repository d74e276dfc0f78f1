"""Files that pydicom wrote, and its own decoders and windows as oracles."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import (
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from retseg.bscan import Spacing
from retseg.data.readers.dicom import open_dicom
from tests.data.readers.dicom_made import (
    CAPTURE,
    CAPTURES,
    item,
    oct_dataset,
    on_fundus,
    placed_at,
    ramp,
    save,
    shared_groups,
)


def opened(dataset, folder: Path, name: str = "scan.dcm"):
    (volume,) = open_dicom([save(dataset, folder / name)])
    return volume


def test_volume_of_one_file(tmp_path: Path) -> None:
    frames = ramp(3)
    volume = opened(oct_dataset(frames, **shared_groups(), **placed_at(0, 0.12, 0.24)), tmp_path)
    assert (volume.name, volume.numbers, volume.num_bscans) == ("scan", (0, 1, 2), 3)
    assert (volume.spacing.axial_um, volume.spacing.lateral_um) == pytest.approx((4, 12))
    assert volume.spacing.source == "DICOM header"
    assert volume.distance is not None
    assert volume.distance.um == pytest.approx(120)
    assert "positions" in volume.distance.source
    assert (volume.eye, volume.subject, volume.first_bscan) == ("OD", "P007", None)
    assert volume.source_dicom == volume.path == tmp_path / "scan.dcm"
    assert volume.is_raster
    assert volume.notices == ()
    for number in (2, 0, 1):
        image = volume.read(number).image
        assert image.dtype == np.uint8
        assert np.array_equal(image, frames[number])


def test_nothing_of_the_patient_but_the_id(tmp_path: Path) -> None:
    volume = opened(oct_dataset(ramp(1), PatientBirthDate="19500101"), tmp_path)
    assert "Doe" not in repr(volume)
    assert "1950" not in repr(volume)
    assert opened(oct_dataset(ramp(1), PatientID=""), tmp_path).subject is None


def test_unknown_scale_stays_unknown(tmp_path: Path) -> None:
    volume = opened(oct_dataset(ramp(2)), tmp_path)
    assert volume.spacing == Spacing()
    assert volume.distance is None
    assert volume.eye is None


def test_scale_that_differs_between_frames_is_unknown(tmp_path: Path) -> None:
    groups = [item(PixelMeasuresSequence=[item(PixelSpacing=[0.004, lateral])]) for lateral in (0.011, 0.012)]
    volume = opened(oct_dataset(ramp(2), PerFrameFunctionalGroupsSequence=groups), tmp_path)
    assert volume.spacing == Spacing()
    assert volume.notices == ("frames differ in pixel spacing: the scale is taken as unknown",)


@pytest.mark.parametrize(
    ("measures", "um", "words"),
    [
        ({"SpacingBetweenSlices": 0.05, "SliceThickness": 0.02}, 50, "spacing between slices"),
        ({"SliceThickness": 0.02}, 20, "slice thickness"),
    ],
)
def test_distance_as_stated(tmp_path: Path, measures: dict[str, float], um: float, words: str) -> None:
    volume = opened(oct_dataset(ramp(2), **shared_groups(**measures)), tmp_path)
    assert volume.distance is not None
    assert volume.distance.um == pytest.approx(um)
    assert words in volume.distance.source


def test_distance_and_sides_from_the_fundus(tmp_path: Path) -> None:
    # 60 columns of 12 um are 59 * 12 = 708 um from first to last; on the picture 354 px, so 2 um a pixel.
    rows = (300, 250, 200)
    places = on_fundus(*((row, 100, row, 454) for row in rows))
    volume = opened(oct_dataset(ramp(3), **shared_groups(eye="L"), **places), tmp_path)
    assert volume.distance is not None
    assert volume.distance.um == pytest.approx(100)
    assert "fundus" in volume.distance.source
    assert (volume.first_bscan, volume.eye, volume.is_raster) == ("inferior", "OS", True)
    upside_down = on_fundus(*((row, 100, row, 454) for row in reversed(rows)))
    assert opened(oct_dataset(ramp(3), **shared_groups(), **upside_down), tmp_path).first_bscan == "superior"


def test_columns_that_run_downwards_leave_sides_open(tmp_path: Path) -> None:
    places = on_fundus((100, 300, 454, 300), (100, 250, 454, 250))
    volume = opened(oct_dataset(ramp(2), **shared_groups(), **places), tmp_path)
    assert (volume.eye, volume.first_bscan, volume.is_raster) == (None, None, True)
    assert "sides are left open" in volume.notices[0]


def test_radial_scans_are_no_raster(tmp_path: Path) -> None:
    star = on_fundus((300, 100, 300, 500), (100, 300, 500, 300))
    volume = opened(oct_dataset(ramp(2), **shared_groups(SliceThickness=0.02), **star), tmp_path)
    assert not volume.is_raster
    assert volume.distance is None
    circle = oct_dataset(ramp(2), OphthalmicImageOrientation="NONLINEAR", **shared_groups(SliceThickness=0.02))
    assert not opened(circle, tmp_path).is_raster


def test_uneven_places_have_no_distance(tmp_path: Path) -> None:
    volume = opened(oct_dataset(ramp(3), **shared_groups(), **placed_at(0, 0.1, 0.4)), tmp_path)
    assert volume.distance is None
    assert "not evenly spaced" in volume.notices[0]
    volume = opened(oct_dataset(ramp(3), **shared_groups(), **placed_at(0, 0.2, 0.1)), tmp_path)
    assert "not in the order" in volume.notices[0]


def single_files(folder: Path, frames: np.ndarray, numbers: tuple[int, ...], **each: list[object]) -> list[Path]:
    paths = []
    for place, number in enumerate(numbers):
        dataset = oct_dataset(frames[place : place + 1], SeriesInstanceUID="1.2.3", InstanceNumber=number)
        dataset.PixelSpacing = [0.004, 0.012]
        for keyword, values in each.items():
            setattr(dataset, keyword, values[place])
        paths.append(save(dataset, folder / f"IM{place}"))
    return paths


def test_files_of_one_series_by_instance_number(tmp_path: Path) -> None:
    frames = ramp(3)
    (volume,) = open_dicom(single_files(tmp_path, frames, (7, 5, 8), ImageLaterality=["L"] * 3))
    assert (volume.numbers, volume.num_bscans) == ((0, 2, 3), 4)
    assert "gaps are left" in volume.notices[0]
    assert (volume.path, volume.source_dicom) == (tmp_path, tmp_path / "IM1")
    assert volume.eye == "OS"
    assert [np.array_equal(volume.read(n).image, frames[i]) for n, i in ((0, 1), (2, 0), (3, 2))] == [True] * 3


def test_files_of_one_series_by_place(tmp_path: Path) -> None:
    frames = ramp(3)
    positions = [[0, 0, z] for z in (0.2, 0.0, 0.1)]
    paths = single_files(
        tmp_path, frames, (1, 1, 1), ImagePositionPatient=positions, ImageOrientationPatient=[[1, 0, 0, 0, 1, 0]] * 3
    )
    (volume,) = open_dicom(paths)
    assert volume.distance is not None
    assert volume.distance.um == pytest.approx(100)
    assert [np.array_equal(volume.read(n).image, frames[i]) for n, i in ((0, 1), (1, 2), (2, 0))] == [True] * 3


def test_levels_are_one_factor_for_a_series(tmp_path: Path) -> None:
    frames = np.stack([ramp(1, highest=1000)[0], ramp(1, highest=4000)[0]])
    (volume,) = open_dicom(single_files(tmp_path, frames, (1, 2)))
    assert volume.read(0).image == pytest.approx(frames[0] * (255 / 4095), abs=1e-3)  # 12 bits hold 4000


def test_other_series_are_other_volumes(tmp_path: Path) -> None:
    paths = [save(oct_dataset(ramp(1)), tmp_path / f"{number}.dcm") for number in range(2)]
    assert [volume.name for volume in open_dicom(paths)] == ["0", "1"]


def windowed(frames: np.ndarray, **attributes: object):
    return oct_dataset(frames, RescaleSlope=0.5, RescaleIntercept=-20, **attributes)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_window_as_pydicom_applies_it(tmp_path: Path, function: str) -> None:
    dataset = windowed(ramp(1, highest=4095), WindowCenter=900, WindowWidth=1200, VOILUTFunction=function)
    dataset.BitsStored, dataset.HighBit = 12, 11
    values = apply_voi_lut(apply_modality_lut(dataset.pixel_array[None][0], dataset), dataset)
    lowest, highest = -20, 4095 * 0.5 - 20
    expected = (values - lowest) / (highest - lowest) * 255
    assert opened(dataset, tmp_path).read(0).image == pytest.approx(expected, abs=1e-3)


def test_first_of_several_windows_and_of_the_frame(tmp_path: Path) -> None:
    frames = ramp(2, highest=4095)
    windows = [item(FrameVOILUTSequence=[item(WindowCenter=[c, 9], WindowWidth=[1001, 9])]) for c in (500.5, 3000.5)]
    volume = opened(oct_dataset(frames, PerFrameFunctionalGroupsSequence=windows), tmp_path)
    for number, centre in enumerate((500, 3000)):
        expected = np.clip((frames[number].astype(float) - centre) / 1000 + 0.5, 0, 1) * 255
        assert volume.read(number).image == pytest.approx(expected, abs=1e-3)


def test_signed_values_by_the_range_of_their_type(tmp_path: Path) -> None:
    frames = ramp(1, highest=65535).view(np.int16)
    image = opened(oct_dataset(frames), tmp_path).read(0).image
    assert image == pytest.approx((frames[0].astype(float) + 32768) / 65535 * 255, abs=1e-3)


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    frames = ramp(1)
    volume = opened(oct_dataset(frames, PhotometricInterpretation="MONOCHROME1"), tmp_path)
    assert np.array_equal(volume.read(0).image, 255 - frames[0])


def test_colours(tmp_path: Path) -> None:
    gray = np.repeat(ramp(1)[..., None], 3, axis=3)
    dataset = oct_dataset(gray, sop_class=CAPTURE, Modality="OT")
    scan = opened(dataset, tmp_path).read(0)
    assert scan.colour_share == 0
    assert np.array_equal(scan.image, gray[0, ..., 0])
    coloured = gray.copy()
    coloured[0, :10, :, 0], coloured[0, :10, :, 1] = 200, 20
    scan = opened(oct_dataset(coloured, sop_class=CAPTURE, Modality="OT"), tmp_path).read(0)
    assert scan.colour_share == pytest.approx(0.25)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_byte_orders(tmp_path: Path, syntax: str) -> None:
    frames = ramp(2, highest=65535)
    stored = frames.astype(">u2") if syntax == ExplicitVRBigEndian else frames
    dataset = oct_dataset(stored, syntax=syntax)
    image = opened(dataset, tmp_path).read(1).image
    assert image == pytest.approx(frames[1].astype(float) / 257, abs=1e-3)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
@pytest.mark.parametrize("highest", [255, 65535])
def test_compressed_without_loss(tmp_path: Path, syntax: str, highest: int) -> None:
    frames = ramp(3, highest=highest)
    dataset = oct_dataset(frames, sop_class=CAPTURES)
    dataset.compress(syntax, generate_instance_uid=False)
    volume = opened(dataset, tmp_path)
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(volume.read, [2, 0, 1] * 4))
    for number, scan in zip([2, 0, 1] * 4, images, strict=True):
        assert scan.image == pytest.approx(frames[number].astype(float) * (255 / highest), abs=1e-3)


def test_jpeg(tmp_path: Path) -> None:
    smooth = (np.arange(40)[:, None] + np.arange(60)[None] * 2).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(smooth).save(buffer, "JPEG", quality=95)
    dataset = oct_dataset(smooth[None], syntax=JPEGBaseline8Bit)
    dataset.PixelData = encapsulate([buffer.getvalue()])
    image = opened(dataset, tmp_path).read(0).image
    assert np.array_equal(image, np.asarray(Image.open(buffer)))


def test_warnings_of_pydicom_are_notices(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = save(oct_dataset(ramp(1), SeriesInstanceUID="1.2.345678"), tmp_path / "scan.dcm")
    path.write_bytes(path.read_bytes().replace(b"1.2.345678", b"no UID at "))
    (volume,) = open_dicom([path])
    assert len(volume.notices) == 1
    assert volume.notices[0].startswith("Invalid value for VR UI: 'no UID at")
    assert capfd.readouterr() == ("", "")
