"""Names made to harm, of files and inside them: one line, and nothing outside the output folder."""

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from retseg.data.readers.names import safe_name
from retseg.data.sources.phantom import PhantomSource
from tests.commands.conftest import retseg  # noqa: F401  a fixture
from tests.data.readers.dicom_made import oct_dataset, ramp, save
from tests.data.readers.drawn_scans import drawn, find, line


def test_a_message_is_one_printable_line_whatever_a_file_is_called(tmp_path):
    path = tmp_path / "a\nretseg: all is well\x1b[2K\u202e.png"
    path.write_bytes(b"none")
    text = line(path)
    assert text.isprintable()
    assert r"a\nretseg: all is well\x1b[2K\u202e.png: no PNG" in text


HOSTILE_NAMES = (
    "-o.png", "--help.png", "a b=1.png", "ü é.png", "new\nline.png", "\x1b[31mred.png", "x\\..\\..\\evil.png",
    "CON.png", "x" * 251 + ".png", "a.png.png", "%2e%2e%2fevil.png", "$(touch evil).png", "a;b&c.png",
    "{x}.png", "[bold].png",
)  # fmt: skip


def test_names_of_scans_stay_below_a_folder(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in (*HOSTILE_NAMES, os.fsdecode(b"\xff\xfe.png")):
        Image.fromarray(drawn()).save(folder / name, format="PNG")
    names = [volume.name for volume in find(folder).volumes]
    assert len({name.casefold() for name in names}) == len(HOSTILE_NAMES) + 1
    for name in names:
        assert name == safe_name([name]), name  # one part, and nothing in it that has to be replaced
        assert len(f"{name}_b010_overlay.png".encode()) <= 255
        (tmp_path / f"{name}_b010_overlay.png").touch()


def test_names_inside_files_reach_no_path(tmp_path):
    np.savez(tmp_path / "a.npz", **{"../../evil": drawn()})
    dataset = oct_dataset(ramp(2), PatientID="../../evil", SeriesInstanceUID="1.2.3")
    save(dataset, tmp_path / "b.dcm")
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["..\\..\\evil"] = drawn()
    assert [volume.name for volume in find(tmp_path).volumes] == ["a", "b", "c"]


def test_predict_writes_nothing_outside_its_folder(tmp_path: Path, retseg: Callable[..., tuple[int, str, str]]):  # noqa: F811
    source = PhantomSource(height=64, width=96, num_subjects=1, bscans_per_subject=1)
    scan = source.read(source.keys[0]).image.astype(np.uint8)
    folder = tmp_path / "scans"
    folder.mkdir()
    names = ("-o.png", "new\nline.png", "x\\..\\..\\evil.png", "x" * 251 + ".png")
    for name in names:
        Image.fromarray(scan).save(folder / name, format="PNG")
    np.savez(folder / "y.npz", **{"../../evil": scan})
    save(oct_dataset(np.stack([scan, scan]), PatientID="../../../evil"), folder / "z.dcm")
    before = set(tmp_path.rglob("*"))
    code, said, error = retseg("predict", folder, "-o", tmp_path / "out", "--predict-anyway")
    assert (code, error) == (0, ""), said
    new = set(tmp_path.rglob("*")) - before
    assert {path.relative_to(tmp_path).parts[0] for path in new} == {"out"}
    assert {path for path in tmp_path.parent.iterdir() if "evil" in path.name} == set()
    masks = list((tmp_path / "out").rglob("*_mask.png"))
    assert len(masks) == len(names) + 3
