"""What .mat files declare: MATLAB's own files, which scipy ships for its tests, and whosmat as the oracle."""

import struct
import warnings
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.io.matlab

from retseg.data.sources import mat
from retseg.data.sources.mat import Variable, check_variable, list_variables, read_variable
from retseg.errors import InputError

MATLAB_FILES = Path(scipy.io.matlab.__file__).parent / "tests" / "data"
WRITTEN_BY_MATLAB = sorted(path.name for path in MATLAB_FILES.glob("test*_[678].*.mat") if "hdf5" not in path.name)

needs_matlab_files = pytest.mark.skipif(not MATLAB_FILES.is_dir(), reason="this scipy came without its test files")


@needs_matlab_files
@pytest.mark.parametrize("name", [*WRITTEN_BY_MATLAB, "big_endian.mat", "little_endian.mat", "testbool_8_WIN64.mat"])
def test_v5_files_of_matlab_are_listed_as_whosmat_does(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whosmat on variables without a name
        expected = {name: (shape, kind) for name, shape, kind in scipy.io.whosmat(MATLAB_FILES / name)}
    found = list_variables(MATLAB_FILES / name)
    numeric = {name: about for name, about in expected.items() if about[1] in mat.BYTES_PER_VALUE}
    assert numeric == {
        name: (variable.shape, variable.matlab_class.removeprefix("complex "))
        for name, variable in found.items()
        if variable.matlab_class.removeprefix("complex ") in mat.BYTES_PER_VALUE and name in expected
    }
    others = {name: about[1] for name, about in expected.items() if name in found.keys() - numeric.keys()}
    assert others == {name: found[name].matlab_class for name in others}
    assert found.keys() - expected.keys() <= {""}  # whosmat makes up a name for the nameless


@needs_matlab_files
def test_numeric_v5_files_of_matlab_read_as_loadmat_does():
    num_read = 0
    for name in WRITTEN_BY_MATLAB:
        variables = list_variables(MATLAB_FILES / name)
        for variable, declared in variables.items():
            if declared.matlab_class in mat.BYTES_PER_VALUE:
                values = read_variable(MATLAB_FILES / name, variable)
                assert values.shape == check_variable(MATLAB_FILES / name, variables, variable, values.ndim)
                assert values.nbytes <= declared.num_bytes
                num_read += 1
    assert num_read > 10


@needs_matlab_files
def test_v73_file_of_matlab():
    path = MATLAB_FILES / "testhdf5_7.4_GLNX86.mat"
    assert list_variables(path) == {"testdouble": Variable((1, 9), "double", 72)}
    np.testing.assert_allclose(read_variable(path, "testdouble"), np.linspace(0, 2 * np.pi, 9)[None])


@pytest.mark.parametrize("do_compression", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.int64, np.float32, np.float64, bool])
def test_written_by_scipy(tmp_path, dtype, do_compression):
    values = np.arange(2 * 3 * 5).reshape(2, 3, 5).astype(dtype)
    names = ("a", "abcd", "abcde", "x" * 31)  # up to four letters sit in the tag
    scipy.io.savemat(tmp_path / "a.mat", dict.fromkeys(names, values), do_compression=do_compression)
    assert tuple(list_variables(tmp_path / "a.mat")) == names
    for name in names:
        assert list_variables(tmp_path / "a.mat")[name].shape == (2, 3, 5)
        np.testing.assert_array_equal(read_variable(tmp_path / "a.mat", name), values)


def test_complex_values_are_refused(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"a": np.ones((2, 3), np.complex64)})
    variables = list_variables(tmp_path / "a.mat")
    with pytest.raises(InputError, match="a is of class complex single, expected a numeric array"):
        check_variable(tmp_path / "a.mat", variables, "a", 2)
    with h5py.File(tmp_path / "b.mat", "w") as file:
        file.create_dataset("a", data=np.ones((3, 2), complex)).attrs["MATLAB_class"] = np.bytes_("double")
    with pytest.raises(InputError, match="a is of type complex128, expected real numbers"):
        read_variable(tmp_path / "b.mat", "a")


@pytest.mark.parametrize("compressed", [False, True])
def test_values_that_claim_more_bytes_than_their_shape(tmp_path, compressed):
    """A v5 bomb: 2 x 3 numbers by its shape, four billion bytes by the tag of its values."""
    flags = struct.pack("<IIII", 6, 8, 6, 0)
    shape_and_name = struct.pack("<IIii", 5, 8, 2, 3) + struct.pack("<HH4s", 1, 1, b"a")
    matrix = flags + shape_and_name + struct.pack("<II", 9, 2**32 - 8) + bytes(48)
    element = struct.pack("<II", 14, len(matrix)) + matrix
    if compressed:
        packed = zlib.compress(element)
        element = struct.pack("<II", 15, len(packed)) + packed
    path = tmp_path / "a.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + element)
    variables = list_variables(path)
    assert variables == {"a": Variable((2, 3), "double", 2**32 - 8)}
    with pytest.raises(InputError, match="a declares 4294967288 bytes, expected at most 2147483648; refused"):
        check_variable(path, variables, "a", 2)


def test_truncation_is_seen_before_any_value_is_read(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"a": np.arange(5000.0)})
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(InputError, match=f"^{path}: damaged .* ends at byte 9000 in the middle of a variable"):
        list_variables(path)
