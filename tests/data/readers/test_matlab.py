"""Files written by scipy.io (v5) and h5py (v7.3)."""

import threading

import h5py
import numpy as np
import pytest
import scipy.io

import retseg.data.readers.matlab as matlab
from retseg.bscan import Spacing
from retseg.data.sources.duke import DUKE_SPACING
from retseg.errors import InputError
from tests.data.readers.drawn_scans import drawn, line, only, stacked

SCANS = stacked(5).transpose(1, 2, 0).copy()  # (40, 60, 5)
SCANS[:, :, [0, 3]] = 0


def duke_arrays(num_bscans=3):
    """In the official size of a B-scan, the first of them not there."""
    images = np.zeros((496, 768, num_bscans), np.uint8)
    images[:, :, 1:] = (np.arange(496)[:, None, None] + np.arange(768)[:, None] + np.arange(1, num_bscans)) % 251
    return {"images": images, "manualLayers1": np.full((8, 768, num_bscans), np.nan)}


def write_v73(path, arrays):
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            dataset = file.create_dataset(name, data=array.T, compression="gzip")
            dataset.attrs["MATLAB_class"] = np.bytes_("uint8" if array.dtype == np.uint8 else "double")


@pytest.mark.parametrize("version", ["v5", "v7.3"])
def test_a_duke_subject(tmp_path, version):
    path, arrays = tmp_path / "Subject_07.mat", duke_arrays()
    if version == "v5":
        scipy.io.savemat(path, arrays, do_compression=True)
    else:
        write_v73(path, arrays)
    volume = only(tmp_path)
    assert (volume.name, volume.subject, volume.format) == ("Subject_07", "Subject_07", "Duke MATLAB file")
    assert (volume.numbers, volume.num_bscans, volume.scan_name(1)) == ((1, 2), 3, "Subject_07_b001")
    assert (volume.spacing, volume.distance.um, volume.eye) == (DUKE_SPACING, 123.0, None)
    assert "1 of 3 B-scans are zero everywhere and left out" in volume.notices
    for number in volume.numbers:
        np.testing.assert_array_equal(volume.read(number).image, arrays["images"][:, :, number])


def test_any_other_file_has_no_scale_and_says_how_it_was_read(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"images": SCANS, "manualLayers1": np.zeros((8, 60, 5))})
    volume = only(tmp_path)
    assert (volume.numbers, volume.spacing, volume.distance) == ((1, 2, 4), Spacing(), None)
    assert volume.notices[0] == (
        "no file of the Duke set, so no pixel size is known; images taken as (rows, columns, B-scans)"
    )
    np.testing.assert_array_equal(volume.read(4).image, drawn(4))
    scipy.io.savemat(tmp_path / "a.mat", {"one": drawn(2) / 255.0})
    volume = only(tmp_path)
    assert volume.num_bscans == 1
    np.testing.assert_allclose(volume.read(0).image, drawn(2), rtol=1e-6)


def test_the_array_is_read_once_a_volume_and_let_go(tmp_path, monkeypatch):
    scipy.io.savemat(tmp_path / "a.mat", {"images": SCANS})
    reads = []
    monkeypatch.setattr(matlab, "read_variable", lambda path, name: reads.append(name) or SCANS)
    volume = only(tmp_path)
    assert len(reads) == 1  # which B-scans are there
    threads = [threading.Thread(target=volume.read, args=(number,)) for number in volume.numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 2
    volume.read(1)
    assert len(reads) == 3  # it was let go when all had been read


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"a": SCANS, "b": SCANS}, "several arrays that may be scans; it holds a (40, 60, 5), b (40, 60, 5): name one"),
        ({"text": "abc"}, "no array of numbers (rows, columns) or with B-scans; it holds none: name one with --key; "
         "supported are the Duke DME set's Subject_XX.mat, and any array (rows, columns, B-scans)"),
        ({"images": np.zeros((40, 60, 5))}, "images is zero everywhere, expected B-scans; get the file again"),
        ({"images": SCANS[:20]}, "images (20, 60, 5) as (rows, columns, B-scans): 20 rows x 60 columns, expected at"),
        ({"images": SCANS + 1j}, "no array of numbers"),
        ({"images": np.array([[SCANS, SCANS]], object)}, "no array of numbers"),
    ],
)  # fmt: skip
def test_files_that_hold_no_scans_say_what_is_supported(tmp_path, variables, text):
    scipy.io.savemat(tmp_path / "a.mat", variables)
    assert line(tmp_path).startswith(f"{tmp_path}/a.mat: {text}")


def test_damaged_files(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 5), np.uint8)
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"images": noise}, do_compression=True)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "damaged or not a .mat file" in line(tmp_path)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    path.write_bytes(flipped)
    assert "damaged or not a .mat file" in line(tmp_path)
    path.write_bytes(b"plain text, no MATLAB file at all" * 9)
    assert "damaged or not a .mat file" in line(tmp_path)


def test_a_damaged_bscan_is_told_by_its_place(tmp_path):
    values = SCANS.astype(np.float64)
    values[2, 3, 4] = np.inf
    scipy.io.savemat(tmp_path / "a.mat", {"images": values})
    volume = only(tmp_path)
    np.testing.assert_array_equal(volume.read(2).image, drawn(2))
    with pytest.raises(InputError, match=r"a\.mat, B-scan 4: inf at row 2, column 3, expected gray levels"):
        volume.read(4)
