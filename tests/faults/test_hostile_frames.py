"""Compressed DICOM frames that state another size than their header: refused before a codec sets memory aside."""

import io
import struct
import time
from pathlib import Path

import pytest
from PIL import Image
from pydicom.encaps import encapsulate

from retseg.data.readers.dicom_frames import stated_shape
from retseg.errors import InputError
from tests.data.readers.dicom_made import oct_dataset, ramp, save
from tests.data.readers.drawn_scans import only

JPEG, JPEG_2000, JPEG_LS = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80"


def compressed(syntax: str) -> bytes:
    """A frame of 40 rows and 60 columns, encapsulated."""
    if syntax == JPEG:
        file = io.BytesIO()
        Image.fromarray(ramp(1)[0]).save(file, "JPEG")
        return encapsulate([file.getvalue()])
    dataset = oct_dataset(ramp(1))
    dataset.compress(syntax, generate_instance_uid=False)
    return dataset.PixelData


def made_of(content: bytes, syntax: str, path: Path) -> Path:
    dataset = oct_dataset(ramp(1), syntax=syntax)
    dataset.PixelData = content
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return save(dataset, path)


@pytest.mark.parametrize(
    ("syntax", "marker", "skip", "size"),
    [
        (JPEG, b"\xff\xc0", 5, struct.pack(">HH", 65000, 65000)),
        (JPEG_LS, b"\xff\xf7", 5, struct.pack(">HH", 65000, 65000)),
        (JPEG_2000, b"\xff\x51", 6, struct.pack(">II", 65000, 65000)),
    ],
)
def test_frame_that_states_another_size_than_its_header(tmp_path, syntax, marker, skip, size):
    content = compressed(syntax)
    assert only(made_of(content, syntax, tmp_path / "whole.dcm")).read(0).image.shape == (40, 60)
    at = content.index(marker) + skip
    path = made_of(content[:at] + size + content[at + len(size) :], syntax, tmp_path / "a.dcm")
    start = time.process_time()
    with pytest.raises(InputError) as caught:
        only(path).read(0)
    said = "a compressed frame of (65000, 65000), its header says (40, 60); get it again"
    assert str(caught.value) == f"{path}: {said}"
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "frame", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8" + b"\xff" * 50, b"\xff\x4f\xff\x51\0", b"none"]
)
def test_frames_that_state_nothing(frame):
    assert stated_shape(frame) is None
