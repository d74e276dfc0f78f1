"""DICOM files that hold no B-scans, or are damaged: one line each, and never anything else."""

import re
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1

from retseg.data.readers.dicom import open_dicom
from retseg.errors import InputError
from tests.data.readers.dicom_made import item, oct_dataset, placed_at, ramp, save, shared_groups


def opened(dataset, folder: Path):
    (volume,) = open_dicom([save(dataset, folder / "scan.dcm")])
    return volume


def refused(paths: list[Path]) -> str:
    with pytest.raises(InputError) as caught:
        open_dicom(paths)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(str(paths[0]))
    return line


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.5.1", "Modality": "OP"}, "Ophthalmic Photography 8 Bit"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.5.7"}, "En Face"),
        (
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.7", "Modality": "SEG"},
            "Label Map Segmentation Storage (modality SEG)",
        ),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT"}, "CT Image Storage (modality CT)"),
        ({"OphthalmicImageOrientation": "TRANSVERSE"}, "seen from the front"),
        ({"Rows": 65535, "Columns": 65535}, "pixels, at most"),
        ({"Rows": 4}, "expected at least 32"),
        ({"NumberOfFrames": 100000}, "cut short"),
        ({"BitsAllocated": 32}, "32 bits a pixel"),
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, "a slope other than 0"),
        ({"WindowCenter": 10, "WindowWidth": 0}, "positive width"),
        ({"ModalityLUTSequence": [item()]}, "through a table"),
    ],
)
def test_refused_in_one_line(tmp_path: Path, attributes: dict[str, object], words: str) -> None:
    assert words in refused([save(oct_dataset(ramp(2), **attributes), tmp_path / "scan.dcm")])


def test_names_of_several_lines_stay_on_one(tmp_path: Path) -> None:
    path = save(oct_dataset(ramp(1), Modality="XYZW", SOPClassUID="1.2.840.10008.5.1.4.1.1.2"), tmp_path / "scan.dcm")
    path.write_bytes(path.read_bytes().replace(b"XYZW", b"C\nT "))
    assert "CT Image Storage (modality C T)" in refused([path])


def test_real_files_of_other_modalities() -> None:
    for name, words in (("CT_small.dcm", "CT Image"), ("MR_small.dcm", "MR Image"), ("rtplan.dcm", "RT Plan")):
        assert words in refused([Path(str(pydicom.data.get_testdata_file(name, download=False)))])


def test_no_pixels(tmp_path: Path) -> None:
    dataset = oct_dataset(ramp(2))
    del dataset.PixelData
    assert "without pixels" in refused([save(dataset, tmp_path / "scan.dcm")])
    del dataset.Rows
    assert "without pixels" in refused([save(dataset, tmp_path / "scan.dcm")])


def test_no_codec(tmp_path: Path) -> None:
    dataset = oct_dataset(ramp(1), syntax=JPEGLosslessSV1)
    dataset.PixelData = encapsulate([b"\xff\xd8 nothing"])
    line = refused([save(dataset, tmp_path / "scan.dcm")])
    assert "no codec for it is installed" in line
    assert "retseg[vendor]" in line


def test_no_dicom_file(tmp_path: Path) -> None:
    path = tmp_path / "scan.dcm"
    path.write_text("<html>not found</html>" * 20)
    assert "no DICOM file" in refused([path])


def test_truncated_anywhere_is_one_line(tmp_path: Path) -> None:
    whole = save(oct_dataset(ramp(2), **shared_groups(), **placed_at(0, 0.1)), tmp_path / "whole.dcm").read_bytes()
    path = tmp_path / "cut.dcm"
    for length in range(140, len(whole), 97):
        path.write_bytes(whole[:length])
        refused([path])


def test_damaged_compressed_frame_is_one_line_when_read(tmp_path: Path) -> None:
    dataset = oct_dataset(ramp(2), syntax=JPEG2000Lossless)
    dataset.PixelData = encapsulate([b"nothing of a picture", b"nothing either"])
    volume = opened(dataset, tmp_path)
    with pytest.raises(InputError, match=re.escape(f"{volume.path}, frame 2: pixels cannot be decoded")):
        volume.read(1)
    dataset.NumberOfFrames = 3
    volume = opened(dataset, tmp_path)
    with pytest.raises(InputError, match="frame 3: pixels cannot be decoded"):
        volume.read(2)


def test_blank_frame_is_one_line_when_read(tmp_path: Path) -> None:
    volume = opened(oct_dataset(np.zeros((1, 40, 60), np.uint8)), tmp_path)
    with pytest.raises(InputError, match=r"every pixel is 0"):
        volume.read(0)
