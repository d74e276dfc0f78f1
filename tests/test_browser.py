"""The fixture `page` sees what it is there to see."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def test_a_quiet_page_is_no_problem(page: "Page", problems: list[str]) -> None:
    page.set_content("<p>Layers</p><script>console.log('said')</script>")
    assert page.inner_text("p") == "Layers"
    assert problems == []


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("console.error('lost')", "lost"),
        ("missing()", "missing is not defined"),
        ("new Image().src = 'https://example.org/a.png'", "request to https://example.org/a.png"),
    ],
)
def test_errors_and_requests_are_noted(page: "Page", problems: list[str], script: str, said: str) -> None:
    page.set_content(f"<p>Layers</p><script>{script}</script>")
    page.wait_for_timeout(200)
    assert any(said in problem for problem in problems), problems
    problems.clear()
