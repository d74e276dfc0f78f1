"""`retseg audit` as it is typed, and what training does with the audit of its split."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from retseg.__main__ import main
from retseg.data.sources.hdf5_convert import convert
from retseg.data.sources.phantom import PhantomSource
from retseg.data.sources.phantom_export import write_duke_mat
from tests.conftest import TINY

TWO_GRADERS = PhantomSource(num_subjects=3, bscans_per_subject=2, height=64, width=96, num_graders=2)
LEAKY = [option for option in TINY if not option.startswith("split.")] + ["split=paper", "data.source.num_graders=2"]


@pytest.fixture
def retseg(monkeypatch, capsys):
    """Exit code, standard output and standard error of `retseg ARGUMENTS`."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["retseg", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "100")
        with pytest.raises(SystemExit) as left:
            main()
        captured = capsys.readouterr()
        return left.value.code or 0, captured.out, captured.err

    return run


@pytest.fixture
def split_file(tmp_path):
    def write(**sides):
        path = tmp_path / "members.json"
        path.write_text(json.dumps(sides))
        return path

    return write


def row(said, name):
    """Cells of a printed table's row."""
    return next(line for line in said.splitlines() if line.startswith(f"│ {name} ")).strip("│ ").split("│")


def found(said, name):
    """The columns found, by ids and by content of a row."""
    return [cell.strip() for cell in row(said, name)[1:4]]


def test_a_split_file_beside_hdf5_files(retseg, tmp_path, split_file):
    convert(TWO_GRADERS, tmp_path / "h5")
    leaky = split_file(train=["s01_b00_g1", "s02"], val=["s01_b00_g2", "s03"])
    code, said, errors = retseg("audit", leaky, "--data", tmp_path / "h5", "-o", tmp_path / "new" / "audit.json")
    assert (code, errors) == (0, "")
    assert found(said, "copies") == found(said, "other grader") == ["1 of 5", "1", "1"]
    assert found(said, "subjects") == ["1 of 2", "1", "1"]
    assert found(said, "val pairs") == ["2 pairs", "2", "2"]
    assert "s01_b00_g2 ~ s01_b00_g1" in said
    assert "neighbours    next B-scans of one volume: the same subject, and no B-scan of the split in between" in said
    stamp = "leaky split: 1 of 5 validation B-scans are also in training, 1 of 2 subjects are on both sides"
    assert said.splitlines()[-1] == stamp
    assert json.loads((tmp_path / "new" / "audit.json").read_text())["stamp"] == stamp
    assert retseg("audit", leaky, "--data", tmp_path / "h5", "--fail")[0] == 1
    apart = split_file(train=["s01"], val=["s02"], test=[4, 5])
    code, said, _ = retseg("audit", apart, "--data", tmp_path / "h5", "--fail")
    assert (code, said.splitlines()[-1]) == (0, "subjects apart (1 held out)")
    assert "test (2 B-scans) against validation (4)" in said


def test_duke_files_and_the_papers_arrays_are_known_by_their_names(retseg, tmp_path, split_file):
    write_duke_mat(TWO_GRADERS, tmp_path / "mat", num_bscans=3, annotated_bscans=(0, 2))
    (tmp_path / "arrays").mkdir()
    images = np.stack([TWO_GRADERS.read(key).image for key in TWO_GRADERS.keys]).astype(np.int64)
    np.save(tmp_path / "arrays" / "resized_images.npy", images)
    np.save(tmp_path / "arrays" / "resized_labeledimages.npy", np.zeros(images.shape))
    split = split_file(train=[0, 1, 2], val=[6])
    code, said, _ = retseg("audit", split, "--data", tmp_path / "mat")
    assert (code, found(said, "other grader")) == (0, ["1 of 1", "1", "1"])
    code, said, _ = retseg("audit", split, "--data", tmp_path / "arrays")
    assert (code, found(said, "identical")) == (0, ["1 of 1", "0", "1"])
    code, said, _ = retseg("audit", split, "--data", tmp_path / "arrays", "--content-only")
    assert (code, found(said, "subjects")) == (0, ["unknown", "-", "-"])
    assert said.splitlines()[-1] == (
        "leaky split: 1 of 1 validation B-scans are also in training (1 identical), subjects unknown"
    )


def test_plain_images_are_compared_by_content(retseg, tmp_path, split_file):
    folder = tmp_path / "images"
    folder.mkdir()
    images = [TWO_GRADERS.read(key).image for key in TWO_GRADERS.keys[:3]]
    for name, image in zip(("a", "b", "c"), images, strict=True):
        Image.fromarray(image).save(folder / f"{name}.png")
    Image.fromarray(images[0][:, ::-1]).save(folder / "d.tif")
    split = split_file(train=["a.png", 1], val=["c", "d.tif"])
    code, said, errors = retseg("audit", split, "--data", folder)
    assert (code, errors) == (0, "")
    assert found(said, "mirrored") == ["1 of 2", "-", "1"]
    assert found(said, "other grader") == ["unknown", "-", "-"]
    assert "d.tif ~ a.png" in said
    assert said.splitlines()[-1].endswith("in training (1 mirrored), subjects unknown")


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ({"train": ["s01"], "val": ["s77"]}, "members.json, val: no scan or subject 's77' among the 110 of the data"),
        ({"train": ["s01"], "val": [110]}, "members.json, val: index 110, the data has scans 0 to 109"),
        ({"train": [], "val": [1]}, "members.json: train is empty, expected a list of at least one scan"),
    ],
)
def test_wrong_members_are_one_line_and_exit_code_2(retseg, split_file, sides, message):
    code, said, errors = retseg("audit", split_file(**sides), "--source", "phantom")
    assert (code, said, errors.count("\n")) == (2, "", 1)
    assert message in errors


def test_wrong_places_are_one_line_and_exit_code_2(retseg, tmp_path, split_file):
    split = split_file(train=[0], val=[1])
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, message in (
        (("gone",), "gone: no such file or folder; name a run folder or a JSON split file"),
        ((split,), f"{split}: a split file needs --data"),
        ((split, "--data", tmp_path / "gone"), f"{tmp_path / 'gone'}: no such file or folder"),
        ((split, "--data", empty), f"{empty}: no image here; looked for .png"),
        ((split, "--data", empty, "-s", "duke"), f"{empty}: no Subject_XX.mat here"),
        ((empty,), f"{empty}: no config.yaml here"),
        ((empty, "-s", "duke"), f"{empty}: a run names its source itself; leave --source out"),
    ):
        code, said, errors = retseg("audit", *arguments)
        assert (code, said, errors.count("\n")) == (2, "", 1)
        assert errors.startswith(f"retseg: {message}")
    code, _, errors = retseg("audit", split, "-s", "phantom", "-o", split / "audit.json")
    assert code == 2
    assert "cannot be written" in errors


def test_training_writes_its_audit_and_stamps_every_score_with_it(train, retseg, capsys):
    folder = train("leaky", "trainer.max_epochs=1", "data.cache=false", "data.num_workers=1", tiny=LEAKY)
    screen = capsys.readouterr().out
    saved = json.loads((folder / "audit.json").read_text())
    assert saved["stamp"].startswith("leaky split: ")
    assert f"split        paper: {saved['stamp']}\n" in screen
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["stamp"] == metrics["split"]["stamp"] == saved["stamp"]
    split = json.loads((folder / "split.json").read_text())
    shared = next(row for row in saved["findings"] if row["kind"] == "identical")
    assert shared["by_ids"] == shared["by_content"] == len(split["shared_scans"]) > 0
    (folder / "audit.json").unlink()
    code, said, _ = retseg("audit", folder)
    assert (code, said.splitlines()[-1]) == (0, saved["stamp"])
    assert json.loads((folder / "audit.json").read_text()) == saved
    code, _, errors = retseg("audit", folder, "--data", folder)
    assert (code, errors.count("\n")) == (2, 1)
    assert "its scans lie in no folder (retseg.data.sources.phantom.PhantomSource); leave --data out" in errors


def test_a_run_whose_data_has_moved(train, retseg, tmp_path):
    convert(TWO_GRADERS, tmp_path / "old")
    options = ("data=hdf5", f"data.root={tmp_path / 'old'}", "split.subjects=[2]", "callbacks.gradcam=null")
    small = ("model.width=2", "data.size=[64,64]", "trainer.max_epochs=1", "logger=csv", "callbacks.predictions=null")
    folder = train("moved", *options, *small, tiny=())
    (tmp_path / "old").rename(tmp_path / "new")
    assert retseg("audit", folder)[0] == 2
    code, said, _ = retseg("audit", folder, "--data", tmp_path / "new", "--fail")
    assert (code, said.splitlines()[-1]) == (0, "subjects apart (1 held out)")


def test_audit_fail_refuses_a_leaky_split_before_anything_is_written(train, tmp_path, capsys):
    with pytest.raises(SystemExit) as leave:
        train("refused", "audit.fail=true", "logger=csv_wandb", tiny=LEAKY)
    errors = capsys.readouterr().err
    assert leave.value.code == 2
    assert errors.startswith("retseg: audit.fail=true: leaky split: ")
    assert errors.count("\n") == 1
    assert not [path for path in (tmp_path / "refused").rglob("*") if path.is_file()]


def test_audit_fail_lets_subjects_apart_train(train):
    folder = train("apart", "audit.fail=true", "trainer.max_epochs=1")
    assert json.loads((folder / "audit.json").read_text())["verdict"] == "apart"
