"""Topcon's .fda files made by hand; Pillow, asked directly, is the oracle of their pixels. None came from a device."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFile

from retseg.bscan import Spacing
from retseg.data.readers.find import find_scans
from retseg.data.readers.vendor import open_vendor
from retseg.errors import InputError
from tests.data.readers.fda_made import SCANNED, chunk, deep, encoded, fda_bytes, pictures

IMAGES = (np.arange(3 * 40 * 60).reshape(3, 40, 60) * 7919 % 251).astype(np.uint8)


def written(folder: Path, content: bytes) -> Path:
    (folder / "scan.fda").write_bytes(content)
    return folder / "scan.fda"


def test_pictures_size_and_distance(tmp_path: Path) -> None:
    (volume,) = open_vendor(written(tmp_path, fda_bytes(pictures(IMAGES))))
    assert (volume.numbers, volume.num_bscans, volume.eye) == ((0, 1, 2), 3, None)
    assert volume.spacing == Spacing(2.6, 100.0, "Topcon .fda file")  # 6 mm / 60 columns
    assert volume.distance is not None
    assert volume.distance.um == 1500.0  # 4.5 mm / 3 B-scans
    for number, image in enumerate(IMAGES):
        assert np.array_equal(volume.read(number).image, image)  # JPEG 2000 as Pillow writes it loses nothing


def test_sixteen_bits_have_one_rule_for_the_volume(tmp_path: Path) -> None:
    images = IMAGES.astype(np.uint16) * 257
    (volume,) = open_vendor(written(tmp_path, fda_bytes(deep(images))))
    np.testing.assert_allclose(volume.read(1).image, IMAGES[1], rtol=1e-6)
    assert any("more than 8 bits" in line for line in volume.notices)


def test_without_a_stated_size_nothing_is_guessed(tmp_path: Path) -> None:
    whole = fda_bytes(pictures(IMAGES[:1], "JPEG"))
    for sizes in (b"", struct.pack("<III5dBB", 0, 0, 0, np.nan, -1.0, 0.0, 0.0, 0.0, 0, 0)):
        known, unknown = chunk(b"@PARAM_SCAN_04", SCANNED), chunk(b"@PARAM_SCAN_04", sizes)
        (volume,) = open_vendor(written(tmp_path, whole.replace(known, unknown)))
        assert (volume.spacing, volume.distance) == (Spacing(), None)


def test_an_older_chunk_states_the_size(tmp_path: Path) -> None:
    old = chunk(b"@PARAM_SCAN_02", bytes(21) + struct.pack("<ddd", 3.0, 4.5, 3.5) + bytes(33))
    whole = fda_bytes(pictures(IMAGES)).replace(chunk(b"@PARAM_SCAN_04", SCANNED), old)
    (volume,) = open_vendor(written(tmp_path, whole))
    assert volume.spacing == Spacing(3.5, 50.0, "Topcon .fda file")


def header(width: int, height: int, num_bscans: int) -> bytes:
    return struct.pack("<BIIIIII", 2, 0, 0, width, height, num_bscans, 0)


def one_picture(content: bytes, width: int = 60, height: int = 40) -> bytes:
    return chunk(b"@IMG_JPEG", header(width, height, 1) + struct.pack("<I", len(content)) + content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no such file at all", r"no Topcon \.fda file: it does not begin with FOCT; export it again"),
        (fda_bytes(), r"a Topcon \.fda file without B-scans \(neither @IMG_JPEG nor @IMG_MOT_COMP_03\)"),
        (fda_bytes(pictures(IMAGES))[:3000], r"damaged Topcon .*the chunk at byte 29 is longer than the file"),
        (fda_bytes(chunk(b"@IMG_JPEG", header(60, 40, 2**32 - 1))), r"4294967295 B-scans, expected 1 to 4096"),
        (fda_bytes(chunk(b"@IMG_JPEG", header(60, 40, 3))), r"cut off at byte 54"),
        (fda_bytes(chunk(b"@IMG_JPEG", b"x")), r"cut off at byte 38"),
        (fda_bytes(chunk(b"@IMG_JPEG", header(60, 40, 1) + struct.pack("<I", 9))), r"B-scan 1 of 1 is cut off"),
        (fda_bytes(pictures(IMAGES), pictures(IMAGES)), r"two chunks @IMG_JPEG"),
        (fda_bytes(*[chunk(b"@%d" % number, b"") for number in range(5000)]), r"more than 4096 chunks"),
        (fda_bytes(chunk(b"@IMG_MOT_COMP_03", deep(IMAGES)[21:-2])), r"3 B-scans of 40 x 60 pixels in 14420 bytes"),
        (fda_bytes(one_picture(encoded(IMAGES[0]), height=41)), r"1 states \(40, 60\) pixels, its header \(41, 60\)"),
        (fda_bytes(one_picture(encoded(IMAGES[0], "PNG"))), r"B-scan 1 states no pixels, its header \(40, 60\)"),
        (fda_bytes(one_picture(encoded(IMAGES[0])[:300])), r"damaged Topcon \.fda file \(B-scan 1: "),
        (fda_bytes(one_picture(encoded(IMAGES[0]), width=20000, height=20000)), r"20000 x 20000 pixels, at most"),
        (fda_bytes(pictures(IMAGES[:, :20])), r"20 rows x 60 columns, expected at least 32 of both"),
    ],
)  # fmt: skip
def test_damage_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        open_vendor(written(tmp_path, content))
    assert str(tmp_path / "scan.fda") in str(caught.value)


def test_colours_are_refused(tmp_path: Path) -> None:
    picture = encoded(np.repeat(IMAGES[0][..., None], 3, axis=2))
    (failure,) = find_scans([written(tmp_path, fda_bytes(one_picture(picture)))]).failures
    assert failure[1].endswith("B-scan 1 has pixels (40, 60, 3), expected gray ones (40, 60); export it again")


def test_a_picture_of_another_format_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow would hand EPS to Ghostscript, whatever else its first bytes hold."""
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 60 40\n%%EndComments\n" + encoded(IMAGES[0])
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail(f"{self.format} was opened"))
    with pytest.raises(InputError, match=r"damaged Topcon \.fda file \(B-scan 1 is neither JPEG 2000 nor JPEG\)"):
        open_vendor(written(tmp_path, fda_bytes(one_picture(eps))))


def test_it_shrinks_between_opening_and_reading(tmp_path: Path) -> None:
    path = written(tmp_path, fda_bytes(pictures(IMAGES)))
    (volume,) = open_vendor(path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match=r"B-scan 3 is cut off"):
        volume.read(2)
