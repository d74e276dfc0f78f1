"""Chromium for the tests of pages, held to what a page of ours promises: no error, and no request to anywhere else.

Fixtures `page` and `problems` reach every test through tests/conftest.py; a test that takes them is marked `browser`.
"""

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request, Route

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = (1280, 900)
PHONE = (390, 844)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """A Chromium for the tests of one file: its event loop must not outlive them."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install 'retseg[dev]'")
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH: apt install chromium")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        yield chromium
        chromium.close()


@pytest.fixture
def problems() -> list[str]:
    """What went wrong in `page`: console errors, uncaught errors, requests refused. Clear it where one is expected."""
    return []


@pytest.fixture
def page(browser: "Browser", problems: list[str]) -> Iterator["Page"]:
    """A new page of desktop size in a profile of its own; fails at its end if there were problems."""
    context = browser.new_context(viewport={"width": DESKTOP[0], "height": DESKTOP[1]}, accept_downloads=True)
    opened = context.new_page()
    opened.set_default_timeout(10_000)
    opened.on(
        "console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None
    )
    opened.on("pageerror", lambda error: problems.append(str(error)))
    context.route("**/*", lambda route, request: _only_here(route, request, problems))
    yield opened
    context.close()
    assert not problems, "\n".join(problems)


def _only_here(route: "Route", request: "Request", problems: list[str]) -> None:
    """Let through what is in the file itself or on this machine; refuse and note the rest."""
    address = urlsplit(request.url)
    if address.scheme in ("file", "data", "blob") or address.hostname == "127.0.0.1":
        route.continue_()
    else:
        problems.append(f"request to {request.url}")
        route.abort()
