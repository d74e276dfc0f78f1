"""The Duke reader on made-up .mat files, and against eyepy, which reads the official ones."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from retseg.bscan import ScanKey, Spacing
from retseg.data.sources import duke
from retseg.data.sources.duke import DukeSource
from retseg.data.sources.mat import read_variable


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


def test_fluid_is_left_unread_where_nobody_wants_it(tmp_path, duke_files, monkeypatch):
    duke_files.write(tmp_path)
    read = []
    monkeypatch.setattr(duke, "read_variable", lambda path, name: read.append(name) or read_variable(path, name))
    source = DukeSource(tmp_path, fluid=False)
    assert all(source.read(key).fluid is None for key in source.keys)
    assert not any("manualFluid" in notice for notice in source.notices)
    assert set(read) == {"images", "manualLayers1", "manualLayers2"}


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
