"""The page holds everything, is well formed, and asks for nothing from anywhere."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from retseg.reproduction.checklist import judge_all
from retseg.reproduction.page import Contents, count_outcomes, render_page, what_was_run
from retseg.reproduction.pictures import pictures
from retseg.reproduction.tables import comparison_tables

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Elements of a page; a tag that closes another than the last opened one fails."""

    def __init__(self, html):
        super().__init__()
        self.open, self.found = [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def html(facts):
    return render_page(facts, Contents(judge_all(facts), comparison_tables(facts), tuple(pictures(facts))))


def test_page_holds_figures_tables_and_verdicts(html):
    page = Page(html)
    assert [figure["id"] for figure in page.all("figure")] == ["figure1", "figure3", "figure4", "figure5", "figure6"]
    assert len(page.all("img")) == 5
    assert [table["id"] for table in page.all("table")] == ["table1", "table2", "table3"]
    assert [article["id"] for article in page.all("article")] == [f"P{n}" for n in range(1, 57)]


def test_page_stands_alone(html):
    page = Page(html)
    assert not page.all("script")
    assert not page.all("link")
    assert all(image["src"].startswith("data:image/png;base64,") and image["alt"] for image in page.all("img"))
    links = [link["href"] for link in page.all("a")]
    assert all(link.startswith(("#", "https://doi.org/")) for link in links)
    ids = {attributes["id"] for _, attributes in page.found if "id" in attributes}
    assert {link[1:] for link in links if link.startswith("#")} <= ids
    assert "url(" not in html
    assert "@import" not in html


def test_page_opens_with_what_was_run_and_the_counts(html, facts):
    counts = count_outcomes(judge_all(facts))
    assert sum(counts.values()) == 56
    opening = html[: html.index('id="tables"')]
    for outcome, count in counts.items():
        assert f"<b>{count}</b><strong>{outcome.value}</strong>" in opening
    for _, words in what_was_run(facts):
        assert words.split(",")[0] in opening.replace("&#39;", "'")
    assert "speaks about the paper" in opening
    assert "subjects apart (1 held out)" in opening


def test_text_of_a_run_is_escaped(facts, html):
    named = replace(facts, folder="<script>alert(1)</script>")
    text = render_page(named, Contents(judge_all(named), comparison_tables(named), ()))
    assert "<script>" not in text
    assert Page(text).all("article")


def test_a_figure_without_its_input_says_which_command_makes_it(facts):
    found = {picture.name: picture for picture in pictures(replace(facts, scans=None, cam=None))}
    assert not found["figure1"].png
    assert not found["figure6"].png
    assert found["figure4"].caption.startswith("Not drawn: no scans")
    assert found["figure3"].png.startswith(b"\x89PNG")
    assert found["figure5"].pdf.startswith(b"%PDF")
