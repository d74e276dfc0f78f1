import shutil

import pytest

from retseg.errors import InputError
from retseg.report.run_folder import unique_names
from tests.report.conftest import read
from tests.report.drawn_run import SCANS, draw_run


def test_all_parts_are_read(full_run):
    (run,) = read(full_run)
    assert (run.letter, run.name, run.data_name, run.unit) == ("A", "full", "drawn", "um")
    assert run.scans == SCANS
    assert run.scan_dice(SCANS[0]) == 1
    assert run.scan_dice("s09_b00") is None
    assert run.find("surface_mean_absolute", "ILM")["value"] == pytest.approx(6)  # 0, 1, 2, 3 rows of 4 um
    assert run.find("dice", "no such layer") is None
    assert run.verdicts == {"reproduced": 1, "contradicted": 1}
    assert [row["layer"] for row in run.explained.verdicts] == ["last", "deep"]


def test_what_is_not_there_is_none_and_has_a_command(bare_run):
    (run,) = read(bare_run)
    assert [run.audit, run.evaluation, run.scan_rows, run.reference, run.explained, run.verdicts] == [None] * 6
    assert run.scans == ()
    assert run.wanting("explanation") == f"retseg explain {bare_run}"


def test_runs_of_one_name_are_told_apart_by_their_parents(tmp_path):
    assert unique_names([tmp_path / "a" / "run", tmp_path / "b" / "run"]) == ["a/run", "b/run"]
    assert unique_names([tmp_path / "a", tmp_path / "b"]) == ["a", "b"]
    with pytest.raises(InputError, match=r"run: named twice; name each run once"):
        unique_names([tmp_path / "run", tmp_path / "x" / ".." / "run"])


@pytest.mark.parametrize("name", ["metrics.json", "metrics.csv", "split.json", "environment.json"])
def test_an_unfinished_run(tmp_path, bare_run, name):
    folder = shutil.copytree(bare_run, tmp_path / "run")
    (folder / name).unlink()
    with pytest.raises(InputError, match=rf"no {name}, training has not finished; go on with .*resume="):
        read(folder)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("split.json", "{", "split.json: cannot be read"),
        ("metrics.json", "[]", "metrics.json: holds a list, expected an object"),
        ("metrics.json", "{}", "metrics.json: not the scores of a training run"),
        ("audit.json", "{}", r"audit.json: no stamp, is_leaky, findings in it; run `retseg audit` on the run again"),
        ("evaluation/metrics.json", '{"stamp": ""}', "no data, split.*run `retseg evaluate` on the run again"),
        ("evaluation/scans.csv", "scan,layer\na,pancreas\n", "layer 'pancreas' of scan 'a' is no row of scans"),
        ("explanation/explanation.json", "{}", "run `retseg explain` on the run again"),
        ("reference.json", "{}", "no intervals in it; run `retseg calibrate` on the run again"),
    ],
)
def test_a_damaged_file(tmp_path, full_run, name, text, said):
    folder = shutil.copytree(full_run, tmp_path / "run")
    (folder / name).write_text(text)
    with pytest.raises(InputError, match=said):
        read(folder)


def test_a_missing_table_is_no_crash(tmp_path, full_run):
    folder = shutil.copytree(full_run, tmp_path / "run")
    (folder / "evaluation" / "scans.csv").unlink()
    with pytest.raises(InputError, match=r"scans\.csv: cannot be read"):
        read(folder)


def test_made_up_scans_are_known_by_name_and_by_labels(tmp_path):
    assert read(draw_run(tmp_path / "a", data_name="phantom", parts=()))[0].is_made_up
    assert read(draw_run(tmp_path / "b", label_origin="exact", parts=()))[0].is_made_up
    assert not read(draw_run(tmp_path / "c", label_origin="silver", parts=()))[0].is_made_up
