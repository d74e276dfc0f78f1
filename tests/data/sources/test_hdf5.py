"""Our HDF5 files: without loss, opened at once, safe against strangers' files."""

import json
import multiprocessing
import pickle
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from retseg.bscan import BScan, ScanKey, Spacing
from retseg.data.sources import hdf5
from retseg.data.sources.duke import DukeSource
from retseg.data.sources.hdf5 import Hdf5Source, convert
from retseg.errors import InputError

NUM_ROWS, NUM_COLUMNS = 12, 20


class Scans:
    """A source of given B-scans."""

    name = "hand-made"
    label_origin = "exact"

    def __init__(self, scans: list[BScan], notices: tuple[str, ...] = ()) -> None:
        self._scans = {scan.key: scan for scan in scans}
        self.notices = notices

    @property
    def keys(self) -> tuple[ScanKey, ...]:
        return tuple(sorted(self._scans))

    def read(self, key: ScanKey) -> BScan:
        return self._scans[key]


def scan(subject: str = "s01", bscan: int = 3, grader: int = 1, **fields: object) -> BScan:
    image = np.random.default_rng(bscan).integers(0, 256, (NUM_ROWS, NUM_COLUMNS), np.uint8)
    return BScan(ScanKey(grader, subject, bscan), fields.pop("image", image), **fields)


def everything() -> Scans:
    """All of the optional fields, none of them, and what lies between; two graders; s02 in float32."""
    rows = np.arange(8, dtype=np.float32)[:, None] + np.zeros((8, NUM_COLUMNS), np.float32)
    rows[2:5, 3:6] = np.nan
    mask = np.tile(np.arange(-1, 9 - 2, dtype=np.int8).repeat(2)[:NUM_ROWS, None], NUM_COLUMNS)
    fluid = mask == 3
    known = Spacing(3.87, 11.33, "data set")
    floats = np.linspace(0, 255, NUM_ROWS * NUM_COLUMNS, dtype=np.float32).reshape(NUM_ROWS, NUM_COLUMNS)
    scans = [
        scan(bscan=3, surface_rows=rows, mask=mask, fluid=fluid, spacing=known, eye="OD"),
        scan(bscan=3, grader=2, surface_rows=rows + 0.25, spacing=known, eye="OD"),
        scan(bscan=7),
        scan(bscan=11, mask=mask, spacing=Spacing(None, 11.33, "user"), eye="OS"),
        scan(bscan=11, grader=2, image=np.full((NUM_ROWS, NUM_COLUMNS), 9, np.uint8), fluid=fluid),
        scan("s02", 0, 0, image=floats, surface_rows=rows),
    ]
    return Scans(scans, ("two scans were left out",))


@pytest.fixture
def subject_file(tmp_path) -> Path:
    """One converted subject, to be spoilt."""
    rows = np.arange(8, dtype=np.float32)[:, None] + np.zeros((8, NUM_COLUMNS), np.float32)
    mask = np.ones((NUM_ROWS, NUM_COLUMNS), np.int8)
    (path,) = convert(Scans([scan(surface_rows=rows, mask=mask, fluid=mask > 0), scan(bscan=5)]), tmp_path / "h5")
    return path


def change_about(path: Path, **changes: object) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["about"] = json.dumps(json.loads(file.attrs["about"]) | changes)


def change_table(path: Path, field: str, value: float) -> None:
    with h5py.File(path, "r+") as file:
        table = file["scans"][()]
        table[field][0] = value
        file["scans"][...] = table


def test_conversion_loses_nothing(tmp_path, assert_same_scans):
    source = everything()
    paths = convert(source, tmp_path / "new folder")
    assert [path.name for path in paths] == ["s01.h5", "s02.h5"]
    converted = Hdf5Source(tmp_path / "new folder")
    assert_same_scans(source, converted)
    assert (converted.name, converted.label_origin) == ("hand-made", "exact")
    assert converted.notices == ("two scans were left out",)
    assert_same_scans(Scans([s for s in source._scans.values() if s.key.subject == "s02"]), Hdf5Source(paths[1]))


def test_conversion_of_a_conversion_and_of_duke_files(tmp_path, duke_files, assert_same_scans):
    (tmp_path / "mat").mkdir()
    duke_files.write(tmp_path / "mat", 1)
    duke_files.write(tmp_path / "mat", 2)
    source = DukeSource(tmp_path / "mat")
    convert(source, tmp_path / "once")
    convert(Hdf5Source(tmp_path / "once"), tmp_path / "twice")
    assert_same_scans(source, Hdf5Source(tmp_path / "twice"))
    assert Hdf5Source(tmp_path / "twice").notices == source.notices


def test_one_bscan_is_one_chunk_and_graders_share_equal_pixels(tmp_path):
    path, _ = convert(everything(), tmp_path)
    with h5py.File(path) as file:
        assert file["images"].chunks == (1, NUM_ROWS, NUM_COLUMNS)
        assert len(file["images"]) == 4  # b03 for both graders, b07, b11 twice since the pixels differ
        assert file["surface_rows"].shape == (2, 8, NUM_COLUMNS)
        assert (file["images"].compression, file["images"].fletcher32) == ("gzip", True)


def test_progress_tells_each_bscan(tmp_path):
    seen = []
    convert(everything(), tmp_path, lambda *counts: seen.append(counts))
    assert seen == [(done, 6) for done in range(1, 7)]


def test_existing_files_stay_unless_told(tmp_path, assert_same_scans):
    convert(Scans([scan("s02")]), tmp_path)
    before = (tmp_path / "s02.h5").read_bytes()
    with pytest.raises(InputError, match=f"^{tmp_path / 's02.h5'}: is there already.*--overwrite"):
        convert(everything(), tmp_path)
    assert (tmp_path / "s02.h5").read_bytes() == before
    assert not (tmp_path / "s01.h5").exists()  # refused before any work
    convert(everything(), tmp_path, overwrite=True)
    assert_same_scans(everything(), Hdf5Source(tmp_path))


def test_failure_half_way_leaves_no_file_and_the_old_one(tmp_path):
    class Failing(Scans):
        def read(self, key: ScanKey) -> BScan:
            if key.bscan == 5:
                raise InputError("scan.mat: damaged")
            return super().read(key)

    convert(Scans([scan()]), tmp_path)
    before = (tmp_path / "s01.h5").read_bytes()
    with pytest.raises(InputError, match=r"^scan.mat: damaged$"):
        convert(Failing([scan(), scan(bscan=5)]), tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["s01.h5"]
    assert (tmp_path / "s01.h5").read_bytes() == before


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"/file: cannot be made a folder .*choose another"):
        convert(everything(), tmp_path / "file")


@pytest.mark.parametrize("image", [np.zeros((NUM_ROWS, 9), np.uint8), np.zeros((NUM_ROWS, NUM_COLUMNS), np.float32)])
def test_bscans_of_one_subject_share_size_and_type(tmp_path, image):
    with pytest.raises(InputError, match=r"^s01_b05_g1: images .*the subject's first has \(12, 20\) uint8; one file"):
        convert(Scans([scan(), scan(bscan=5, image=image)]), tmp_path)
    assert not list(tmp_path.iterdir())


def test_equal_pixels_of_another_type_are_not_shared(tmp_path):
    with pytest.raises(InputError, match=r"^s01_b03_g2: images \(12, 20\) float32, the subject's first has"):
        convert(Scans([scan(), scan(grader=2, image=scan().image.astype(np.float32))]), tmp_path)


def test_subject_that_is_no_file_name(tmp_path):
    with pytest.raises(InputError, match=r"subject '../s01': expected letters"):
        convert(Scans([scan("../s01")]), tmp_path / "h5")


def test_ten_subjects_open_at_once(tmp_path):
    convert(Scans([scan(f"s{n:02d}", b) for n in range(1, 11) for b in range(11)]), tmp_path)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        assert len(Hdf5Source(tmp_path).keys) == 110
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.2


def test_no_handle_outlives_a_call(tmp_path, assert_same_scans):
    convert(everything(), tmp_path)
    source = Hdf5Source(tmp_path)
    source.read(source.keys[0])
    h5py.File(tmp_path / "s01.h5", "r+").close()  # HDF5 refuses this while a handle of ours is open
    assert_same_scans(source, pickle.loads(pickle.dumps(source)))


def test_forked_worker_reads_the_same(tmp_path):
    convert(everything(), tmp_path)
    source = Hdf5Source(tmp_path)
    expected = [int(source.read(key).image.sum()) for key in source.keys]
    queue = multiprocessing.get_context("fork").SimpleQueue()
    worker = multiprocessing.get_context("fork").Process(
        target=lambda: queue.put([int(source.read(key).image.sum()) for key in source.keys])
    )
    worker.start()
    assert queue.get() == expected
    worker.join()


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


def test_format_is_written_down(subject_file):
    with h5py.File(subject_file) as file:
        about = json.loads(file.attrs["about"])
        assert file["scans"]["bscan"].tolist() == [3, 5]
    assert (about["format"], about["format_version"]) == (hdf5.FORMAT, 1)
    assert about["surface_names"][0] == "ILM"
    assert about["class_names"][1] == "NFL"
    assert about["source_name"] == "hand-made"


def test_folder_in_place_of_a_file_is_never_replaced(tmp_path):
    (tmp_path / "s01.h5").mkdir()
    with pytest.raises(InputError, match=r"s01.h5: cannot be written .*choose a folder with room"):
        convert(Scans([scan()]), tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["s01.h5"]
