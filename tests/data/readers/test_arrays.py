import zipfile

import numpy as np
import pytest

from retseg.bscan import Spacing
from retseg.errors import InputError
from tests.data.readers.drawn_scans import drawn, line, only, pixels, stacked


def test_npy_of_one_image_and_of_a_volume(tmp_path):
    np.save(tmp_path / "one.npy", drawn())
    assert only(tmp_path).num_bscans == 1
    np.testing.assert_array_equal(pixels(tmp_path).image, drawn())
    (tmp_path / "one.npy").unlink()
    np.save(tmp_path / "many.npy", np.asfortranarray(stacked(4)))
    volume = only(tmp_path)
    assert (volume.name, volume.numbers) == ("many", (0, 1, 2, 3))
    assert volume.notices == ("axes taken as (B-scans, rows, columns)",)
    found = volume.read(2).image
    np.testing.assert_array_equal(found, drawn(2))
    assert type(found) is np.ndarray
    assert found.flags.c_contiguous
    assert found.flags.owndata


def test_float_volumes_by_their_highest_level(tmp_path):
    np.save(tmp_path / "v.npy", stacked(2) / 255)
    volume = only(tmp_path)
    np.testing.assert_allclose(volume.read(1).image, drawn(1), rtol=1e-6)
    assert "multiplied by 255 if the volume's highest is at most 1" in volume.notices[1]


def test_a_damaged_bscan_is_told_by_its_place_and_the_others_are_read(tmp_path):
    volume = stacked(3).astype(np.float32)
    volume[1, 5, 6] = np.nan
    np.save(tmp_path / "v.npy", volume)
    found = only(tmp_path)
    with pytest.raises(InputError, match=r"v\.npy, B-scan 1: nan at row 5, column 6, expected gray levels"):
        found.read(1)
    np.testing.assert_array_equal(found.read(2).image, drawn(2))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_with_one_array_or_one_that_is_named(tmp_path, save):
    save(tmp_path / "a.npz", oct=stacked(2), mask=drawn() % 8, names=np.array(["x"]))
    volume = only(tmp_path)
    np.testing.assert_array_equal(volume.read(1).image, drawn(1))
    np.testing.assert_array_equal(volume.read(0).image, drawn(0))
    save(tmp_path / "a.npz", oct=stacked(2), other=stacked(3))
    assert line(tmp_path) == (
        f"{tmp_path}/a.npz: several arrays that may be scans; it holds oct (2, 40, 60), other (3, 40, 60): name one "
        "with --key"
    )
    assert only(tmp_path, array_key="other").num_bscans == 3
    assert "no array 'third'; it holds oct (2, 40, 60)" in line(tmp_path, array_key="third")


def test_what_evaluate_saved_comes_with_its_scale_and_subject(tmp_path):
    # as retseg.evaluation.store.CaseWriter lays it out
    arrays = {
        "mask": (drawn() % 8).astype(np.int8),
        "surface_rows": np.zeros((8, 60), np.float32),
        "spacing_um": np.array([3.87, np.nan]),
        "spacing_source": np.array("data set"),
        "subject": np.array("s03"),
        "label_origin": np.array("exact"),
    }
    np.savez(tmp_path / "s03_b10.npz", image=drawn(), **arrays)
    volume = only(tmp_path)
    assert (volume.spacing, volume.subject) == (Spacing(3.87, None, "data set"), "s03")
    np.testing.assert_array_equal(volume.read(0).image, drawn())
    np.savez(tmp_path / "s03_b10.npz", **arrays)
    assert "no array of numbers (rows, columns) or with B-scans; it holds label_origin ()" in line(tmp_path)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros(50), r" has the shape (50,), expected (rows, columns) or (B-scans, rows, columns)"),
        (np.zeros((2, 2, 40, 60)), r" has the shape (2, 2, 40, 60), expected"),
        (np.zeros((40, 60), bool), r" is of type kind 'b', expected gray levels (whole or real numbers)"),
        (np.zeros((40, 60), complex), r" is of type kind 'c', expected gray levels"),
        (
            np.zeros((40, 60, 3), np.uint8),
            r" (40, 60, 3) as (B-scans, rows, columns): 60 rows x 3 columns, expected at",
        ),
        (np.array([{}, {}]), r": not a whole .npy array of numbers (ValueError: Array can't be memory-mapped: Python"),
    ],
)
def test_arrays_that_are_no_scans(tmp_path, array, text):
    np.save(tmp_path / "a.npy", array)
    assert line(tmp_path).startswith(f"{tmp_path}/a.npy{text}")


def test_damaged_files(tmp_path):
    np.save(tmp_path / "a.npy", drawn())
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(whole[:1000])
    assert "not a whole .npy array of numbers" in line(tmp_path / "a.npy")
    np.savez_compressed(tmp_path / "b.npz", image=np.random.default_rng(0).integers(0, 255, (200, 210), np.uint8))
    packed = (tmp_path / "b.npz").read_bytes()
    (tmp_path / "b.npz").write_bytes(packed[:600])
    assert "not a whole .npz archive" in line(tmp_path / "b.npz")
    flipped = bytearray(packed)
    flipped[40_000] ^= 0xFF
    (tmp_path / "b.npz").write_bytes(flipped)
    with pytest.raises(InputError, match=r"b\.npz: image is damaged \(.*\); save it again"):
        only(tmp_path / "b.npz").read(0)


def test_a_small_archive_that_declares_much_is_refused(tmp_path):
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000, 4000, 4000), }"
    header += b" " * (117 - len(header)) + b"\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("image.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    assert line(tmp_path).endswith("image declares 16000000000 bytes, expected at most 2147483648; refused")
