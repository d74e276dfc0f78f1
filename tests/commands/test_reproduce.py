"""`retseg reproduce` as it is typed: what it writes, and what it refuses."""

import csv
import json
import shutil
import sys

import pytest

from retseg.__main__ import main
from retseg.reproduction.sweeps import ABLATION_COLUMNS
from tests.reproduction.finished import finished_run

FILES = {"index.html", "verdicts.json", "verdicts.csv"}
FILES |= {f"table{n}.{kind}" for n in (1, 2, 3) for kind in ("csv", "png")}
FILES |= {f"figure{n}.{kind}" for n in (1, 3, 4, 5, 6) for kind in ("png", "pdf")}


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return finished_run(tmp_path_factory.getbasetemp())


@pytest.fixture
def retseg(monkeypatch):
    """Runs the command line in this process; gives its exit code."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["retseg", "reproduce", *map(str, arguments)])
        with pytest.raises(SystemExit) as leave:
            main()
        return leave.value.code

    return run


def refusal(retseg, capsys, *arguments):
    assert retseg(*arguments) == 2
    line = capsys.readouterr().err
    assert line.startswith("retseg: ")
    assert line.count("\n") == 1
    return line


def test_writes_page_tables_figures_and_verdicts_and_replaces_its_own(retseg, run_dir, tmp_path, capsys):
    out = tmp_path / "reports" / "paper"
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    (sweep / "ablation.csv").write_text(",".join(ABLATION_COLUMNS) + "\nbaseline,2,10,.9,.8,.95,,,,\n")
    (tmp_path / "bench.json").write_text('{"seconds_per_scan": 90}')
    assert retseg(run_dir, "-o", out) == 0
    screen = capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == FILES
    assert screen.splitlines()[-1] == str(out / "index.html")
    assert sum(int(line.split()[0]) for line in screen.splitlines()[:5]) == 56
    first = (out / "index.html").read_text()
    assert retseg(run_dir, "-o", out, "--ablation", sweep, "--bench", tmp_path / "bench.json") == 0
    assert (out / "index.html").read_text() != first
    assert list(out.parent.iterdir()) == [out], "no temporary folder is left"
    verdicts = json.loads((out / "verdicts.json").read_text())
    with (out / "verdicts.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == verdicts
    p53 = next(verdict for verdict in verdicts if verdict["id"] == "P53")
    assert p53["verdict"] == "not reproduced", "90 s a scan are more than a minute"


def test_refuses_what_is_no_finished_run(retseg, run_dir, tmp_path, capsys):
    assert "no config.yaml here" in refusal(retseg, capsys, tmp_path / "nowhere")
    half = tmp_path / "half"
    half.mkdir()
    shutil.copy(run_dir / "config.yaml", half)
    line = refusal(retseg, capsys, half)
    assert "no metrics.json, the run is not finished" in line
    assert f"resume={half}" in line
    assert not (half / "reproduction").exists()


def test_refuses_a_folder_that_it_did_not_make(retseg, run_dir, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert "was not made by this command" in refusal(retseg, capsys, run_dir, "-o", tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("content", "message"),
    [("{}", "seconds_per_scan"), ("[]", "seconds_per_scan"), ('{"seconds_per_scan": 0}', "expected a number above 0")],
)
def test_refuses_a_time_that_is_none(retseg, run_dir, tmp_path, capsys, content, message):
    (tmp_path / "bench.json").write_text(content)
    assert message in refusal(retseg, capsys, run_dir, "--bench", tmp_path / "bench.json")


def test_refuses_a_sweep_that_is_not_there(retseg, run_dir, tmp_path, capsys):
    line = refusal(retseg, capsys, run_dir, "--leakage", tmp_path)
    assert f"{tmp_path / 'leakage.csv'}: no such file" in line
    assert "sweep=leakage" in line
