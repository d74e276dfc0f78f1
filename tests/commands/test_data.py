"""`retseg data` as it is typed, in a process of its own where the exit code counts."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from retseg import __version__
from retseg.__main__ import app, main
from retseg.data.sources.download import DUKE_PAGE
from retseg.data.sources.hdf5 import Hdf5Source
from retseg.data.sources.paper_arrays import PaperArraysSource


@pytest.fixture
def arrays(tmp_path) -> Path:
    """A folder with the first 22 scans of the paper's arrays, 4 x 6 pixels."""
    folder = tmp_path / "arrays"
    folder.mkdir()
    images = np.broadcast_to(np.arange(24).reshape(4, 6), (22, 4, 6))
    np.save(folder / "resized_images.npy", images)
    np.save(folder / "resized_labeledimages.npy", images % 8)
    return folder


def retseg(monkeypatch, capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `retseg ARGUMENTS`."""
    monkeypatch.setattr(sys, "argv", ["retseg", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    captured = capsys.readouterr()
    return left.value.code or 0, captured.out, captured.err


def test_convert_says_what_it_did(monkeypatch, capsys, tmp_path, arrays):
    out = tmp_path / "h5"
    options = ("--source", "paper_arrays", "--root", arrays, "-o", out, "--label-origin", "silver")
    code, said, errors = retseg(monkeypatch, capsys, "data", "convert", *options)
    assert (code, errors) == (0, "")
    first, *notes = said.splitlines()
    assert first.startswith(f"{out}: 22 B-scans in 2 files, 0.0 MB, ")
    assert first.endswith("(Duke DME (the paper's arrays), labels silver)")
    assert notes == [f"note: {arrays}: arrays (22, 4, 6), the paper's are (220, 216, 500); pixel size unknown"]
    assert Hdf5Source(out).keys == PaperArraysSource(arrays).keys
    assert Hdf5Source(out).label_origin == "silver"


def test_convert_makes_up_a_phantom(monkeypatch, capsys, tmp_path):
    options = ("--source", "phantom", "--num-subjects", 1, "--seed", 3, "-o", tmp_path)
    code, said, _ = retseg(monkeypatch, capsys, "data", "convert", *options)
    assert code == 0
    assert "11 B-scans in 1 files" in said
    assert "(phantom, labels exact)" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == [".retseg_index", "s01.h5"]


def test_index_is_written_anew_and_refused_where_nothing_is(monkeypatch, capsys, tmp_path):
    retseg(monkeypatch, capsys, "data", "convert", "-s", "phantom", "--num-subjects", 1, "-o", tmp_path)
    (tmp_path / ".retseg_index").write_bytes(b"damaged")
    code, said, _ = retseg(monkeypatch, capsys, "data", "index", tmp_path)
    assert (code, said) == (0, f"{tmp_path}: 1 file(s) in .retseg_index\n")
    assert Hdf5Source(tmp_path).notices == ()
    code, _, told = retseg(monkeypatch, capsys, "data", "index", tmp_path / "gone")
    assert code == 2
    assert (
        told == f"retseg: {tmp_path / 'gone'}: no file of `retseg data convert` here; name the folder that holds them\n"
    )


def test_convert_overwrites_when_told(monkeypatch, capsys, tmp_path, arrays):
    options = ("data", "convert", "--source", "paper_arrays", "--root", arrays, "-o", tmp_path / "h5")
    assert retseg(monkeypatch, capsys, *options)[0] == 0
    code, said, errors = retseg(monkeypatch, capsys, *options)
    assert (code, said) == (2, "")
    assert errors.splitlines() == [
        f"retseg: {tmp_path / 'h5' / 's01.h5'}: is there already; choose an empty folder, or say --overwrite"
    ]
    assert retseg(monkeypatch, capsys, *options, "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--source", "duke"), "--source duke needs --root, the folder that holds the scans"),
        (("--source", "phantom", "--strict"), "--strict does not fit --source phantom; leave it out"),
        (("--source", "hdf5", "--label-origin", "x"), "--label-origin does not fit --source hdf5; leave it out"),
    ],
)
def test_options_that_do_not_fit(monkeypatch, capsys, tmp_path, options, said):
    code, _, errors = retseg(monkeypatch, capsys, "data", "convert", *options, "-o", tmp_path / "h5")
    assert (code, errors) == (2, f"retseg: {said}\n")
    assert not (tmp_path / "h5").exists()


def test_describe_prints_tables_and_writes_nothing(monkeypatch, capsys, tmp_path, arrays):
    monkeypatch.chdir(tmp_path)
    code, said, errors = retseg(monkeypatch, capsys, "data", "describe", "-s", "paper_arrays", "--root", arrays)
    assert (code, errors) == (0, "")
    assert max(map(len, said.splitlines())) <= 100
    assert "22 of 2 subjects" in said
    assert "4 x 6: 22 (rows x columns); uint8: 22" in said
    assert "Layer thickness" not in said  # masks alone
    background = next(line.split() for line in said.splitlines() if line.split()[:1] == ["background"])
    assert background == ["background", "66", "12.50", "-", "8.0", "6.5"]  # gray 0, 8, 16 in each of 22 scans
    assert "pixel size unknown" in said
    assert [path.name for path in tmp_path.iterdir()] == ["arrays"]


def test_describe_writes_numbers_and_figures(monkeypatch, capsys, tmp_path):
    out = tmp_path / "new" / "report"
    options = ("--source", "phantom", "--num-subjects", 2, "--seed", 3, "--samples", 1, "-o", out)
    code, said, errors = retseg(monkeypatch, capsys, "data", "describe", *options)
    assert (code, errors) == (0, "")
    figures = {
        f"{name}.{end}" for name in ("samples", "gray_levels", "class_balance", "thickness") for end in ("png", "pdf")
    }
    assert {path.name for path in out.iterdir()} == figures | {"description.json", "per_subject.csv"}
    assert said.splitlines()[-1].startswith(f"{out}: description.json, per_subject.csv, samples.png")
    numbers = json.loads((out / "description.json").read_text())
    assert (numbers["name"], numbers["label_origin"], numbers["graders"]) == ("phantom", "exact", {"1": 22})
    assert numbers["image_shapes"] == {"216 x 500": 22}
    assert numbers["overall"]["gray"]["num_pixels"] == 22 * 216 * 500 == sum(numbers["labels"].values())
    rows = list(csv.DictReader((out / "per_subject.csv").read_text().splitlines()))
    assert [row["subject"] for row in rows] == ["s01", "s02"]
    assert float(rows[1]["share_NFL"]) == numbers["subjects"][1]["classes"][1]["share"]
    assert float(rows[0]["thickness_um_OS-RPE"]) == numbers["subjects"][0]["thickness"][6]["mean_um"]


def test_describe_numbers_of_a_hand_made_source(monkeypatch, capsys, tmp_path, arrays):
    """Each scan holds labels 0..7 three times, with gray levels k, k + 8, k + 16."""
    code, _, _ = retseg(
        monkeypatch, capsys, "data", "describe", "-s", "paper_arrays", "--root", arrays, "-o", tmp_path / "out"
    )
    assert code == 0
    assert not (tmp_path / "out" / "thickness.png").exists()
    numbers = json.loads((tmp_path / "out" / "description.json").read_text())
    assert numbers["labels"] == {str(label): 66 for label in range(8)}
    assert numbers["overall"]["classes"][7]["gray_mean"] == 15
    assert numbers["overall"]["classes"][7]["share_of_layers"] == 1 / 7
    assert numbers["overall"]["thickness"][0]["mean_um"] is None
    row = next(csv.DictReader((tmp_path / "out" / "per_subject.csv").read_text().splitlines()))
    assert (row["gray_mean"], row["thickness_um_NFL"]) == ("11.5", "")


def test_describe_refuses_a_wrong_folder_in_one_line(monkeypatch, capsys, tmp_path, arrays):
    code, said, errors = retseg(monkeypatch, capsys, "data", "describe", "-s", "hdf5", "--root", tmp_path / "gone")
    assert (code, said, errors.count("\n")) == (2, "", 1)
    assert errors.startswith(f"retseg: {tmp_path / 'gone'}: no .h5 file here")
    options = ("data", "describe", "-s", "paper_arrays", "--root", arrays, "-o")
    taken = arrays / "resized_images.npy"
    code, said, errors = retseg(monkeypatch, capsys, *options, taken)
    assert (code, said) == (2, "")
    assert errors == f"retseg: {taken}: cannot be made a folder (File exists); choose another with -o\n"
    (tmp_path / "out" / "description.json").mkdir(parents=True)
    code, _, errors = retseg(monkeypatch, capsys, *options, tmp_path / "out")
    place = tmp_path / "out" / "description.json"
    assert (code, errors) == (2, f"retseg: {place}: cannot be written (Is a directory); choose another with -o\n")


def test_download_without_a_network_is_one_line(monkeypatch, capsys, tmp_path):
    code, _, errors = retseg(
        monkeypatch, capsys, "data", "download", tmp_path, "-q", "--url", "http://127.0.0.1:1/a.zip"
    )
    assert code == 2
    assert errors.count("\n") == 1
    assert errors.startswith("retseg: http://127.0.0.1:1/a.zip: download failed (")
    assert DUKE_PAGE in errors


def test_wrong_input_leaves_with_2_and_debug_shows_the_traceback(tmp_path):
    command = ["data", "convert", "--source", "duke", "--root", str(tmp_path / "gone"), "-o", str(tmp_path)]

    def typed(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "retseg", *arguments], capture_output=True, text=True, check=False)

    short, long = typed(*command), typed("--debug", *command)
    assert short.returncode == 2
    assert short.stderr.startswith(f"retseg: {tmp_path / 'gone'}: no such folder; get the files from")
    assert short.stderr.count("\n") == 1
    assert "Traceback" in long.stderr
    assert long.returncode == 1


def test_version_and_help(monkeypatch, capsys):
    assert retseg(monkeypatch, capsys, "--version")[:2] == (0, f"retseg {__version__}\n")
    for command in ("describe", "convert", "download"):
        result = CliRunner().invoke(app, ["data", command, "--help"], env={"COLUMNS": "200"})
        assert result.exit_code == 0
        assert f"retseg data {command} " in result.stdout.split("In use:")[1]


@pytest.mark.parametrize("command", ["describe", "convert"])
def test_help_imports_nothing_heavy(command):
    code = (
        "import sys; from typer.testing import CliRunner; from retseg.__main__ import app; "
        f"assert CliRunner().invoke(app, ['data', '{command}', '--help']).exit_code == 0; "
        "heavy = {'torch', 'lightning', 'numpy', 'scipy', 'h5py', 'pooch', 'hydra', 'matplotlib'}; "
        "print(*sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
