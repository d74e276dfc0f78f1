"""Hand-made files of devices; eyepy, asked directly, is the oracle of their pixels. No file here came from a device."""

import logging
import struct
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retseg.bscan import Spacing
from retseg.data.readers.vendor import open_vendor
from retseg.data.readers.vendor_eyepy import heard
from retseg.errors import InputError
from tests.data.readers.vendor_made import MISSING, e2e_bytes, raster, reflectances, vol_bytes, write_xml


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        open_vendor(path)
    line = str(caught.value)
    assert "\n" not in line
    assert str(path) in line
    return line


def test_vol(tmp_path: Path) -> None:
    from eyepy.io.he import HeVolReader

    data = reflectances(3)
    path = written(tmp_path / "scan.vol", vol_bytes(data, raster(3)))
    (volume,) = open_vendor(path)
    assert (volume.name, volume.numbers, volume.num_bscans) == ("scan", (0, 1, 2), 3)
    assert (volume.spacing.axial_um, volume.spacing.lateral_um) == pytest.approx((3.9, 12))
    assert volume.spacing.source == "Heidelberg .vol header"
    assert volume.distance is not None
    assert volume.distance.um == pytest.approx(120)
    assert (volume.eye, volume.first_bscan, volume.subject, volume.is_raster) == ("OD", "inferior", "P7", True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = HeVolReader(path).volume.data
    for number in (2, 0, 1, 2):
        image = volume.read(number).image
        assert image.dtype == np.uint8
        assert np.array_equal(image, expected[number])


def test_vol_gray_levels_by_hand(tmp_path: Path) -> None:
    data = reflectances(1)
    data[0, 5, :4] = 1.0, 0.0, 0.1, MISSING
    (volume,) = open_vendor(written(tmp_path / "scan.vol", vol_bytes(data, raster(1), pattern=1)))
    # 255 (ln(x + 2.44e-4) + 8.3) / 8.285: 1 is above 1, 0 is below 0, 0.1 is 255 * 0.7242.
    assert volume.read(0).image[5, :4].tolist() == [255, 0, 185, 0]
    assert volume.distance is None


def test_vol_in_several_threads(tmp_path: Path) -> None:
    (volume,) = open_vendor(written(tmp_path / "scan.vol", vol_bytes(reflectances(4), raster(4))))
    alone = [volume.read(number).image for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for number, scan in zip([3, 1, 0, 2] * 3, pool.map(volume.read, [3, 1, 0, 2] * 3), strict=True):
            assert np.array_equal(scan.image, alone[number])


@pytest.mark.parametrize(("pattern", "words"), [(2, "along a circle"), (5, "as a star")])
def test_vol_that_is_no_raster(tmp_path: Path, pattern: int, words: str) -> None:
    path = written(tmp_path / "scan.vol", vol_bytes(reflectances(2), raster(2), pattern=pattern))
    (volume,) = open_vendor(path)
    assert not volume.is_raster
    assert volume.distance is None
    assert words in volume.notices[0]
    assert volume.read(1).image.shape == (40, 60)


def test_vol_whose_places_are_a_star(tmp_path: Path) -> None:
    star = [(1.0, 3.0, 5.0, 3.0), (3.0, 1.0, 3.0, 5.0)]
    (volume,) = open_vendor(written(tmp_path / "scan.vol", vol_bytes(reflectances(2), star, pattern=0)))
    assert not volume.is_raster


def test_vol_without_names(tmp_path: Path) -> None:
    (volume,) = open_vendor(
        written(tmp_path / "s.vol", vol_bytes(reflectances(1), raster(1), eye=b"", patient=b"unknown"))
    )
    assert (volume.eye, volume.subject) == (None, None)


def test_damaged_vol_is_one_line(tmp_path: Path) -> None:
    whole = vol_bytes(reflectances(2), raster(2))
    path = tmp_path / "scan.vol"
    for length in (0, 3, 700, 2047, 2100, 2700, len(whole) - 1):
        assert "damaged Heidelberg .vol file" in refused(written(path, whole[:length]))
    assert "damaged" in refused(written(path, b"<html>not found</html>" * 200))
    for place in (12, 16, 20, 48, 52):  # columns, B-scans, rows, size of the infrared picture: all bits set
        refused(written(path, whole[:place] + b"\xff" * 4 + whole[place + 4 :]))
    refused(written(path, whole[:16] + bytes(4) + whole[20:]))  # no B-scans


def test_xml(tmp_path: Path) -> None:
    from eyepy.io.he import HeXmlReader

    images = np.random.default_rng(4).integers(0, 256, (3, 40, 60)).astype(np.uint8)
    path = write_xml(tmp_path, images, raster(3, step_mm=0.25))
    (volume,) = open_vendor(path)
    assert (volume.spacing.axial_um, volume.spacing.lateral_um) == pytest.approx((3.9, 12))
    assert volume.distance is not None
    assert volume.distance.um == pytest.approx(250)
    assert "places" in volume.distance.source
    assert (volume.eye, volume.first_bscan, volume.subject) == ("OS", "inferior", "P7")
    assert "Doe" not in repr(volume)
    expected = HeXmlReader(path).volume.data
    for number in (2, 0, 1):
        assert np.array_equal(volume.read(number).image, images[number])
        assert np.array_equal(volume.read(number).image, expected[number])


def test_xml_of_one_bscan_and_no_eye(tmp_path: Path) -> None:
    images = np.random.default_rng(4).integers(0, 256, (1, 40, 60)).astype(np.uint8)
    (volume,) = open_vendor(write_xml(tmp_path, images, raster(1), eye="B"))
    assert (volume.num_bscans, volume.distance, volume.eye) == (1, None, None)


def test_xml_without_its_pictures_or_with_ones_elsewhere(tmp_path: Path) -> None:
    images = np.random.default_rng(4).integers(0, 256, (2, 40, 60)).astype(np.uint8)
    path = write_xml(tmp_path, images, raster(2))
    whole = path.read_text()
    (tmp_path / "B1.tif").unlink()
    assert "B1.tif is not beside it" in refused(path)
    (tmp_path / "below").mkdir()
    inner = tmp_path / "below" / "scan.xml"
    inner.write_text(whole.replace("B1.tif", "../B0.tif"))
    Image.fromarray(images[0]).save(tmp_path / "below" / "B0.tif")
    assert "not beside it" in refused(inner)
    path.write_text(whole.replace("<Type>OCT</Type>", "<Type>ANGIO</Type>"))
    assert "without B-scans" in refused(path)
    path.write_text(whole[:500])
    assert "damaged Heidelberg .xml export" in refused(path)


def stored(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(55000, 64000, (40, 60)).astype(np.uint16)


def test_e2e_all_series(tmp_path: Path) -> None:
    from eyepy.core.utils import from_e2e_intensity
    from eyepy.io.he import HeE2eReader

    below, above, single = stored(0), stored(1), stored(2)
    content = e2e_bytes({5: [(1, above, (-2, 1, 2, 1)), (0, below, (-2, 2, 2, 2))], 7: [(0, single, (-2, 0, 2, 0))]})
    path = written(tmp_path / "scan.e2e", content)
    two, one = open_vendor(path)
    assert (two.name, two.num_bscans, one.name, one.num_bscans) == ("scan_5", 2, "scan_7", 1)
    assert two.spacing.axial_um == pytest.approx(3.9)
    assert (two.spacing.lateral_um, two.distance) == (None, None)
    assert (two.eye, two.first_bscan, two.subject) == ("OS", "inferior", "P7")
    assert "Doe" not in repr(two)
    with HeE2eReader(path) as reader:
        slices = reader.series[0].slices
        expected = [from_e2e_intensity(slices[place].get_bscan()) for place in (2, 0)]  # by aktImage
    for number in (1, 0, 1):
        assert np.array_equal(two.read(number).image, expected[number])
    assert not np.array_equal(expected[0], expected[1])
    # 16-bit float, 6 bits of exponent, 10 bits of mantissa: 61 * 1024 is 2**(61 - 63) = 0.25
    single[4, 7] = 61 * 1024
    (other,) = open_vendor(written(tmp_path / "other.e2e", e2e_bytes({1: [(0, single, (-2, 0, 2, 0))]})))
    assert other.read(0).image[4, 7] == round(255 * (np.log(0.25 + 2.44e-4) + 8.3) / 8.285)


def test_e2e_that_is_no_raster_or_has_no_height(tmp_path: Path) -> None:
    scans = {1: [(0, stored(0), (-2, 1, 2, 1)), (1, stored(1), (-2, 2, 2, 2))]}
    (volume,) = open_vendor(written(tmp_path / "scan.e2e", e2e_bytes(scans, pattern=5, scale_mm=1.0)))
    assert not volume.is_raster
    assert volume.spacing == Spacing()
    assert "which no OCT has" in volume.notices[1]


def test_damaged_e2e_is_one_line_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "scan.e2e"
    whole = e2e_bytes({1: [(0, stored(0), (-2, 1, 2, 1))]})
    for length in (0, 60, 130, 300, 500):
        refused(written(path, whole[:length]))
    refused(written(path, b"<html>not found</html>" * 200))
    last = 88 + 52 + 44 * 3  # directory entries: patient, laterality, meta, image
    back = whole[: last + 4] + struct.pack("<II", 88 - 60, 0) + whole[last + 12 :]
    assert "leads in a circle" in refused(written(path, back))


def test_truncated_pixels_are_one_line_when_read(tmp_path: Path) -> None:
    whole = e2e_bytes({1: [(0, stored(0), (-2, 1, 2, 1))]})
    (volume,) = open_vendor(written(tmp_path / "scan.e2e", whole[:-100]))
    with pytest.raises(InputError, match=r"scan\.e2e: damaged Heidelberg \.e2e file"):
        volume.read(0)


def test_eyepy_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "scan.vol", vol_bytes(reflectances(1), raster(1)))
    for name in ("eyepy", "eyepy.io", "eyepy.io.he"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    assert refused(path).endswith("needs eyepy, which is not installed; pip install 'retseg[vendor]'")


def test_other_files(tmp_path: Path) -> None:
    assert "no known kind" in refused(written(tmp_path / "scan.abc", b"x"))
    assert "no such file" in refused(tmp_path / "scan.vol")


def test_what_the_library_says_is_kept_and_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with heard(Path("scan.vol"), "file") as said:
        warnings.warn("first\nthing", UserWarning, stacklevel=1)
        for _ in range(2):
            logging.getLogger("eyepy.io.he").warning("second %s", "thing")
        logging.getLogger("eyepy").debug("no matter")
    assert said.lines == ["second thing", "first thing"]
    assert capfd.readouterr() == ("", "")
    with (
        pytest.raises(InputError, match=r"^scan\.vol: damaged file \(KeyError: 'x y'\); export it again$"),
        heard(Path("scan.vol"), "file"),
    ):
        raise KeyError("x y")
