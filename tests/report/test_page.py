"""The page as text: what stands in it, what does not, and that nothing a user names can become markup."""

import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from retseg.report.marks import Mark
from retseg.report.page import coded
from tests.report.drawn_run import LEAKY, SCANS, draw_run

VOID = {"meta", "img", "br", "input", "link"}
SECTIONS = (
    *("glance", "runs", "split", "scores", "curves", "confusion", "scans", "thickness", "heat", "calibration"),
    *("marks", "repeat"),
)
HOSTILE = "<script>alert(1)</script>\"'&`{{7*7}}"


class Reader(HTMLParser):
    """Tags in order, ids, text by section, and whether every tag that is opened is closed in turn."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.ids, self.open, self.section, self.texts = [], [], [], "", {}
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if "id" in dict(attrs):
            self.ids.append(dict(attrs)["id"])
        if tag == "section":
            self.section = dict(attrs).get("id", "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, text):
        self.texts[self.section] = f"{self.texts.get(self.section, '')} {text}"


@pytest.fixture(scope="module")
def full(page_of, full_run):
    return Reader(page_of(full_run))


def test_every_section_is_there_filled_and_linked(full):
    assert [text for text in full.texts if text] == list(SECTIONS)
    assert len(set(full.ids)) == len(full.ids)
    links = [attrs["href"] for tag, attrs in full.tags if tag == "a"]
    assert set(links) == {f"#{name}" for name in SECTIONS}


def test_nothing_is_asked_of_any_network(full):
    addresses = [attrs[name] for _, attrs in full.tags for name in ("src", "href", "action") if name in attrs]
    assert all(address.startswith(("data:image/", "#")) for address in addresses)
    policy = next(attrs["content"] for tag, attrs in full.tags if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]{44}'; base-uri 'none'; form-action 'none'$", policy)


def test_scores_stand_with_interval_ceiling_and_definition(full):
    words = " ".join(full.texts["scores"].split())
    assert "mean of the 8 surfaces 6.00 2.00 to 10.00 4.00 at" in words
    assert "mean of |found - true| along the column" in words
    assert "Second labels (grader 1 vs 2)" in words


def test_what_repeats_a_run_is_quoted(full, full_run):
    assert "python -m retseg.train 'experiment=duke segnet'" in full.texts["repeat"]
    assert f"retseg explain {full_run} --methods gradcam --layers last,deep --check" in full.texts["repeat"]


def test_what_is_missing_is_one_line_with_its_command(page_of, bare_run):
    bare = Reader(page_of(bare_run))
    assert [text for text in bare.texts if text] == list(SECTIONS)
    for section, command in {"split": "audit", "scores": "evaluate", "scans": "evaluate", "thickness": "evaluate",
                             "heat": "explain", "calibration": "calibrate", "repeat": "reproduce"}.items():  # fmt: skip
        assert f"retseg {command} {bare_run} makes it." in " ".join(bare.texts[section].split()), section
    assert not [tag for tag, attrs in bare.tags if attrs.get("class") == "toolbar controls"]


def test_grave_notices_stand_before_all_else(page_of, tmp_path):
    page = page_of(draw_run(tmp_path / "run", label_origin="silver", stamp=LEAKY, parts=("audit", "evaluation")))
    for words in ("Labels are silver", "Leaky split"):
        assert page.index(words) < page.index('id="glance"')
    assert page.index("the very same pixels") > page.index("<details open>")  # what leaks is not folded away


def test_names_and_comments_never_become_markup(page_of, tmp_path, full_run):
    folder = shutil.copytree(full_run, tmp_path / "<img src=x onerror=alert(2)>")
    for name, place in (("metrics.json", ("data",)), ("evaluation/metrics.json", ("data",))):
        content = json.loads((folder / name).read_text())
        content[place[0]]["name"] = HOSTILE
        content["stamp"] = HOSTILE
        (folder / name).write_text(json.dumps(content))
    page = page_of(folder, marks=[Mark(folder.name, SCANS[0], "fail", HOSTILE + "</textarea><!--")])
    found = Reader(page)
    assert [attrs.get("type") for tag, attrs in found.tags if tag == "script"] == [
        "application/json",
        "application/json",
        None,
    ]
    assert "alert(1)" not in "".join(text for tag, text in re.findall(r"<(script)>(.*?)</script>", page, re.S))
    assert not [attrs for _, attrs in found.tags if any(name.startswith("on") for name in attrs)]
    assert not [attrs for tag, attrs in found.tags if attrs.get("src") == "x"]
    assert HOSTILE.replace("`", "") in "".join(found.texts.values()).replace("`", "")
    assert "49" not in found.texts["marks"]


def test_code_between_backticks_is_escaped_too():
    assert coded("run `a <b>` & <i>") == "run <code>a &lt;b&gt;</code> &amp; &lt;i&gt;"


def test_marks_are_shown_in_panels_and_in_their_table(page_of, full_run):
    page = page_of(
        full_run, marks=[Mark("full", SCANS[0], "check", "BM"), Mark("full", SCANS[1], "", "not shown above")]
    )
    found = Reader(page)
    assert "2 marks." in found.texts["marks"]
    assert "not shown above" in found.texts["marks"]
    assert len([1 for tag, attrs in found.tags if attrs.get("class") == "comment" and attrs["value"] == "BM"]) == 1
    checked = [attrs["value"] for tag, attrs in found.tags if attrs.get("type") == "radio" and "checked" in attrs]
    assert checked.count("check") == 1


def test_without_pixels_no_scan_is_in_the_page(page_of, full_run):
    assert page_of(full_run).count("data:image/webp") == 3 + 1  # worst, median, best; and one below heat maps
    page = page_of(full_run, with_pixels=False)
    assert "data:image/webp" not in page
    assert "Pixels were left out of this page: layers only." in page


def test_pixels_that_were_not_saved_are_said_to_be_missing(page_of, tmp_path):
    folder = draw_run(tmp_path / "run", with_image=False)
    assert "Pixels of some scans are not in the run folder: layers only; <code>retseg evaluate RUN --fresh" in page_of(
        folder
    )


def test_subjects_without_a_map_are_counted(page_of, full_run, monkeypatch):
    assert "subjects, the first in the order" not in page_of(full_run)
    monkeypatch.setattr("retseg.report.page.MOST_SUBJECTS", 1)
    assert "maps of 1 of 2 subjects, the first in the order of the evaluation" in page_of(full_run)
