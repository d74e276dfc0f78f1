"""`retseg measure` as it is typed: the numbers of evaluate, and anybody's files."""

import json
import subprocess
import sys

import numpy as np
import pytest

from retseg.commands.evaluate import evaluate_run
from tests.evaluation.drawn import ONE_DEEPER, TRUTH

OF_PROBABILITIES = ("paper_", "ece", "temperature")


def test_saved_predictions_measure_as_they_were_evaluated(own_run, tmp_path, retseg):
    evaluate_run(own_run, quiet=True, figures=False)
    saved = own_run / "evaluation"
    arguments = (saved / "predictions", saved / "truth", "--second", saved / "second", "-o", tmp_path / "out")
    code, screen, _ = retseg("measure", *arguments, "--no-figures")
    assert code == 0
    expected, found = (json.loads((folder / "metrics.json").read_text()) for folder in (saved, tmp_path / "out"))
    rows = [row for row in expected["scores"] if not row["score"].startswith(OF_PROBABILITIES)]
    assert found["scores"] == rows
    assert found["misclassification"] == expected["misclassification"]
    assert (tmp_path / "out" / "scans.csv").read_bytes() == (saved / "scans.csv").read_bytes()
    assert "NOT a human ceiling" in screen
    assert "calibration and the paper's soft scores need probabilities" in screen


@pytest.fixture
def folders(tmp_path):
    """A prediction one pixel too deep, and its truth, of two subjects."""
    for name, mask in (("found", ONE_DEEPER), ("true", TRUTH)):
        (tmp_path / name).mkdir()
        for stem in ("anna-1", "anna-2", "bert-1"):
            np.save(tmp_path / name / f"{stem}.npy", mask)
    return tmp_path / "found", tmp_path / "true"


def test_a_pixel_size_and_subjects_given(folders, tmp_path, retseg):
    options = ("--spacing", "4,11", "--subject-pattern", "^([a-z]+)", "-o", tmp_path / "out")
    code, screen, _ = retseg("measure", *folders, *options)
    assert code == 0
    assert "3 scans of 2 subjects" in screen
    assert "in um" in screen
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    row = next(row for row in found["scores"] if row["score"] == "surface_mean_absolute" and row["of"] == "BM")
    assert (row["value"], row["unit"], row["num_subjects"]) == (4, "um", 2)
    assert (tmp_path / "out" / "figures" / "scores.png").is_file()


def test_unknown_scale_and_subjects_are_said(folders, retseg):
    code, screen, _ = retseg("measure", *folders)
    assert code == 0
    words = " ".join(screen.split())
    assert "the pixel size is unknown: distances are in pixels (px), not in microns" in words
    assert "give --subjects or --subject-pattern to get intervals" in words
    assert "labels unknown" in words


def test_files_left_over_are_listed(folders, retseg):
    np.save(folders[0] / "carl-1.npy", TRUTH)
    code, screen, _ = retseg("measure", *folders)
    assert code == 0
    assert "1 of 4 files without truth, not scored: carl-1" in " ".join(screen.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--spacing", "small"), "--spacing small: expected AXIAL,LATERAL in um"),
        (("--subject-pattern", "("), "--subject-pattern (: no regular expression"),
        (("--subjects", "none.csv"), "none.csv: cannot be read"),
        (("--second", "nowhere"), "nowhere: no such file or folder"),
    ],
)
def test_wrong_options_are_one_line_and_exit_code_2(folders, retseg, options, message):
    code, _, errors = retseg("measure", *folders, *options)
    assert code == 2
    assert message in errors
    assert errors.count("\n") == 1


def test_it_loads_no_lightning(folders):
    code = (
        "import sys; sys.argv = ['retseg', 'measure', *sys.argv[1:], '-q']\n"
        "from retseg.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as leave:\n    assert not leave.code, leave.code\n"
        "assert 'lightning' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, folders)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
