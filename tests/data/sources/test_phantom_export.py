"""Phantom files in the Duke layout, read back with scipy, h5py and eyepy."""

import eyepy
import h5py
import numpy as np
import pytest
import scipy.io

from retseg.bscan import ScanKey
from retseg.data.sources.phantom import PhantomSource
from retseg.data.sources.phantom_export import DUKE_ANNOTATED_BSCANS, write_duke_mat
from retseg.errors import InputError

KEYS = {
    "images",
    "manualLayers1",
    "manualLayers2",
    "manualFluid1",
    "manualFluid2",
    "automaticLayersDME",
    "automaticLayersNormal",
    "automaticFluidDME",
}
PLACES = {"num_bscans": 5, "annotated_bscans": (1, 3)}


@pytest.fixture(scope="module")
def source():
    """Two B-scans per subject of 72 x 100; subject 2 has fluid."""
    return PhantomSource(num_subjects=2, bscans_per_subject=2, height=72, width=100, num_graders=2)


@pytest.fixture(scope="module")
def arrays(source, tmp_path_factory):
    path = write_duke_mat(source, tmp_path_factory.mktemp("v5"), **PLACES)[1]
    return {key: value for key, value in scipy.io.loadmat(path).items() if not key.startswith("__")}


def test_a_file_per_subject_holds_the_official_keys_and_shapes(arrays):
    assert set(arrays) == KEYS
    for key, values in arrays.items():
        assert values.shape == ((8, 100, 5) if "Layers" in key else (72, 100, 5)), key
    assert arrays["images"].dtype == np.uint8
    assert len(DUKE_ANNOTATED_BSCANS) == 11


def test_pixels_and_1_based_rows_lie_at_the_annotated_bscans(source, arrays):
    for index, place in enumerate((1, 3)):
        first, second = (source.read(ScanKey(grader, "s02", index)) for grader in (1, 2))
        assert np.array_equal(arrays["images"][:, :, place], first.image)
        assert np.array_equal(arrays["manualLayers1"][:, 15:85, place], first.surface_rows[:, 15:85].astype(float) + 1)
        assert np.array_equal(arrays["manualLayers2"][:, 15:85, place], second.surface_rows[:, 15:85].astype(float) + 1)
        assert np.array_equal(arrays["manualFluid1"][:, :, place] > 0, first.fluid)
        assert np.array_equal(arrays["automaticFluidDME"][:, :, place], first.fluid)


def test_nan_where_nobody_annotated(arrays):
    layers = arrays["manualLayers1"]
    assert np.isnan(layers[:, :15]).all()
    assert np.isnan(layers[:, 85:]).all()
    for place in (0, 2, 4):
        assert np.isnan(layers[:, :, place]).all()
        assert np.isnan(arrays["manualFluid2"][:, :, place]).all()
        assert (arrays["images"][:, :, place] == 0).all()


def test_a_source_of_all_bscans_fills_them_all_and_annotates_some(tmp_path):
    source = PhantomSource(num_subjects=1, bscans_per_subject=5, height=72, width=100, num_graders=2)
    arrays = scipy.io.loadmat(write_duke_mat(source, tmp_path, **PLACES)[0])
    assert (arrays["images"].max(axis=(0, 1)) > 0).all()
    assert np.isfinite(arrays["manualLayers1"]).any(axis=(0, 1)).tolist() == [False, True, False, True, False]
    assert np.array_equal(arrays["images"][:, :, 3], source.read(ScanKey(1, "s01", 3)).image)


def test_version_73_holds_the_same_in_reversed_axes_behind_matlabs_header(source, arrays, tmp_path):
    path = write_duke_mat(source, tmp_path, version="7.3", **PLACES)[1]
    head = path.read_bytes()[:520]
    assert head.startswith(b"MATLAB 7.3 MAT-file")
    assert head[124:128] == b"\x00\x02IM"
    assert head[512:520] == b"\x89HDF\r\n\x1a\n"
    with h5py.File(path) as file:
        assert set(file) == KEYS
        for key, values in arrays.items():
            assert np.array_equal(file[key][()].T, values, equal_nan=values.dtype.kind == "f"), key
        assert file["images"].attrs["MATLAB_class"] == b"uint8"
        assert file["manualLayers1"].attrs["MATLAB_class"] == b"double"


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_same_phantom_same_bytes(source, tmp_path, version):
    first, second = (write_duke_mat(source, tmp_path / name, version=version, **PLACES)[0] for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_eyepy_reads_it(source, tmp_path):
    path = write_duke_mat(source, tmp_path, **PLACES)[1]
    volume = eyepy.import_dukechiu2_mat(path)
    assert volume.shape == (5, 72, 100)
    assert len(volume.layers) == 4 * 8
    # eyepy keeps MATLAB's 1-based rows.
    expected = source.read(ScanKey(1, "s02", 1)).surface_rows + 1
    assert volume.layers["manualLayers1_BM"].data[3, 15:85] == pytest.approx(expected[7, 15:85])
    assert volume.layers["manualLayers1_ILM"].data[3, 15:85] == pytest.approx(expected[0, 15:85])


def test_gaps_are_inner_surfaces_below_fluid_and_nothing_else(source, arrays, tmp_path):
    gappy = scipy.io.loadmat(write_duke_mat(source, tmp_path, gaps=True, **PLACES)[1])["manualLayers1"]
    whole = arrays["manualLayers1"]
    is_gap = np.isnan(gappy) & np.isfinite(whole)
    assert np.array_equal(gappy[~is_gap], whole[~is_gap], equal_nan=True)
    assert not is_gap[[0, 6, 7]].any()
    for place in (1, 3):
        fluid = arrays["manualFluid1"][:, :, place] > 0
        first_row = np.where(fluid.any(axis=0), fluid.argmax(axis=0), 999)
        assert np.array_equal(is_gap[5, 15:85, place], fluid.any(axis=0)[15:85])  # ISM/ISE is below every cyst
        assert np.array_equal(is_gap[3, 15:85, place], (whole[3, :, place] - 1 > first_row)[15:85])
    assert is_gap[5].any()


def test_wedges_are_white_and_outside_the_annotated_columns(source, arrays, tmp_path):
    wedged = scipy.io.loadmat(write_duke_mat(source, tmp_path, wedges=True, **PLACES)[1])["images"]
    changed = wedged != arrays["images"]
    assert (wedged[changed] == 255).all()
    assert changed[:, 4:96].sum() == 0
    assert (wedged[71, :4] == 255).all()
    assert (wedged[0, 96:] == 255).all()
    assert not changed[0, :4].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": "6"}, "version is '6', expected '5' or '7.3'"),
        ({"num_bscans": 3}, r"annotated_bscans \[1, 3\], expected different ones of 0..2"),
        ({"annotated_bscans": (1, 1)}, r"annotated_bscans \[1, 1\], expected different ones"),
        ({"annotated_bscans": (1, 2, 3)}, r"2 B-scans per subject, expected 3 \(the annotated ones\) or 5 \(all\)"),
        ({"annotated_share": 0}, "annotated_share is 0, expected above 0, up to 1"),
    ],
)
def test_wrong_options_are_refused(source, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        write_duke_mat(source, tmp_path, **{**PLACES, **options})


def test_one_grader_is_refused(tmp_path):
    with pytest.raises(InputError, match="make the phantom with num_graders=2"):
        write_duke_mat(PhantomSource(), tmp_path)
    assert not list(tmp_path.iterdir())
