"""CITATION.cff has what the Citation File Format 1.2.0 requires, and says what the package says of itself."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from retseg import __version__

ROOT = Path(__file__).parents[1]


@pytest.fixture
def citation() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    return loaded


def test_has_what_the_format_requires(citation: dict[str, Any]) -> None:
    assert citation.keys() >= {"cff-version", "message", "title", "authors"}
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] in {"software", "dataset"}
    for reference in citation["references"]:
        assert reference.keys() >= {"type", "title", "authors"}
        assert re.fullmatch(r"10\.\d{4,}/\S+", reference["doi"])
        assert all({"family-names", "given-names"} <= author.keys() for author in reference["authors"])


def test_names_no_person_as_an_author_of_retseg(citation: dict[str, Any]) -> None:
    assert citation["authors"] == [{"name": "The retseg authors"}]


def test_says_what_the_package_says(citation: dict[str, Any]) -> None:
    section = (ROOT / "pyproject.toml").read_text().split("[project]")[1].split("\n[")[0]
    project = dict(re.findall(r'^(name|license) = "(.+)"$', section, re.MULTILINE))
    assert citation["version"] == __version__
    assert citation["title"] == project["name"]
    assert citation["license"] == project["license"]


def test_cites_the_paper_and_the_data_as_the_documentation_does(citation: dict[str, Any]) -> None:
    paper, duke = citation["references"]
    title = re.search('"(Enhanced SegNet[^"]+)"', (ROOT / "docs" / "paper.md").read_text())
    assert title is not None
    assert paper["title"].lower() == title[1].lower()
    assert [author["family-names"] for author in paper["authors"]] == ["Saky", "Tshering"]
    assert f"doi {duke['doi']}" in (ROOT / "README.md").read_text()
    assert duke["authors"][0]["family-names"] == "Chiu"


def test_model_cards_that_the_page_names_exist() -> None:
    text = (ROOT / "MODEL_CARD.md").read_text()
    cards = re.findall(r"\]\((\S+?)\)", text)
    assert "retseg/weights/MODEL_CARD.md" in cards
    assert [card for card in cards if not (ROOT / card).is_file()] == []
