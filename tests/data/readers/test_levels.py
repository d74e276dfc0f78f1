from pathlib import Path

import numpy as np
import pytest

from retseg.data.readers.levels import VolumeLevels, check_size, level_factor
from retseg.errors import InputError
from tests.data.readers.drawn_scans import drawn

PLACE = Path("scan")


@pytest.mark.parametrize(
    ("highest", "is_float", "factor"),
    [
        (200, False, 1),
        (255, False, 1),
        (256, False, 255 / 1023),
        (1024, False, 255 / 4095),
        (4095, False, 255 / 4095),
        (4096, False, 255 / 16383),
        (65535, False, 255 / 65535),
        (0.7, True, 255),
        (1.0, True, 255),
        (180.5, True, 1),
        (3000.0, True, 255 / 4095),
    ],
)
def test_factor_from_the_highest_level(highest, is_float, factor):
    assert level_factor(highest, is_float, PLACE) == factor


@pytest.mark.parametrize(
    ("highest", "is_float", "message"),
    [
        (70000, False, "scan: values up to 70000, expected at most 65535; rescale the image"),
        (1.02, True, r"scan: values up to 1\.02, expected 0\.\.1 or 0\.\.255; rescale the image"),
    ],
)
def test_levels_that_no_depth_explains_are_refused(highest, is_float, message):
    with pytest.raises(InputError, match=message):
        level_factor(highest, is_float, PLACE)


def test_one_factor_for_a_volume_found_by_looking_once_at_each():
    volume = np.stack([drawn().astype(np.uint16), drawn().astype(np.uint16) * 20])  # the second alone needs 12 bits
    asked = []

    def raw(number):
        asked.append(number)
        if number == 2:
            raise InputError("damaged")
        return volume[number]

    levels = VolumeLevels(volume.dtype, (0, 1, 2), raw, PLACE)
    for image in volume:
        np.testing.assert_allclose(levels(image, "scan"), image * (255 / 4095), rtol=1e-6)
    assert asked == [0, 1, 2]


def test_eight_bits_stay_as_they_are_and_are_not_looked_at():
    levels = VolumeLevels(np.dtype(np.uint8), (0, 1), lambda number: pytest.fail("read"), PLACE)
    found = levels(drawn(), "scan")
    np.testing.assert_array_equal(found, drawn())
    assert found.dtype == np.uint8


def test_floats_keep_fractions_and_lose_the_type_without():
    def level(image):
        return VolumeLevels(image.dtype, (0,), lambda number: image, PLACE)(image, "scan")

    assert level(drawn() / 200).dtype == np.float32
    np.testing.assert_allclose(level(drawn() / 200), drawn() * (255 / 200), rtol=1e-6)
    assert level(drawn() + 0.5).dtype == np.float32
    assert level(drawn().astype(np.float64)).dtype == np.uint8


def spoilt(row, column, value, dtype=np.float64):
    image = drawn().astype(dtype)
    image[row, column] = value
    return image


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (spoilt(3, 7, np.nan), "scan: nan at row 3, column 7, expected gray levels"),
        (spoilt(0, 2, np.inf), "scan: inf at row 0, column 2, expected gray levels"),
        (spoilt(1, 1, -4, np.int16), r"scan: values -4\.\.199, expected none below 0; rescale the image"),
        (np.full((40, 60), 7, np.uint8), "scan: every pixel is 7, expected an image"),
        (drawn() % 8, r"scan: gray levels 0\.\.7 alone, a mask of class ids\? expected a scan"),
    ],
)
def test_refused_pixels(image, message):
    with pytest.raises(InputError, match=message):
        VolumeLevels(image.dtype, (0,), lambda number: image, PLACE)(image, "scan")


def test_sizes():
    check_size((32, 32), "scan")
    with pytest.raises(InputError, match="scan: 1 rows x 1 columns, expected at least 32 of both; is it a B-scan"):
        check_size((1, 1), "scan")
    with pytest.raises(InputError, match=r"scan: 100000 x 1000 pixels, at most 67,108,864 are read; cut it down"):
        check_size((100_000, 1000), "scan")
