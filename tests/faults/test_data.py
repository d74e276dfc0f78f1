"""Data that is damaged, missing or of another kind, from the command line: exit code 2, and one line on what to do.

What single readers refuse has its tests beside them; docs/faults.md lists all.
"""

import json
import struct
import tracemalloc
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from retseg.bscan import ScanKey
from retseg.data.audit import Audit
from retseg.data.sources.hdf5 import Hdf5Source
from retseg.data.sources.hdf5_convert import convert
from retseg.data.sources.mat import list_variables
from retseg.data.split_file import read_split_file
from retseg.errors import InputError
from retseg.evaluation.json_files import read_object
from retseg.evaluation.label_volumes import read_label_volume
from retseg.evaluation.matching import read_subjects
from retseg.evaluation.output import read_metrics
from retseg.evaluation.store import write_npz
from tests.commands.conftest import retseg  # noqa: F401  a fixture
from tests.data.readers.drawn_scans import drawn, find, line, stacked
from tests.data.sources.conftest import DukeFiles
from tests.data.sources.hand_made import everything

DEEP = "[" * 100_000


def whole(folder: Path) -> bytes:
    return DukeFiles().write(folder, 3).read_bytes()


def turned(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 16
    return bytes(changed)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda content: b"", "{path}: empty (0 bytes), expected a .mat file; download it again"),
        (lambda content: content[:3000], "{path}: damaged or not a .mat file (ValueError: ends at byte 3000 in the"),
        (lambda content: b"<!DOCTYPE html><html>404</html>", "{path}: an HTML page saved as .mat, expected a MATLAB"),
        (turned, "{path}: damaged or not a .mat file ("),
        (lambda content: b"some text", "{path}: damaged or not a .mat file ("),
    ],
)
def test_a_damaged_subject_ends_the_command_in_one_line(tmp_path, retseg, spoil, said):  # noqa: F811
    folder = tmp_path / "my data=ü 1"
    folder.mkdir()
    path = folder / "Subject_03.mat"
    path.write_bytes(spoil(whole(folder)))
    code, out, error = retseg("data", "convert", "-s", "duke", "--root", folder, "-o", tmp_path / "out")
    assert code == 2
    assert error.startswith("retseg: " + said.format(path=path)), error
    assert error.count("\n") == 1
    assert not list((tmp_path / "out").glob("*.h5*"))
    assert "Traceback" not in out + error


def test_debug_raises_what_the_line_said(tmp_path, retseg):  # noqa: F811
    with pytest.raises(InputError, match="no such folder; get the files from"):
        retseg("--debug", "data", "convert", "-s", "duke", "--root", tmp_path / "gone", "-o", tmp_path / "out")


def test_a_folder_in_place_of_a_file(tmp_path):
    for name in ("a.png", "b.npy", "c.mat"):
        (tmp_path / "scans" / name).mkdir(parents=True)
    with pytest.raises(InputError, match="scans: no scan among its 0 files; looked for"):
        find(tmp_path / "scans")
    (tmp_path / "duke" / "Subject_01.mat").mkdir(parents=True)
    with pytest.raises(InputError, match=r"Subject_01\.mat: cannot be read \(IsADirectoryError"):
        list_variables(tmp_path / "duke" / "Subject_01.mat")
    with pytest.raises(InputError, match="no file of labels below it"):
        read_label_volume_below(tmp_path / "scans")
    (tmp_path / "split.json").mkdir()
    with pytest.raises(InputError, match=r"split\.json: cannot be read \(Is a directory\); name a JSON file"):
        read_split_file(tmp_path / "split.json", [])


def read_label_volume_below(folder: Path) -> None:
    from retseg.evaluation.label_volumes import label_paths

    for path in label_paths(folder):
        read_label_volume(path)


# MATLAB v5: what scipy does not check


def v5_file(path: Path, change) -> Path:
    scipy.io.savemat(path, {"images": stacked(2).transpose(1, 2, 0)})
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)
    return path


def test_mat_values_of_a_type_that_crashes_scipy(tmp_path):
    def other_type(content: bytearray) -> None:
        at = content.index(b"images") + 8
        assert content[at] == 2  # miUINT8
        content[at] = 99

    path = v5_file(tmp_path / "a.mat", other_type)
    assert "values of type 99 in 'images'); download it again" in line(path)


def test_mat_with_two_variables_of_one_name(tmp_path):
    """scipy reads the first, and what was checked is the last."""

    def twice(content: bytearray) -> None:
        content += content[128:]

    path = v5_file(tmp_path / "a.mat", twice)
    assert "two variables are called 'images'); download it again" in line(path)


# Sizes of pixels that are none


def saved_scan(path: Path, sizes: tuple[float, float]) -> Path:
    mask = np.zeros((40, 60), np.int8)
    rows = np.full((8, 60), 5, np.float32)
    arrays = {"image": drawn(), "mask": mask, "surface_rows": rows, "spacing_um": np.array(sizes)}
    write_npz(path, arrays | {"spacing_source": np.array("file"), "subject": np.array("s01")})
    return path


@pytest.mark.parametrize("um", [0.0, -3.9, np.inf])
def test_a_pixel_size_that_is_none_is_refused_wherever_a_file_states_it(tmp_path, um):
    said = f"a pixel size of {um:g} um, expected one above 0, or none; make it again"
    path = saved_scan(tmp_path / "a.npz", (um, 11.0))
    assert line(path) == f"{path}: {said}"
    with pytest.raises(InputError, match=said):
        read_label_volume(path)
    (tmp_path / "b_surfaces.csv").write_text("1,2,3,4,5,6,7,8\n")
    about = {"axial_um": 3.9, "lateral_um": um, "scale_source": "user", "rows": 40}
    (tmp_path / "b_surfaces.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match=rf"b_surfaces\.json: {said}"):
        read_label_volume(tmp_path / "b_surfaces.csv")
    path = convert(everything(), tmp_path / "h5")[0]
    with h5py.File(path, "r+") as file:
        table = file["scans"][()]
        table["axial_um"][0] = um
        file["scans"][...] = table
    with pytest.raises(InputError, match=f"^{path}: {said}"):
        Hdf5Source(path)


# Text files


def test_lists_in_lists_without_end(tmp_path):
    for name, read in (
        ("split.json", lambda path: read_split_file(path, [ScanKey(1, "s01", 1)])),
        ("metrics.json", lambda path: read_metrics(path.parent)),
        ("run.json", read_object),
        ("audit.json", Audit.from_json),
    ):
        (tmp_path / name).write_text(DEEP)
        with pytest.raises(InputError, match=f"^{tmp_path / name}: .*recursion"):
            read(tmp_path / name)
    np.save(tmp_path / "a.npy", drawn())
    assert [volume.name for volume in find(tmp_path).volumes] == ["a"]  # its run.json is nobody's


def test_a_table_of_subjects_with_a_row_cut_short(tmp_path):
    (tmp_path / "subjects.csv").write_text("scan,subject\na,s01\nb\n")
    with pytest.raises(InputError, match=r"subjects\.csv, row 3: no scan or no subject in it; correct the row"):
        read_subjects(tmp_path / "subjects.csv")


# HDF5 damaged where nothing has a checksum


def test_hdf5_whose_list_of_names_is_damaged(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/images"] = stacked(2)
    content = bytearray((tmp_path / "a.h5").read_bytes())
    at = content.index(b"HEAP")
    content[at : at + 4] = b"HEEP"
    (tmp_path / "a.h5").write_bytes(content)
    text = line(tmp_path / "a.h5")
    assert text.startswith(f"{tmp_path / 'a.h5'}: not a whole HDF5 file (")
    assert text.endswith("); copy or make it again")


def test_hdf5_chunk_that_unpacks_to_something_else(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", data=stacked(2), chunks=(1, 40, 60), compression="gzip")
        place = file["images"].id.get_chunk_info(0).byte_offset
    content = bytearray((tmp_path / "a.h5").read_bytes())
    content[place : place + 20] = zlib.compress(b"short")[:13].ljust(20, b"\0")
    (tmp_path / "a.h5").write_bytes(content)
    (volume,) = find(tmp_path).volumes
    with pytest.raises(InputError, match=r"a\.h5: /images is damaged, a chunk is not of its size; make the file again"):
        volume.read(0)


def test_hdf5_chunk_that_unpacks_to_much(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        images = file.create_dataset("images", (2, 40, 60), np.uint8, chunks=(1, 40, 60), compression="gzip")
        for number in range(2):
            images.id.write_direct_chunk((number, 0, 0), zlib.compress(bytes(2**27)))
    (volume,) = find(tmp_path).volumes
    tracemalloc.start()
    with pytest.raises(InputError, match="/images is damaged, a chunk is not of its size; make the file again"):
        volume.read(1)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


@pytest.mark.parametrize("packing", [{"compression": "gzip"}, {"compression": "lzf"}, {}])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("fletcher32", [False, True])
def test_hdf5_packed_in_any_usual_way_is_read(tmp_path, packing, shuffle, fletcher32):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        chunks = (2, 33, 7)  # chunks that overhang, and one that is not there
        file.create_dataset(
            "images", (5, 40, 60), np.uint16, chunks=chunks, shuffle=shuffle, fletcher32=fletcher32, **packing
        )[:4] = stacked(4)
        file["images"][4, :33, :7] = 9
    (volume,) = find(tmp_path).volumes
    for number in range(4):
        np.testing.assert_array_equal(volume.read(number).image, drawn(number))


def test_hdf5_heap_of_texts_on_which_hdf5_hangs(tmp_path):
    path = convert(everything(), tmp_path)[0]
    with h5py.File(path, "r+") as file:
        file.attrs["about"] = file.attrs["about"].decode()  # as earlier versions wrote it
    assert len(Hdf5Source(path).keys) > 1
    content = bytearray(path.read_bytes())
    at = content.index(b"GCOL") + 16
    (size,) = struct.unpack_from("<Q", content, at + 8)
    free = at + 16 + size + -size % 8
    assert struct.unpack_from("<HHI", content, free) == (0, 0, 0)  # what is left over in the heap
    content[free + 8 : free + 16] = bytes(8)
    path.write_bytes(content)
    assert line(path) == f"{path}: not a whole HDF5 file (a heap of texts); copy or make it again"
    with pytest.raises(InputError, match="a heap of texts"):
        Hdf5Source(path)
