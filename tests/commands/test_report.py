import os
import re
import shutil

import pytest

from retseg.commands import report as command
from tests.report.conftest import full_run  # noqa: F401  a run folder drawn by hand: nothing is trained here
from tests.report.drawn_run import SCANS, draw_run

HEAD = "run,scan,verdict,comment\n"


def test_a_page_of_one_run_lies_in_its_folder(tmp_path, full_run, retseg):  # noqa: F811
    folder = shutil.copytree(full_run, tmp_path / "run")
    code, out, err = retseg("report", folder)
    assert (code, err) == (0, "")
    assert out.startswith(f"{folder / 'report.html'}: 0.")
    assert out.endswith(" MB, 4 scans, 0 marks\n")
    page = (folder / "report.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "retseg evaluate" in page
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


def test_several_runs_with_marks_without_pixels(tmp_path, full_run, retseg):  # noqa: F811
    other = draw_run(tmp_path / "other", label_origin="silver", parts=("evaluation",))
    marks = tmp_path / "marks.csv"
    marks.write_text(HEAD + f"full,{SCANS[1]},fail,'=1+1\n")
    target = tmp_path / "made" / "both.html"
    code, out, _ = retseg("report", full_run, other, "-o", target, "--marks", marks, "--no-pixels", "--scans", 1, "-q")
    assert code == 0
    assert re.fullmatch(rf"{target}: 0\.\d MB, 3 scans, 1 mark\n", out)
    page = target.read_text("utf-8")
    assert "=1+1" in page
    assert "'=1+1" not in page
    assert "data:image/webp" not in page
    assert f"retseg audit {other}" in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent"], "absent: no such folder; name a run folder, e.g. runs/phantom/2026-01-31_10-00-00"),
        (["."], ".: no config.yaml here; name a run folder"),
        (["FULL", "FULL", "-o", "x.html"], "named twice; name each run once"),
        (["FULL", "OTHER"], "2 runs and no file to write; name one with -o, e.g. -o report.html"),
        (["FULL"] * 5, "5 runs: at most 4 fit side by side; make several reports"),
        (["FULL", "-o", "."], "-o .: is a folder; name a file in it, e.g. report.html"),
        (["FULL", "-o", "old.html"], "old.html: is there already; give --overwrite, or another file with -o"),
        (["FULL", "-o", "x.html", "--marks", "none.csv"], "--marks none.csv: no such file; export marks from a report"),
        (["FULL", "-o", "x.html", "--marks", "old.html"], "old.html: begins with 'old', expected the columns run,scan"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(
    tmp_path, full_run, retseg, monkeypatch, arguments, said  # noqa: F811
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.html").write_text("old")
    names = {"FULL": full_run, "OTHER": draw_run(tmp_path / "other", parts=())}
    before = sorted(path.name for path in tmp_path.iterdir())
    code, out, err = retseg("report", *(names.get(argument, argument) for argument in arguments))
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "old.html").read_text() == "old"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data: [", "cannot be read"),
        ("data: ${oc.env:HOME}\nmodel: 1\noptimizer: 1\n", "holds an interpolation (${...})"),
        ("just: words\n", "not the configuration of a run (no data and no model); name a run folder"),
    ],
)
def test_a_damaged_configuration(tmp_path, full_run, retseg, text, said):  # noqa: F811
    folder = shutil.copytree(full_run, tmp_path / "run")
    (folder / "config.yaml").write_text(text)
    code, _, err = retseg("report", folder)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
    assert not (folder / "report.html").exists()


def test_an_old_page_stays_where_the_new_one_fails_and_goes_where_it_is_asked_to(
    tmp_path, full_run, retseg, monkeypatch  # noqa: F811
):  # fmt: skip
    target = tmp_path / "page.html"
    target.write_text("old")
    monkeypatch.setattr(command, "LARGEST_MB", 0.01)
    code, _, err = retseg("report", full_run, "-o", target, "--overwrite")
    assert code == 2
    assert "would be 0." in err
    assert "MB, at most 0.01 are written; take fewer --scans or runs" in err
    assert target.read_text() == "old"
    monkeypatch.undo()
    monkeypatch.setattr(os, "fsync", _full_disk)
    code, _, err = retseg("report", full_run, "-o", target, "--overwrite")
    assert (code, target.read_text()) == (2, "old")
    assert "page.html: cannot be written (No space left on device, " in err
    assert "MiB free); make room and start again, or choose another folder with -o" in err
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    monkeypatch.undo()


def _full_disk(_descriptor):
    raise OSError(28, "No space left on device")


def test_help_has_examples(retseg):
    code, out, _ = retseg("report", "--help")
    assert code == 0
    assert "retseg report RUN --marks marks.csv -o reviewed.html" in out
