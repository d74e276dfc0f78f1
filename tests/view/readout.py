"""What the viewer's page says of the place under the pointer."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page


def readout_with(page: "Page", wanted: str) -> str:
    """The line under the pointer once it says what is wanted: it follows the pointer by a frame or two."""
    words = "Array.from(document.querySelectorAll('#readout span'), (span) => span.textContent).join(' ')"
    page.wait_for_function(f"(wanted) => {words}.includes(wanted)", arg=wanted)
    return str(page.evaluate(words))
