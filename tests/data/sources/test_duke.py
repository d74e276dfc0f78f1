"""The Duke reader on made-up .mat files, and against eyepy, which reads the official ones."""

import pickle
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from retseg.bscan import ScanKey, Spacing
from retseg.data.sources import mat
from retseg.data.sources.duke import DukeSource
from retseg.errors import InputError
from retseg.geometry.surfaces import paint_mask


def refusal(root: Path, **options: object) -> str:
    """The one line that says why a folder is refused."""
    with pytest.raises(InputError) as caught:
        DukeSource(root, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_keys_are_the_bscans_that_somebody_annotated(tmp_path, duke_files):
    duke_files.write(tmp_path, 3)
    source = DukeSource(tmp_path)
    assert [key.name for key in source.keys] == ["s03_b02_g1", "s03_b04_g1", "s03_b02_g2"]
    assert [key.name for key in DukeSource(tmp_path, graders=[2]).keys] == ["s03_b02_g2"]
    assert (source.name, source.label_origin) == ("Duke DME", "manual")
    assert DukeSource(tmp_path, label_origin="silver").label_origin == "silver"


def test_rows_are_zero_based_and_unannotated_columns_stay_nan(tmp_path, duke_files):
    duke_files.write(tmp_path)
    source = DukeSource(tmp_path)
    rows = source.read(ScanKey(1, "s01", 4)).surface_rows
    assert rows.dtype == np.float32
    assert rows[:, 5].tolist() == [5, 7, 9, 11, 13, 15, 17, 19]  # the file says 6, 8, .. 20
    assert np.isnan(rows[:, :5]).all()
    assert np.isnan(rows[:, 35:]).all()
    assert source.read(ScanKey(2, "s01", 2)).surface_rows[0, 5] == 3.25


def test_pixels_fluid_and_spacing(tmp_path, duke_files):
    duke_files.write(tmp_path)
    source = DukeSource(tmp_path)
    scan = source.read(ScanKey(1, "s01", 2))
    np.testing.assert_array_equal(scan.image, duke_files.arrays()["images"][:, :, 2])
    assert scan.image.dtype == np.uint8
    assert (scan.fluid.dtype, scan.fluid.sum(), scan.fluid[9:12, 20:26].all()) == (bool, 18, True)
    assert source.read(ScanKey(1, "s01", 4)).fluid is None  # NaN: nobody looked
    assert source.read(ScanKey(2, "s01", 2)).fluid is None
    assert scan.spacing == Spacing(3.87, 11.33, "data set (Chiu et al. 2015, mean lateral)")
    assert scan.mask is None


def test_what_is_read_belongs_to_the_caller(tmp_path, duke_files):
    duke_files.write(tmp_path)
    source = DukeSource(tmp_path)
    key = ScanKey(1, "s01", 2)
    scan = source.read(key)
    for array in (scan.image, scan.surface_rows, scan.fluid):
        array[:] = 1
    again = source.read(key)
    assert again.image.max() > 1
    assert np.isnan(again.surface_rows[0, 0])
    assert again.fluid.sum() == 18


@pytest.mark.parametrize("userblock_bytes", [0, 512])
def test_v73_file_reads_as_the_v5_file(tmp_path, duke_files, assert_same_scans, userblock_bytes):
    (tmp_path / "v5").mkdir()
    (tmp_path / "v73").mkdir()
    duke_files.write(tmp_path / "v5")
    duke_files.write_v73(tmp_path / "v73", userblock_bytes=userblock_bytes)
    assert_same_scans(DukeSource(tmp_path / "v5"), DukeSource(tmp_path / "v73"))


@pytest.mark.parametrize("dtype", [np.uint16, np.int64, np.float32, np.float64])
def test_any_real_type_of_images_reads_the_same(tmp_path, duke_files, dtype):
    images = duke_files.arrays()["images"]
    duke_files.write(tmp_path, images=images.astype(dtype))
    image = DukeSource(tmp_path).read(ScanKey(1, "s01", 2)).image
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, images[:, :, 2])


def test_fractions_of_gray_levels_are_kept_as_float32(tmp_path, duke_files):
    images = duke_files.arrays()["images"] / 2
    duke_files.write(tmp_path, images=images)
    image = DukeSource(tmp_path).read(ScanKey(1, "s01", 2)).image
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, images[:, :, 2])


def test_integral_layers_and_uint8_fluid_are_read(tmp_path, duke_files):
    layers = np.nan_to_num(duke_files.arrays()["manualLayers1"]).astype(np.int16)  # 0 is above the image: unknown
    duke_files.write(tmp_path, manualLayers1=layers, manualFluid1=np.full((24, 40, 7), 1, np.uint8))
    source = DukeSource(tmp_path, graders=[1])
    assert [key.bscan for key in source.keys] == [2, 4]
    scan = source.read(source.keys[0])
    assert scan.surface_rows[:, 5].tolist() == [3, 5, 7, 9, 11, 13, 15, 17]
    assert np.isnan(scan.surface_rows[:, 0]).all()
    assert scan.fluid.all()


def test_pickled_source_has_no_pixels_and_reads_the_same(tmp_path, duke_files, assert_same_scans):
    for number in (1, 2):
        duke_files.write(tmp_path, number)
    source = DukeSource(tmp_path)
    size_unread = len(pickle.dumps(source))
    for key in source.keys:
        source.read(key)
    packed = pickle.dumps(source)
    assert len(packed) == size_unread
    assert_same_scans(source, pickle.loads(packed))


def test_notices_count_scans_left_out_gaps_and_missing_subjects(tmp_path, duke_files):
    layers = duke_files.arrays()["manualLayers1"]
    layers[2:4, 10:13, 4] = np.nan
    duke_files.write(tmp_path, 1, manualLayers1=layers)
    duke_files.write(tmp_path, 2)
    notices = DukeSource(tmp_path, expected_subjects=4).notices
    assert notices == (
        f"subjects 03, 04 of 4 are missing: no Subject_XX.mat in {tmp_path}",
        "all 2 files: images (24, 40, 7), the official files have (496, 768, 61)",
        "manualLayers1: 3 (Subject_01.mat 3) columns with some surfaces known and some not",
        "grader 1: 10 (5 in each file) B-scans without annotation left out",
        "grader 2: 12 (6 in each file) B-scans without annotation left out",
    )


def test_file_without_fluid_is_read_with_a_notice(tmp_path, duke_files):
    duke_files.write(tmp_path, 1, manualFluid1=None)
    source = DukeSource(tmp_path)
    assert source.read(ScanKey(1, "s01", 2)).fluid is None
    assert "Subject_01.mat: no manualFluid1, fluid unknown for grader 1" in source.notices


def test_crossing_surfaces_are_counted_get_no_class_and_strict_refuses_them(tmp_path, duke_files):
    layers = duke_files.arrays()["manualLayers1"]
    layers[3, 10:15, 4] = layers[1, 10:15, 4] - 1  # INL/OPL above NFL/GCL in five columns
    duke_files.write(tmp_path, 1)
    path = duke_files.write(tmp_path, 2, manualLayers1=layers)
    source = DukeSource(tmp_path)
    said = "manualLayers1: 5 (Subject_02.mat 5) columns have surfaces that cross, pixels between them get no class"
    assert said in source.notices
    mask = paint_mask(source.read(ScanKey(1, "s02", 4)).surface_rows, 24)
    assert (mask[:, 10:15] == -1).any(axis=0).all()
    assert not (mask[:, 15:35] == -1).any()
    line = refusal(tmp_path, strict=True)
    assert line.startswith(f"{path}, manualLayers1, B-scan 4, INL/OPL, column 10: surfaces that cross")
    assert "data.source.strict=true" in line


def test_crossing_is_seen_across_a_gap(tmp_path, duke_files):
    layers = duke_files.arrays()["manualLayers1"]
    layers[1, 10, 4] = np.nan
    layers[2, 10, 4] = layers[0, 10, 4] - 1  # the neighbour between them is unknown
    duke_files.write(tmp_path, 1, manualLayers1=layers)
    assert any("1 (Subject_01.mat 1) columns have surfaces that cross" in line for line in DukeSource(tmp_path).notices)


@pytest.mark.parametrize(("row", "kept"), [(0.4, False), (0.5, True), (24.4, True), (24.5, False), (900, False)])
def test_rows_outside_the_image_become_unknown_and_strict_refuses_them(tmp_path, duke_files, row, kept):
    layers = duke_files.arrays()["manualLayers1"]
    surface = 0 if row < 1 else 7
    layers[surface, 20, 2] = row  # 1-based; pixel rows 1 .. 24 reach from 0.5 to 24.5
    path = duke_files.write(tmp_path, 1, manualLayers1=layers)
    source = DukeSource(tmp_path)
    found = source.read(ScanKey(1, "s01", 2)).surface_rows[surface, 20]
    said = "manualLayers1: 1 (Subject_01.mat 1) columns have rows outside the image, set to unknown"
    assert (found == np.float32(row - 1)) if kept else np.isnan(found)
    assert (said in source.notices) is not kept
    if not kept:
        assert refusal(tmp_path, strict=True).startswith(f"{path}, manualLayers1, B-scan 2, ")


def test_min_columns_leaves_out_scans_with_fewer(tmp_path, duke_files):
    layers = duke_files.arrays()["manualLayers1"]
    layers[:, 6:, 4] = np.nan  # one annotated column stays
    duke_files.write(tmp_path, 1, manualLayers1=layers)
    assert [key.bscan for key in DukeSource(tmp_path, graders=[1], min_columns=1).keys] == [2, 4]
    assert [key.bscan for key in DukeSource(tmp_path, graders=[1], min_columns=2).keys] == [2]
    assert "no B-scan has 31 annotated columns" in refusal(tmp_path, graders=[1], min_columns=31)


def test_missing_folder_names_the_ways_on(tmp_path):
    line = refusal(tmp_path / "not here")
    for part in (f"{tmp_path / 'not here'}: no such folder", "Chiu_BOE_2014_dataset.htm", "data.download=true"):
        assert part in line
    assert "data=phantom" in line


def test_folder_without_subjects(tmp_path, duke_files):
    (tmp_path / "Subject_1.mat").touch()
    (tmp_path / "scan.mat").touch()
    assert refusal(tmp_path).startswith(f"{tmp_path}: no Subject_XX.mat here; get the files from")
    (tmp_path / "2015_BOE_Chiu").mkdir()
    duke_files.write(tmp_path / "2015_BOE_Chiu")
    assert f"use data.root={tmp_path / '2015_BOE_Chiu'}" in refusal(tmp_path)


def test_file_given_as_folder(tmp_path, duke_files):
    assert "cannot be listed as a folder" in refusal(duke_files.write(tmp_path))


@pytest.mark.parametrize("graders", [(), (0,), (1, 3)])
def test_graders_that_nobody_is(tmp_path, duke_files, graders):
    duke_files.write(tmp_path)
    assert "the Duke files hold graders 1 and 2" in refusal(tmp_path, graders=graders)


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
    assert f"{path}: cannot be read" in refusal(tmp_path)
    path.unlink()
    path.mkdir()
    assert f"{path}: cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("version", ["v5", "v7.3"])
def test_truncated_file(tmp_path, duke_files, version):
    path = duke_files.write(tmp_path) if version == "v5" else duke_files.write_v73(tmp_path)
    path.write_bytes(path.read_bytes()[:-400])
    assert refusal(tmp_path).startswith(f"{path}: ")


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
    assert refusal(tmp_path).startswith(f"{path}, manualLayers1, B-scan 4, BM, column 9: infinite row")


def test_nobody_annotated_anything(tmp_path, duke_files):
    nothing = np.full((8, 40, 7), np.nan)
    duke_files.write(tmp_path, manualLayers1=nothing, manualLayers2=nothing)
    assert "no B-scan has 1 annotated columns" in refusal(tmp_path)


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
    assert refusal(tmp_path) == f"{path}: manualLayers1 declares 17920 bytes, expected at most 17919; refused"


def test_v73_bomb_is_refused(tmp_path, duke_files):
    path = duke_files.write_v73(tmp_path)
    with h5py.File(path, "r+") as file:
        del file["images"]
        file.create_dataset("images", (6100, 7680, 4960), "u1", chunks=(1, 768, 496))
    assert path.stat().st_size < 100_000
    assert "images declares 232366080000 bytes" in refusal(tmp_path)


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
    assert said in refusal(tmp_path)


def test_v73_struct_and_text(tmp_path, duke_files):
    path = duke_files.write_v73(tmp_path)
    with h5py.File(path, "r+") as file:
        del file["images"]
        file.create_group("images")
    assert "images is of class struct" in refusal(tmp_path)
    with h5py.File(path, "r+") as file:
        del file["images"]
        file.create_dataset("images", data=np.ones((7, 40, 24), np.uint16)).attrs["MATLAB_class"] = np.bytes_("char")
    assert "images is of class char" in refusal(tmp_path)


def test_only_the_needed_variables_are_read(tmp_path, duke_files, monkeypatch):
    duke_files.write(tmp_path, patientName="kept out of memory")
    asked = []
    loadmat = scipy.io.loadmat

    def watched(path: Path, variable_names: list[str], **options: object) -> dict[str, np.ndarray]:
        asked.extend(variable_names)
        return loadmat(path, variable_names=variable_names, **options)

    monkeypatch.setattr(scipy.io, "loadmat", watched)
    source = DukeSource(tmp_path, graders=[1])
    assert asked == ["manualLayers1"]  # opening reads no pixels
    for key in source.keys:
        source.read(key)
    assert asked == ["manualLayers1", "images", "manualFluid1"]  # once per subject


def test_eyepy_reads_the_same_file(tmp_path, duke_files):
    """eyepy keeps the file's 1-based rows: its height + 0 = our row + 1. It turns the B-scan order of neither."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # eyepy's own imports
        from eyepy import import_dukechiu2_mat
    arrays = duke_files.arrays()
    extra = {f"automaticLayers{kind}": arrays["manualLayers1"] for kind in ("DME", "Normal")}
    path = duke_files.write(tmp_path, 1, **extra, automaticFluidDME=arrays["manualFluid1"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        volume = import_dukechiu2_mat(path)
    source = DukeSource(tmp_path)
    eyepy_names = ("ILM", "NFL/GCL", "IPL/INL", "INL/OPL", "OPL/ONL", "ISM/ISE", "OS/RPE", "BM")
    for key in source.keys:
        scan = source.read(key)
        np.testing.assert_array_equal(scan.image, volume.data[key.bscan])
        for surface, name in enumerate(eyepy_names):
            heights = volume.layers[f"manualLayers{key.grader}_{name}"].data[key.bscan]
            np.testing.assert_array_equal(scan.surface_rows[surface] + 1, heights)
        if scan.fluid is not None:
            np.testing.assert_array_equal(scan.fluid, volume.volume_maps[f"manualFluid{key.grader}"].data[key.bscan])
    assert (source.spacing.axial_um, source.spacing.lateral_um) == pytest.approx(
        (1000 * volume.scale_y, 1000 * volume.scale_x)
    )
