"""The page end to end in Chromium, against a real server: what a person does, and what comes of it."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from retseg.bscan import Array
from retseg.data.sources.hdf5 import Hdf5Source
from tests.browser import PHONE
from tests.view.conftest import COLUMNS, ROWS, as_png
from tests.view.on_the_page import drag, drop, point, state, surfaces_of
from tests.view.readout import readout_with

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.browser

TO_TRAIN = (
    "data=hdf5",
    "logger=csv",
    "model.width=2",
    "data.size=[64,64]",
    "data.batch_size=1",
    "split.subjects=[b]",
    "callbacks.gradcam=null",
    "callbacks.predictions=null",
    "trainer.max_epochs=1",
    "evaluate=false",
)


def test_a_scan_is_seen_corrected_saved_and_trained_on(
    page: "Page", address: str, pictures: tuple[Array, ...], tmp_path: Path, train: Callable[..., Path]
):
    page.goto(address)
    drop(page, "a.png", as_png(pictures[0]))
    assert "The pixel size is unknown" in page.inner_text("#reasons")
    before = surfaces_of(page)

    page.fill("#reach", "30")
    drag(page, 60, before[0, 60], -6)
    dragged = surfaces_of(page)
    assert dragged[0, 60] == pytest.approx(before[0, 60] - 6, abs=0.6)
    shift = dragged[0] - before[0]
    assert (np.abs(np.diff(shift)) < 0.6).all()
    assert (shift[:30] == 0).all()
    assert (shift[91:] == 0).all()
    np.testing.assert_array_equal(dragged[1:], before[1:])

    page.click("#undo")
    np.testing.assert_array_equal(surfaces_of(page), before)
    page.keyboard.press("Control+y")
    np.testing.assert_array_equal(surfaces_of(page), dragged)

    page.fill("#subject", "a")
    page.click("#save")
    page.get_by_text("Saved: ").wait_for()
    (key,) = Hdf5Source(tmp_path / "labels").keys
    np.testing.assert_allclose(Hdf5Source(tmp_path / "labels").read(key).surface_rows, dragged, atol=1e-4)

    drop(page, "b.png", as_png(pictures[1]))
    page.fill("#subject", "b")
    page.click("#save")
    page.get_by_text("b_b00_g1.h5").wait_for()
    run = train("run", f"data.root={tmp_path / 'labels'}", tiny=TO_TRAIN)
    split = json.loads((run / "split.json").read_text())
    assert (split["train"], split["val"]) == (["a_b00_g1"], ["b_b00_g1"])
    assert json.loads((run / "metrics.json").read_text())["data"]["label_origin"] == "silver, corrected by hand"


def test_keys_alone_select_move_undo_and_page(page: "Page", address: str, pictures: tuple[Array, ...]):
    file = io.BytesIO()
    np.save(file, np.stack(pictures))
    page.goto(address)
    drop(page, "volume.npy", file.getvalue())
    assert state(page, "app.place.number") == 1
    page.focus("#picture")
    page.keyboard.press("ArrowLeft")
    page.get_by_text("volume_b000").wait_for()
    before = surfaces_of(page)
    page.keyboard.press("3")
    page.keyboard.press("ArrowRight")
    x = state(page, "app.picture.cross.x")
    assert x == COLUMNS // 2 + 1
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    moved = surfaces_of(page)
    assert moved[2, x] == pytest.approx(before[2, x] + 1.5, abs=1e-4)
    page.keyboard.press("Control+z")
    page.keyboard.press("PageDown")
    page.get_by_text("volume_b001").wait_for()
    page.keyboard.press("PageUp")
    page.get_by_text("volume_b000").wait_for()
    kept = surfaces_of(page)
    assert kept[2, x] == pytest.approx(before[2, x] + 1.0, abs=1e-4)
    page.fill("#bscan", "1")
    page.get_by_text("volume_b001").wait_for()


def test_the_readout_tells_the_place_under_the_pointer(page: "Page", address: str, png: bytes):
    page.goto(address)
    drop(page, "a.png", png)
    rows = surfaces_of(page)
    page.mouse.move(*point(page, 80, (rows[4, 80] + rows[5, 80]) / 2))
    words = readout_with(page, "column 80")
    assert "layer ONL-ISM" in words
    assert f"ONL-ISM {rows[5, 80] - rows[4, 80]:.1f}" in words
    assert " px" in words
    assert " um" not in words
    page.fill("#axial", "5")
    page.fill("#lateral", "25,5")
    page.click("#spacing button")
    page.get_by_text("From: user.").wait_for()
    page.wait_for_selector("#depth:not([disabled])")
    rows = surfaces_of(page)
    row = (rows[4, 80] + rows[5, 80]) / 2
    page.mouse.move(*point(page, 80, row))
    words = readout_with(page, "along 2040 um")
    assert f"depth {5 * int(row)} um" in words
    assert f"ONL-ISM {5 * (rows[5, 80] - rows[4, 80]):.1f}" in words
    assert "The pixel size is unknown" not in page.inner_text("#reasons")


def test_layers_are_drawn_where_the_mask_has_them(page: "Page", address: str, png: bytes, tmp_path: Path):
    page.goto(address)
    drop(page, "a.png", png)
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "a.zip"
    download.value.save_as(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, archive.open("a_mask.png") as file:
        mask = np.array(Image.open(file))
    tint = state(
        page, "Array.from(app.picture.tint.getContext('2d').getImageData(0, 0, app.scan.columns, app.scan.rows).data)"
    )
    shown = np.array(tint, np.uint8).reshape(ROWS, COLUMNS, 4)
    colours = np.array([one["colour"] for one in state(page, "app.about.classes")], np.uint8)
    np.testing.assert_array_equal(shown[..., :3], colours[mask])


def test_what_is_refused_is_said_on_the_page(page: "Page", address: str, png: bytes):
    page.goto(address)
    page.set_input_files("#files", {"name": "big.png", "mimeType": "image/png", "buffer": bytes(2_000_001)})
    page.get_by_text("big.png: 2.0 MB, at most 2 MB are taken in one drop").wait_for()
    drop(page, "a.png", png)
    assert page.is_hidden("#failed")


def test_unsaved_corrections_are_not_lost_in_silence(page: "Page", address: str, png: bytes):
    said: list[str] = []
    page.goto(address)
    drop(page, "a.png", png)
    before = surfaces_of(page)
    drag(page, 60, before[0, 60], -6)
    page.once("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    with page.expect_event("dialog"):
        page.set_input_files("#files", {"name": "b.png", "mimeType": "image/png", "buffer": png})
    assert said == ["Corrections that were not saved will be lost. Go on?"]
    assert page.inner_text("#scan-name") == "a"
    assert state(page, "app.surfaces.isChanged")


def test_a_phone_shows_and_does_not_edit(page: "Page", address: str, png: bytes):
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.goto(address)
    drop(page, "a.png", png)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    assert page.is_hidden("#save")
    before = surfaces_of(page)
    drag(page, 60, before[0, 60], -6)
    np.testing.assert_array_equal(surfaces_of(page), before)


def test_what_is_saved_is_what_is_shown_while_the_next_scan_is_awaited(
    page: "Page", address: str, pictures: tuple[Array, ...], tmp_path: Path
):
    file = io.BytesIO()
    held: list[Route] = []
    np.save(file, np.stack(pictures))
    page.goto(address)
    drop(page, "volume.npy", file.getvalue())
    shown = surfaces_of(page)
    page.route("**/0/0/0", lambda route: held.append(route))
    page.focus("#picture")
    page.keyboard.press("PageUp")
    page.get_by_text("The network looks at the scan").wait_for()
    page.click("#save")
    page.get_by_text("Saved: ").wait_for()
    source = Hdf5Source(tmp_path / "labels")
    (key,) = source.keys
    assert key.bscan == 1
    scan = source.read(key)
    np.testing.assert_array_equal(scan.image, pictures[1])
    np.testing.assert_allclose(scan.surface_rows, shown, atol=1e-4)
    held[0].continue_()
    page.get_by_text("volume_b000").wait_for()


def test_a_label_that_is_there_is_replaced_only_if_one_says_so(
    page: "Page", address: str, png: bytes, tmp_path: Path, problems: list[str]
):
    page.goto(address)
    drop(page, "a.png", png)
    path = tmp_path / "labels" / "a_b00_g1.h5"
    page.click("#save")
    page.get_by_text("Saved: ").wait_for()
    before = path.read_bytes()
    rows = surfaces_of(page)
    drag(page, 60, rows[0, 60], -6)
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.click("#save")
    page.get_by_text("a_b00_g1.h5: is there already in").wait_for()
    assert path.read_bytes() == before
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("#save")
    page.get_by_text("Saved: ").wait_for()
    assert path.read_bytes() != before
    assert all("409" in problem for problem in problems)  # Chromium notes each refusal
    problems.clear()
