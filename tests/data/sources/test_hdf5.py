"""Our HDF5 files: without loss, opened at once, whole or not at all."""

import json
import multiprocessing
import pickle
import time

import h5py
import numpy as np
import pytest

from retseg.bscan import BScan, ScanKey
from retseg.data.sources.duke import DukeSource
from retseg.data.sources.hdf5 import Hdf5Source
from retseg.data.sources.hdf5_convert import convert
from retseg.data.sources.hdf5_subject import FORMAT
from retseg.errors import InputError
from tests.data.sources.hand_made import NUM_COLUMNS, NUM_ROWS, Scans, everything, scan


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
    assert [path.name for path in tmp_path.glob("*.h5*")] == ["s01.h5"]
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


def test_format_is_written_down(subject_file):
    with h5py.File(subject_file) as file:
        about = json.loads(file.attrs["about"])
        assert file["scans"]["bscan"].tolist() == [3, 5]
    assert (about["format"], about["format_version"]) == (FORMAT, 1)
    assert about["surface_names"][0] == "ILM"
    assert about["class_names"][1] == "NFL"
    assert about["source_name"] == "hand-made"


def test_folder_in_place_of_a_file_is_never_replaced(tmp_path):
    (tmp_path / "s01.h5").mkdir()
    with pytest.raises(InputError, match=r"s01.h5: cannot be written .*choose a folder with room"):
        convert(Scans([scan()]), tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["s01.h5"]
