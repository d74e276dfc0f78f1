"""The index of a folder of HDF5 files: read instead of them, and never believed when it is not of these files."""

import json
import os

import h5py
import numpy as np
import pytest

from retseg.data.sources import hdf5_index
from retseg.data.sources.hdf5 import Hdf5Source
from retseg.data.sources.hdf5_convert import convert
from retseg.data.sources.hdf5_index import INDEX, write_index
from retseg.errors import InputError
from tests.data.sources.hand_made import Scans, everything, scan


@pytest.fixture
def opened(monkeypatch):
    """Names of the files whose tables were read from themselves."""
    names, read_subject = [], hdf5_index.read_subject

    def listed(path):
        names.append(path.name)
        return read_subject(path)

    monkeypatch.setattr(hdf5_index, "read_subject", listed)
    return names


def change_index(folder, change):
    with h5py.File(folder / INDEX, "r+") as file:
        content = json.loads(file["files"][()].tobytes())
        change(content)
        del file["files"]
        file["files"] = np.frombuffer(json.dumps(content).encode(), np.uint8)


def test_opening_a_folder_reads_the_index_alone(tmp_path, opened, assert_same_scans):
    convert(everything(), tmp_path)
    opened.clear()
    source = Hdf5Source(tmp_path)
    assert opened == []
    assert_same_scans(everything(), source)
    assert source.notices == ("two scans were left out",)
    (tmp_path / INDEX).unlink()
    assert Hdf5Source(tmp_path).keys == source.keys
    assert opened == ["s01.h5", "s02.h5"]


def test_a_file_that_changed_came_or_went(tmp_path, opened, assert_same_scans):
    convert(Scans([scan("s01"), scan("s01", 5), scan("s02"), scan("s03")]), tmp_path)
    convert(Scans([scan("s01", 7)]), tmp_path / "other")
    (tmp_path / "other" / "s01.h5").replace(tmp_path / "s01.h5")
    os.utime(tmp_path / "s02.h5")
    (tmp_path / "s03.h5").unlink()
    convert(Scans([scan("s04")]), tmp_path / "more")
    (tmp_path / "more" / "s04.h5").replace(tmp_path / "s04.h5")
    opened.clear()
    left = Scans([scan("s01", 7), scan("s02"), scan("s04")])
    assert_same_scans(left, Hdf5Source(tmp_path))
    assert opened == ["s01.h5", "s02.h5", "s04.h5"]
    assert write_index(tmp_path) == 3
    opened.clear()
    assert_same_scans(left, Hdf5Source(tmp_path))
    assert opened == []


def test_files_of_others_are_left_out_of_the_index_and_refused_as_ever(tmp_path):
    h5py.File(tmp_path / "other.h5", "w").close()
    with pytest.raises(InputError, match=r"no file of `retseg data convert` here; name the folder that holds them"):
        write_index(tmp_path)
    assert not (tmp_path / INDEX).exists()
    convert(everything(), tmp_path)
    with pytest.raises(InputError, match=r"other.h5: not a file of `retseg data convert`"):
        Hdf5Source(tmp_path)


def test_the_same_scan_twice_is_refused_from_the_index_too(tmp_path):
    convert(everything(), tmp_path)
    (tmp_path / "copy.h5").write_bytes((tmp_path / "s02.h5").read_bytes())
    write_index(tmp_path)
    with pytest.raises(InputError, match=r"s02.h5: s02_b00 is there twice, also in .*copy.h5; keep one file"):
        Hdf5Source(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content.update(format_version=2), "an index of another retseg"),
        (lambda content: content.update(class_names=["a"]), "an index of another retseg"),
        (lambda content: content.pop("files"), "not a whole index"),
        (lambda content: content["files"].append(3), "not a whole index"),
        (lambda content: content["files"][0].update(num_rows="5"), "not a whole index"),
        (lambda content: content["files"][0].update(subject="../s01"), "lacks a name or holds a wrong one"),
        (lambda content: content["files"][0].update(spacing_sources=[]), "spacing_source in table scans is outside"),
        (lambda content: content["files"][0].update(num_rows=0), "not a whole index"),
        (lambda content: content["files"][0].update(num_rows=900), "not a whole index"),
    ],
)
def test_an_index_that_cannot_be_is_told_and_not_used(tmp_path, opened, assert_same_scans, change, said):
    convert(everything(), tmp_path)
    change_index(tmp_path, change)
    opened.clear()
    source = Hdf5Source(tmp_path)
    assert_same_scans(everything(), source)
    assert opened == ["s01.h5", "s02.h5"]
    told, *others = source.notices
    assert said in told
    assert told.endswith(f"; the files were opened one by one (`retseg data index {tmp_path}` writes a new index)")
    assert others == ["two scans were left out"]


def test_a_damaged_index(tmp_path, assert_same_scans):
    convert(everything(), tmp_path)
    content = (tmp_path / INDEX).read_bytes()
    for damaged in (b"", content[:500], content[: len(content) // 2], b"x" * 5000):
        (tmp_path / INDEX).write_bytes(damaged)
        source = Hdf5Source(tmp_path)
        assert f"{tmp_path / INDEX}: not a whole HDF5 file" in source.notices[0]
        assert_same_scans(everything(), source)


def test_rows_that_point_past_a_stack_are_refused_when_read(tmp_path):
    convert(Scans([scan()]), tmp_path)
    with h5py.File(tmp_path / INDEX, "r+") as file:
        rows = file["scans"][()]
        rows["images"] = 9
        file["scans"][...] = rows
    source = Hdf5Source(tmp_path)
    with pytest.raises(InputError, match=r"s01.h5: /images is damaged .*; convert again"):
        source.read(source.keys[0])
