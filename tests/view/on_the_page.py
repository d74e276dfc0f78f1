"""What the tests of the viewer's page do with it, and read of it."""

from typing import TYPE_CHECKING, Any

import numpy as np

from retseg.bscan import Array

if TYPE_CHECKING:
    from playwright.sync_api import Page


def drop(page: "Page", name: str, body: bytes) -> None:
    """Choose a file and wait for its answer and its heat maps."""
    page.set_input_files("#files", {"name": name, "mimeType": "application/octet-stream", "buffer": body})
    page.wait_for_selector("#shown:not([hidden])")
    page.wait_for_selector("#depth:not([disabled])")


def state(page: "Page", words: str) -> Any:
    """A value of the page's own state."""
    return page.evaluate(f"async () => {{ const {{ app }} = await import('./app.js'); return {words}; }}")


def surfaces_of(page: "Page") -> Array:
    return np.array(state(page, "app.surfaces.toJSON()"), np.float64)


def point(page: "Page", column: float, row: float) -> tuple[float, float]:
    """Where a place of the scan is on the screen."""
    box = page.locator("#picture").bounding_box()
    assert box is not None
    left, top, scale = state(page, "[app.picture.left, app.picture.top, app.picture.scale]")
    return box["x"] + left + (column + 0.5) * scale, box["y"] + top + row * scale


def drag(page: "Page", column: int, row: float, by: float) -> None:
    page.evaluate("scrollTo(0, 0)")  # a click on a button below has moved the page
    x, y = point(page, column, row)
    page.mouse.move(x, y)
    page.mouse.down()
    for step in (0.3, 0.7, 1.0):
        page.mouse.move(*point(page, column, row + step * by))
    page.mouse.up()
