import json
import shutil

import pytest

from retseg.bscan import Spacing
from retseg.report.notices import notices
from tests.report.conftest import read
from tests.report.drawn_run import LEAKY, draw_run


def said(*folders, with_pixels=True):
    found = notices(read(*folders), with_pixels)
    assert [notice.is_grave for notice in found] == sorted((notice.is_grave for notice in found), reverse=True)
    return {notice.words: notice for notice in found}


def begins(found, words):
    return [notice for text, notice in found.items() if text.startswith(words)]


def test_a_sound_run_has_few(full_run):
    found = said(full_run, with_pixels=False)
    assert [words.split(":")[0] for words, notice in found.items() if notice.is_grave] == ["Redundant heat maps"]
    assert "2 subjects: intervals are rough, and likely too narrow." in found
    assert "“grader 1 vs 2”: human ceiling: what two graders reach with each other." in found
    assert not begins(found, "The second B-scan was read twice")  # it stands among the facts of the run


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"label_origin": "silver"}, "Labels are silver, not drawn by people"),
        ({"label_origin": "exact"}, "Made-up scans (phantom)"),
        ({"data_name": "phantom"}, "Made-up scans (phantom)"),
        ({"stamp": LEAKY}, "Leaky split: scored scans are not independent"),
        ({"stamp": LEAKY, "parts": ("evaluation",)}, "Leaky split"),
        ({"spacing": Spacing()}, "The scale of the scans is unknown"),
        ({"parts": ("evaluation",)}, "The split was not audited"),
        ({"parts": ("audit",)}, "Not evaluated: no intervals"),
    ],
)
def test_what_changes_the_meaning_of_scores_is_grave(tmp_path, full_run, options, words):
    (notice,) = begins(said(draw_run(tmp_path / "run", **options)), words)
    assert notice.is_grave
    assert not begins(said(full_run), words)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("evaluation/metrics.json", "The evaluation is of other weights"),
        ("explanation/explanation.json", "The heat maps"),
    ],
)
def test_parts_of_other_weights_are_grave(tmp_path, full_run, name, words):
    folder = shutil.copytree(full_run, tmp_path / "run")
    content = json.loads((folder / name).read_text())
    (content if "weights_sha256" in content else content["checkpoint"])["weights_sha256"] = "other"
    (folder / name).write_text(json.dumps(content))
    (notice,) = begins(said(folder), words)
    assert notice.is_grave


def test_real_pixels_are_announced_and_made_up_ones_are_not(tmp_path, full_run):
    words = "This page holds pixels of drawn: do not pass it on unless the terms of that data allow it"
    assert begins(said(full_run), words)
    assert not begins(said(full_run, with_pixels=False), words)
    assert not begins(said(draw_run(tmp_path / "run", label_origin="exact")), "This page holds pixels")


def test_runs_that_cannot_be_compared(tmp_path, full_run):
    silver = draw_run(tmp_path / "silver", label_origin="silver", data_name="other")
    found = said(full_run, silver)
    assert begins(found, "The runs were scored on different scans")[0].is_grave
    assert begins(found, "The runs were scored against labels of different origin")[0].is_grave
    assert f"`retseg compare {full_run} {silver}`" in " ".join(found)
    (few,) = begins(found, "2 subjects")
    assert few.letters == ("A", "B")
