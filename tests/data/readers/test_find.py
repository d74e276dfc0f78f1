import json
import os
import sys
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image

from retseg.bscan import Spacing
from retseg.data.readers.volume import ScanVolume
from retseg.errors import InputError
from tests.data.readers.drawn_scans import drawn, find, line, only, stacked


def png(path: Path, number: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(drawn(number)).save(path, format="PNG")
    return path


def names(*paths, **options):
    return [volume.name for volume in find(*paths, **options).volumes]


def test_folders_recursively_and_mixed_in_natural_order(tmp_path):
    for name in ("b10.png", "b2.png", "eye 1/é=1.png", ".hidden.png", ".git/x.png"):
        png(tmp_path / name)
    np.save(tmp_path / "c.npy", stacked(2))
    np.savez(tmp_path / "d.npz", stacked(2))
    scipy.io.savemat(tmp_path / "m.mat", {"images": stacked(2).transpose(1, 2, 0)})
    with h5py.File(tmp_path / "eye 1" / "h.h5", "w") as file:
        file["images"] = stacked(2)
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / "other.xml").write_text("<?xml version='1.0'?><config/>")
    found = find(tmp_path)
    assert [v.name for v in found.volumes] == ["b2", "b10", "c", "d", "eye 1/h", "eye 1/é=1", "m"]
    assert [path.name for path in found.ignored] == ["notes.txt", "other.xml"]
    assert found.failures == ()


def test_names_of_files_folders_and_several_paths(tmp_path):
    for name in ("x/a.png", "x/sub/a.png", "y/a.png", "x/a.tif"):
        png(tmp_path / name)
    assert names(tmp_path / "x" / "sub" / "a.png") == ["a"]
    assert names(tmp_path / "x" / "sub", tmp_path / "y") == ["a", "a_2"]
    assert names(tmp_path / "x") == ["a_png", "a_tif", "sub/a"]
    assert names(tmp_path / "y" / "a.png", tmp_path / "x") == ["a_png", "a_png_2", "a_tif", "sub/a"]


def test_a_path_inside_another_is_read_once(tmp_path):
    png(tmp_path / "x" / "a.png")
    assert names(tmp_path, tmp_path / "x", tmp_path / "x" / "a.png") == ["x/a"]
    assert names(tmp_path / "x" / "a.png", tmp_path / "x") == ["a"]


def test_loops_of_links_end_and_broken_links_are_told(tmp_path):
    png(tmp_path / "x" / "a.png")
    (tmp_path / "x" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "x" / "self").symlink_to("self")
    (tmp_path / "x" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "x" / "gone.txt").symlink_to(tmp_path / "nowhere.txt")
    found = find(tmp_path)
    assert [volume.name for volume in found.volumes] == ["x/a"]
    assert [text for _, text in found.failures] == [
        f"{tmp_path}/x/gone.png: a link to what is not there; mend or remove it",
        f"{tmp_path}/x/self: a link to what is not there; mend or remove it",
    ]
    with pytest.raises(InputError, match=r"gone\.png: a link to what is not there; name scans"):
        find(tmp_path / "x" / "gone.png")


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path, monkeypatch):
    for name in ("a.png", "b.png", "shut/c.png"):
        png(tmp_path / name)
    scan_folder, open_file = os.scandir, Path.open

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", lambda path: refuse(path) if Path(path).name == "shut" else scan_folder(path))
    monkeypatch.setattr(
        Path, "open", lambda path, *a, **k: refuse(path) if path.name == "b.png" else open_file(path, *a, **k)
    )
    found = find(tmp_path)
    assert [volume.name for volume in found.volumes] == ["a"]
    assert [text.partition(" (")[0] for _, text in found.failures] == [
        f"{tmp_path}/b.png: cannot be read",
        f"{tmp_path}/shut: cannot be listed",
    ]


def test_a_pipe_is_never_opened(tmp_path):
    png(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    found = find(tmp_path)
    assert ([v.name for v in found.volumes], found.ignored) == (["a"], (tmp_path / "pipe.png",))
    with pytest.raises(InputError, match=r"pipe\.png: neither a file nor a folder"):
        find(tmp_path / "pipe.png")


def test_paths_that_start_nothing(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such file or folder; name scans \(\.png, \.jpg, .*\.fda"):
        find(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(
        InputError, match=r"notes\.txt: no known kind of scan; expected \.png, .* DICOM files of any name"
    ):
        find(tmp_path / "notes.txt")
    (tmp_path / "empty" / "inside").mkdir(parents=True)
    with pytest.raises(InputError, match=r"empty: no scan among its 0 files; looked for \.png"):
        find(tmp_path / "empty")
    with pytest.raises(InputError, match="no scan among its 1 files"):
        find(tmp_path)


def test_first_bytes_count_where_an_ending_lies(tmp_path):
    png(tmp_path / "a.jpg")
    png(tmp_path / "b")
    np.save(tmp_path / "c.npy", drawn(1))
    (tmp_path / "c.npy").rename(tmp_path / "c.npz")
    png(tmp_path / "d.txt")
    found = find(tmp_path)
    assert [volume.name for volume in found.volumes] == ["a", "b", "c"]
    for volume, number in zip(found.volumes, (0, 0, 1), strict=True):
        np.testing.assert_array_equal(volume.read(0).image, drawn(number))
    assert [path.name for path in found.ignored] == ["d.txt"]


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("Subject_01.mat", b"<!DOCTYPE html><html>", "an HTML page saved as .mat, no scan; download it again"),
        ("a.png", b"\n<html><body>404", "an HTML page saved as .png, no scan; download it again"),
        ("a.mat", b"", "empty (0 bytes); copy or download it again"),
        ("a.png", b"", "empty (0 bytes); copy or download it again"),
        ("a.png", b"some text", "no PNG, JPEG, TIFF or BMP picture of 8, 16 or 32 bits; save it as one"),
    ],
)
def test_files_that_are_something_else(tmp_path, name, content, text):
    (tmp_path / name).write_bytes(content)
    assert line(tmp_path) == f"{tmp_path / name}: {text}"


def test_what_predict_wrote_is_no_scan(tmp_path):
    png(tmp_path / "a.png")
    png(tmp_path / "out" / "eye" / "a_mask.png")
    png(tmp_path / "other" / "b.png")
    (tmp_path / "out" / "run.json").write_text(json.dumps({"command": "retseg predict"}))
    (tmp_path / "other" / "run.json").write_text(json.dumps({"command": "somebody else's"}))
    found = find(tmp_path)
    assert [volume.name for volume in found.volumes] == ["a", "other/b"]
    assert {path.name for path in found.ignored} == {"run.json", "a_mask.png"}
    with pytest.raises(InputError, match=r"out: its run\.json says that retseg predict wrote it; name the folder of"):
        find(tmp_path / "out")


def volume_of(path, name="v", num_bscans=1):
    return ScanVolume(name, path, "stub", tuple(range(num_bscans)), lambda number: None, num_bscans)


@pytest.fixture
def stubs(monkeypatch):
    """Stand-ins for the readers of DICOM and of vendors' files; what they were asked to open."""
    asked = []

    def open_dicom(paths):
        asked.append([path.name for path in paths])
        if damaged := [path for path in paths if b"damaged" in path.read_bytes()]:
            raise InputError(f"{damaged[0]}: damaged")
        return [volume_of(paths[0].parent if len(paths) > 1 else paths[0], num_bscans=len(paths))]

    def open_vendor(path):
        asked.append(path.name)
        return [volume_of(path, "eye_OD"), volume_of(path, "eye_OS")]

    for name, function in (("dicom", open_dicom), ("vendor", open_vendor)):
        module = ModuleType(f"retseg.data.readers.{name}")
        setattr(module, function.__name__, function)
        monkeypatch.setitem(sys.modules, f"retseg.data.readers.{name}", module)
    return asked


def dicom(path, content=b""):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(128) + b"DICM" + content)


def test_dicom_of_any_name_is_opened_a_folder_at_a_time(tmp_path, stubs):
    dicom(tmp_path / "x" / "IM10")
    dicom(tmp_path / "x" / "IM2.1.840")
    dicom(tmp_path / "x" / "b.dat")
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "c.DCM").write_bytes(b"without its preamble")
    assert names(tmp_path) == ["x", "y/c"]
    assert stubs == [["b.dat", "IM2.1.840", "IM10"], ["c.DCM"]]
    assert names(tmp_path / "x") == ["x"]
    assert names(tmp_path / "x" / "IM2.1.840") == ["IM2.1.840"]


def test_one_damaged_dicom_file_does_not_stop_the_others_of_its_folder(tmp_path, stubs):
    for name in ("a", "b", "c"):
        dicom(tmp_path / "x" / name, b"damaged" if name == "b" else b"")
    found = find(tmp_path)
    assert [volume.num_bscans for volume in found.volumes] == [2]
    assert found.failures == ((tmp_path / "x" / "b", f"{tmp_path}/x/b: damaged"),)


def test_volumes_of_one_vendor_file_have_names_of_their_own_and_the_users_options(tmp_path, stubs):
    (tmp_path / "eye.E2E").write_bytes(b"CMDb")
    found = find(tmp_path, spacing=Spacing(3.9, 11.0, "user"), eye="OD")
    assert [volume.name for volume in found.volumes] == ["eye_OD", "eye_OS"]
    assert {volume.spacing.axial_um for volume in found.volumes} == {3.9}
    assert {volume.eye for volume in found.volumes} == {"OD"}


def test_pictures_of_a_heidelberg_export_are_read_through_its_xml(tmp_path, stubs):
    xml = "<?xml version='1.0'?><HEDX><BODY><ExamURL>\\\\server\\share\\1A2B.tif</ExamURL></BODY></HEDX>"
    (tmp_path / "export.xml").write_text(xml)
    png(tmp_path / "1a2b.TIF")
    png(tmp_path / "alone.png")
    found = find(tmp_path)
    assert [volume.name for volume in found.volumes] == ["alone", "export_eye_OD", "export_eye_OS"]
    assert found.ignored == (tmp_path / "1a2b.TIF",)


def test_volumes_are_read_side_by_side(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    import tifffile

    for name in ("u", "v", "w"):
        tifffile.imwrite(tmp_path / f"{name}.tif", stacked(12), photometric="minisblack", compression="zlib")
    volumes = find(tmp_path).volumes
    work = [(volume, number) for number in range(12) for volume in volumes]
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(lambda item: item[0].read(item[1]).image, work))
    for (_, number), image in zip(work, images, strict=True):
        np.testing.assert_array_equal(image, drawn(number))


def test_one_volume_of_a_named_file(tmp_path):
    assert only(png(tmp_path / "a b=ü.png")).name == "a b=ü"
