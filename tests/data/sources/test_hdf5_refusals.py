"""HDF5 files that are damaged, of somebody else, or a stranger's traps: each refused with its place and the rule."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from retseg.bscan import ScanKey
from retseg.data.sources.hdf5 import Hdf5Source
from retseg.data.sources.hdf5_convert import convert
from retseg.errors import InputError
from tests.data.sources.hand_made import Scans, scan


def change_about(path: Path, **changes: object) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["about"] = json.dumps(json.loads(file.attrs["about"]) | changes)


def change_table(path: Path, field: str, value: float) -> None:
    with h5py.File(path, "r+") as file:
        table = file["scans"][()]
        table[field][0] = value
        file["scans"][...] = table


def test_missing_folder_and_unknown_key(tmp_path, subject_file):
    with pytest.raises(InputError, match=r"no .h5 file here; make some with `retseg data convert"):
        Hdf5Source(tmp_path / "gone")
    with pytest.raises(InputError, match="no B-scan s09_b00 among its 2"):
        Hdf5Source(subject_file).read(ScanKey(0, "s09", 0))


@pytest.mark.parametrize("num_bytes", [0, 30, 2000])
def test_truncated_file(subject_file, num_bytes):
    subject_file.write_bytes(subject_file.read_bytes()[:num_bytes])
    with pytest.raises(InputError, match=f"^{subject_file}: not a whole HDF5 file"):
        Hdf5Source(subject_file)


def test_flipped_bit_in_the_pixels(subject_file):
    with h5py.File(subject_file) as file:
        place = file["images"].id.get_chunk_info(0).byte_offset
    content = bytearray(subject_file.read_bytes())
    content[place + 20] ^= 1
    subject_file.write_bytes(content)
    source = Hdf5Source(subject_file)
    with pytest.raises(InputError, match=f"^{subject_file}: /images is damaged .*; convert again$"):
        source.read(source.keys[0])


def test_hdf5_file_of_somebody_else(tmp_path):
    h5py.File(tmp_path / "other.h5", "w").close()
    with pytest.raises(InputError, match="not a file of `retseg data convert`"):
        Hdf5Source(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "other"}, "not a file of `retseg data convert`"),
        ({"format_version": 2}, "format version 2, this retseg reads 1"),
        ({"subject": "../../etc"}, "lacks a name or holds a wrong one"),
        ({"label_origin": None}, "lacks a name or holds a wrong one"),
        ({"spacing_sources": ["a", 1]}, "lacks a name or holds a wrong one"),
        ({"class_names": ["a", "b"]}, "its layers are not background, NFL"),
        ({"surface_names": []}, "its layers are not background, NFL"),
    ],
)
def test_description_that_does_not_fit(subject_file, changes, said):
    change_about(subject_file, **changes)
    with pytest.raises(InputError, match=f"^{subject_file}: .*{said}"):
        Hdf5Source(subject_file)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("images", -1, "images in table scans is outside 0..1"),
        ("images", 2, "images in table scans is outside 0..1"),
        ("masks", -2, "masks in table scans is outside -1..0"),
        ("fluids", 1, "fluids in table scans is outside -1..0"),
        ("spacing_source", 1, "spacing_source in table scans is outside 0..0"),
        ("eye", 3, "eye in table scans is outside 0..2"),
        ("bscan", -4, "bscan in table scans is outside 0"),
        ("bscan", 5, "s01_b05_g1 is there twice"),
    ],
)
def test_table_that_does_not_fit(subject_file, field, value, said):
    change_table(subject_file, field, value)
    with pytest.raises(InputError, match=f"^{subject_file}: {said}"):
        Hdf5Source(subject_file)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("scans", np.zeros(3), "table scans is not one of ours"),
        ("images", np.zeros((2, 12, 20), np.int64), "images is int64 with 3 axes"),
        ("masks", np.zeros((12, 20), np.int8), "masks is int8 with 2 axes"),
        ("masks", np.zeros((1, 12, 21), np.int8), r"masks of \(12, 21\), images are \(12, 20\)"),
        ("surface_rows", np.zeros((1, 7, 20), np.float32), r"surface_rows of \(7, 20\), images are \(12, 20\)"),
    ],
)
def test_arrays_that_do_not_fit(subject_file, name, values, said):
    with h5py.File(subject_file, "r+") as file:
        del file[name]
        file[name] = values
    with pytest.raises(InputError, match=f"^{subject_file}: {said}"):
        Hdf5Source(subject_file)


def test_missing_array(subject_file):
    with h5py.File(subject_file, "r+") as file:
        del file["scans"]
    with pytest.raises(InputError, match="no array 'scans', it holds fluids, images, masks, surface_rows"):
        Hdf5Source(subject_file)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("masks", 9, r"s01_b03_g1: labels 9..9, expected -1..7"), ("surface_rows", np.inf, "an infinite surface row")],
)
def test_labels_that_nobody_can_have_drawn(subject_file, name, value, said):
    with h5py.File(subject_file, "r+") as file:
        file[name][...] = value
    source = Hdf5Source(subject_file)
    with pytest.raises(InputError, match=f"^{subject_file}, .*{said}"):
        source.read(source.keys[0])


@pytest.mark.parametrize("name", ["scans", "images", "masks"])
@pytest.mark.parametrize(
    "kind", ["external link", "soft link", "dangling link", "virtual", "external storage", "group"]
)
def test_values_kept_elsewhere_are_refused(tmp_path, subject_file, name, kind):
    other = tmp_path / "other.h5"
    other.write_bytes(subject_file.read_bytes())
    with h5py.File(subject_file, "r+") as file:
        shape, dtype = file[name].shape, file[name].dtype
        del file[name]
        if kind == "external link":
            file[name] = h5py.ExternalLink(other, name)
        elif kind == "soft link":
            file[name] = h5py.SoftLink("/fluids")
        elif kind == "dangling link":
            file[name] = h5py.ExternalLink(tmp_path / "gone.h5", name)
        elif kind == "virtual":
            layout = h5py.VirtualLayout(shape, dtype)
            layout[...] = h5py.VirtualSource(other, name, shape, dtype)
            file.create_virtual_dataset(name, layout)
        elif kind == "external storage":
            file.create_dataset(name, shape, dtype, external=[("/etc/hostname", 0, 10**6)])
        else:
            file.create_group(name)
    said = "is a link to elsewhere" if "link" in kind else "is a group" if kind == "group" else "are in another file"
    with pytest.raises(InputError, match=f"^{subject_file}: .*'{name}' {said}|values of '{name}' {said}"):
        Hdf5Source(subject_file)


def test_bomb_is_refused_by_what_it_declares(subject_file):
    with h5py.File(subject_file, "r+") as file:
        for name in ("images", "masks", "surface_rows", "fluids"):
            del file[name]
        file.create_dataset("images", (2, 400_000, 400_000), "u1", chunks=(1, 4000, 4000))
    assert subject_file.stat().st_size < 100_000
    with pytest.raises(InputError, match="'images' declares 160000000000 bytes, expected at most"):
        Hdf5Source(subject_file)


def test_bomb_in_one_chunk_is_refused(subject_file):
    with h5py.File(subject_file, "r+") as file:
        del file["images"]
        file.create_dataset("images", (2, 12, 20), "u1", maxshape=(None, None, None), chunks=(1500, 1500, 1500))
    with pytest.raises(InputError, match="'images' declares 3375000000 bytes"):
        Hdf5Source(subject_file)


def test_two_sources_in_one_folder_are_kept_apart(subject_file):
    (other,) = convert(Scans([scan("s02")]), subject_file.parent)
    change_about(other, label_origin="silver")
    with pytest.raises(InputError, match=r"'hand-made', 'silver'.*'hand-made', 'exact'.*keep them apart"):
        Hdf5Source(subject_file.parent)


def test_one_subject_in_two_files(subject_file):
    (subject_file.parent / "copy.h5").write_bytes(subject_file.read_bytes())
    with pytest.raises(InputError, match=r"s01_b03_g1 is there twice, also in .*copy.h5; keep one file"):
        Hdf5Source(subject_file.parent)
