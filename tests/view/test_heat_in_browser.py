"""Heat maps on the page, in Chromium."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from retseg.inference.network import ScanNetwork
from tests.view.on_the_page import drop, point, surfaces_of
from tests.view.served import live_server

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.browser


def test_heat_maps_are_chosen_by_layer_and_depth(page: "Page", address: str, png: bytes):
    page.goto(address)
    drop(page, "a.png", png)
    page.check("input[name=show][value=heat]", force=True)
    page.select_option("#explained", "3")
    page.get_by_text("INL at conv2d_15").wait_for()
    page.select_option("#depth", "1")
    page.get_by_text("INL at conv2d_17").wait_for()
    page.check("input[name=show][value=layers]", force=True)
    rows = surfaces_of(page)
    page.select_option("#explained", "pointer")
    page.mouse.move(*point(page, 80, (rows[4, 80] + rows[5, 80]) / 2))
    page.get_by_text("ONL-ISM at conv2d_17").wait_for()


def test_the_picture_stays_where_it_is_when_its_heat_map_comes(page: "Page", address: str, png: bytes):
    held: list[Route] = []
    page.route("**/heats/*", lambda route: held.append(route))  # playwright counts its arguments
    page.goto(address)
    with page.expect_request("**/heats/*"):
        drop(page, "a.png", png)
    before = page.locator("#picture").bounding_box()
    assert "Working on it" in page.inner_text("#heat-note")
    for route in held:
        route.continue_()
    page.get_by_text("Grad-CAM, 100 %").wait_for()
    assert page.locator("#picture").bounding_box() == before


def test_a_network_that_only_runs_says_why_it_is_not_explained(
    page: "Page", network: ScanNetwork, png: bytes, tmp_path: Path
):
    with live_server([replace(network, module=None, engine="onnxruntime")], tmp_path) as (address, _):
        page.goto(address)
        page.set_input_files("#files", {"name": "a.png", "mimeType": "image/png", "buffer": png})
        page.get_by_text("zero_shot runs in onnxruntime, which gives no gradients").wait_for()
        assert page.is_visible("#picture")
        assert page.is_disabled("#depth")
