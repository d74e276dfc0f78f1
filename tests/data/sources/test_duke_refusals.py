"""Duke folders, files and options that cannot be read, or had better not be: each refused in one line."""

import h5py
import numpy as np
import pytest

from retseg.bscan import ScanKey
from retseg.data.sources import mat
from retseg.data.sources.duke import DukeSource
from retseg.errors import InputError
from tests.data.sources.conftest import duke_refusal


def test_missing_folder_names_the_ways_on(tmp_path):
    line = duke_refusal(tmp_path / "not here")
    for part in (f"{tmp_path / 'not here'}: no such folder", "Chiu_BOE_2014_dataset.htm", "data.download=true"):
        assert part in line
    assert "data=phantom" in line


def test_folder_without_subjects(tmp_path, duke_files):
    (tmp_path / "Subject_1.mat").touch()
    (tmp_path / "scan.mat").touch()
    assert duke_refusal(tmp_path).startswith(f"{tmp_path}: no Subject_XX.mat here; get the files from")
    (tmp_path / "2015_BOE_Chiu").mkdir()
    duke_files.write(tmp_path / "2015_BOE_Chiu")
    assert f"use data.root={tmp_path / '2015_BOE_Chiu'}" in duke_refusal(tmp_path)


def test_file_given_as_folder(tmp_path, duke_files):
    assert "cannot be listed as a folder" in duke_refusal(duke_files.write(tmp_path))


@pytest.mark.parametrize("graders", [(), (0,), (1, 3)])
def test_graders_that_nobody_is(tmp_path, duke_files, graders):
    duke_files.write(tmp_path)
    assert "the files hold graders 1 and 2; use data.source.graders=[1,2]" in duke_refusal(tmp_path, graders=graders)


def test_unknown_key(tmp_path, duke_files):
    duke_files.write(tmp_path)
    with pytest.raises(InputError, match="no annotated B-scan s01_b03_g1; the first is s01_b02_g1"):
        DukeSource(tmp_path).read(ScanKey(1, "s01", 3))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty \\(0 bytes\\)"),
        (b"\n<!DOCTYPE html><html>no such page</html>" + b" " * 600, "an HTML page saved as .mat"),
        (b"these are my notes on the scans" * 20, "damaged or not a .mat file"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 600, "not a whole HDF5 file"),
    ],
)
def test_files_that_are_no_mat_file(tmp_path, content, said):
    path = tmp_path / "Subject_01.mat"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}: .*{said}"):
        DukeSource(tmp_path)


def test_broken_link_and_folder_in_place_of_a_file(tmp_path):
    path = tmp_path / "Subject_01.mat"
    path.symlink_to(tmp_path / "gone.mat")
    assert f"{path}: cannot be read" in duke_refusal(tmp_path)
    path.unlink()
    path.mkdir()
    assert f"{path}: cannot be read" in duke_refusal(tmp_path)


@pytest.mark.parametrize("version", ["v5", "v7.3"])
def test_truncated_file(tmp_path, duke_files, version):
    path = duke_files.write(tmp_path) if version == "v5" else duke_files.write_v73(tmp_path)
    path.write_bytes(path.read_bytes()[:-400])
    assert duke_refusal(tmp_path).startswith(f"{path}: ")


def test_flipped_bit_in_the_pixels(tmp_path, duke_files):
    path = duke_files.write(tmp_path)
    content = bytearray(path.read_bytes())
    content[3000] ^= 1  # inside the compressed images, which come first
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}: damaged or not a .mat file .*decompressing.*; download it again$"):
        DukeSource(tmp_path).read(ScanKey(1, "s01", 2))


def _cells() -> np.ndarray:
    cells = np.empty((24, 40), object)
    cells[:] = 1.0
    return cells


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"manualLayers2": None},
            "no variable manualLayers2, it holds images, manualFluid1, manualFluid2, manualLayers1",
        ),
        ({"images": _cells()}, "images is of class cell, expected a numeric array"),
        ({"images": {"pixels": 1.0}}, "images is of class struct"),
        ({"images": np.ones((24, 40))}, "images has the shape \\(24, 40\\), expected 3 axes"),
        ({"images": np.ones((24, 0, 7))}, "images has the shape \\(24, 0, 7\\), expected 3 axes, none of them empty"),
        ({"manualLayers1": np.ones((8, 40, 7), complex)}, "manualLayers1 is of class complex double, expected"),
        (
            {"manualLayers1": np.ones((8, 41, 7))},
            "manualLayers1 has the shape \\(8, 41, 7\\), images \\(24, 40, 7\\); expected \\(8, 40, 7\\)",
        ),
        (
            {"manualLayers1": np.ones((9, 40, 7))},
            "manualLayers1 has the shape \\(9, 40, 7\\).*expected \\(8, 40, 7\\) surface rows",
        ),
        ({"manualFluid1": np.ones((24, 40, 6))}, "manualFluid1 has the shape \\(24, 40, 6\\), images \\(24, 40, 7\\)"),
    ],
)
def test_variables_of_a_wrong_kind_or_shape(tmp_path, duke_files, changes, said):
    path = duke_files.write(tmp_path, **changes)
    with pytest.raises(InputError, match=f"^{path}: {said}"):
        DukeSource(tmp_path)


def test_infinite_row(tmp_path, duke_files):
    layers = duke_files.arrays()["manualLayers1"]
    layers[7, 9, 4] = np.inf
    path = duke_files.write(tmp_path, manualLayers1=layers)
    assert duke_refusal(tmp_path).startswith(f"{path}, manualLayers1, B-scan 4, BM, column 9: infinite row")


def test_nobody_annotated_anything(tmp_path, duke_files):
    nothing = np.full((8, 40, 7), np.nan)
    duke_files.write(tmp_path, manualLayers1=nothing, manualLayers2=nothing)
    assert "no B-scan has 1 annotated columns" in duke_refusal(tmp_path)


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.nan, "nan at row 3, column 4, expected gray levels 0..255"),
        (256.0, "values 0.0..256.0, expected gray levels 0..255; rescale"),
        (-1.0, "values -1.0..255.0"),
    ],
)
def test_one_wrong_pixel_of_an_annotated_scan(tmp_path, duke_files, pixels, said):
    images = duke_files.arrays()["images"].astype(np.float64)
    images[3, 4, 2] = pixels
    path = duke_files.write(tmp_path, images=images)
    source = DukeSource(tmp_path)
    with pytest.raises(InputError, match=f"^{path}, B-scan 2: {said}"):
        source.read(ScanKey(1, "s01", 2))


def test_scans_without_contrast_or_in_fractions(tmp_path, duke_files):
    images = duke_files.arrays()["images"]
    images[:, :, 3] = 0  # nobody annotated it: left alone
    duke_files.write(tmp_path, 1, images=images)
    DukeSource(tmp_path).read(ScanKey(1, "s01", 2))
    images[:, :, 4] = 9
    duke_files.write(tmp_path, 1, images=images)
    with pytest.raises(InputError, match="B-scan 4: every pixel is 9"):
        DukeSource(tmp_path).read(ScanKey(1, "s01", 2))
    duke_files.write(tmp_path, 1, images=images / 255)
    with pytest.raises(InputError, match=r"B-scan 2: values 0.0..1.0, expected gray levels 0..255; multiply by 255"):
        DukeSource(tmp_path).read(ScanKey(1, "s01", 2))


def test_declared_size_over_the_cap_is_refused_before_reading(tmp_path, duke_files, monkeypatch):
    path = duke_files.write(tmp_path)
    monkeypatch.setattr(mat, "MAX_BYTES", 8 * 40 * 7 * 8 - 1)  # the layers are 17920 bytes, the images 6720
    monkeypatch.setattr(mat, "read_variable", None)
    assert duke_refusal(tmp_path) == f"{path}: manualLayers1 declares 17920 bytes, expected at most 17919; refused"


def test_v73_bomb_is_refused(tmp_path, duke_files):
    path = duke_files.write_v73(tmp_path)
    with h5py.File(path, "r+") as file:
        del file["images"]
        file.create_dataset("images", (6100, 7680, 4960), "u1", chunks=(1, 768, 496))
    assert path.stat().st_size < 100_000
    assert "images declares 232366080000 bytes" in duke_refusal(tmp_path)


@pytest.mark.parametrize("kind", ["external link", "soft link", "virtual", "external storage"])
def test_v73_values_kept_elsewhere_are_refused(tmp_path, duke_files, kind):
    (tmp_path / "other").mkdir()
    other = duke_files.write_v73(tmp_path / "other")
    path = duke_files.write_v73(tmp_path)
    with h5py.File(path, "r+") as file:
        shape = file["images"].shape
        del file["images"]
        if kind == "external link":
            file["images"] = h5py.ExternalLink(other, "images")
        elif kind == "soft link":
            file["images"] = h5py.SoftLink("/manualFluid1")
        elif kind == "virtual":
            layout = h5py.VirtualLayout(shape, "u1")
            layout[:] = h5py.VirtualSource(other, "images", shape)
            file.create_virtual_dataset("images", layout)
        else:
            file.create_dataset("images", shape, "u1", external=[(str(other), 0, 6720)])
    said = "is a link to elsewhere" if "link" in kind else "are in another file"
    assert said in duke_refusal(tmp_path)


def test_v73_struct_and_text(tmp_path, duke_files):
    path = duke_files.write_v73(tmp_path)
    with h5py.File(path, "r+") as file:
        del file["images"]
        file.create_group("images")
    assert "images is of class struct" in duke_refusal(tmp_path)
    with h5py.File(path, "r+") as file:
        del file["images"]
        file.create_dataset("images", data=np.ones((7, 40, 24), np.uint16)).attrs["MATLAB_class"] = np.bytes_("char")
    assert "images is of class char" in duke_refusal(tmp_path)
