"""What a reader cannot read: texts of a figure upon each other, or off the page, as far as matplotlib knows."""

from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

SLACK_PX = 1.5
"""Letters do not fill their boxes."""


def unreadable(figure: Figure) -> list[str]:
    """A line for each text that leaves the page, and for each two that overlap. The figure is laid out first."""
    figure.draw_without_rendering()
    width, height = figure.bbox.size
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    hidden = unused(figure)
    texts = [text for text in texts if text not in hidden]
    corners = [rectangle(text) for text in texts]
    found = []
    for text, places in zip(texts, corners, strict=True):
        if (places < -SLACK_PX).any() or (places > np.array([width, height]) + SLACK_PX).any():
            found.append(f"off the page: {text.get_text()!r}")
    for (one, first), (other, second) in combinations(zip(texts, corners, strict=True), 2):
        if overlap(first, second):
            found.append(f"on each other: {one.get_text()!r} and {other.get_text()!r}")
    return found


def unused(figure: Figure) -> set[Text]:
    """Texts that are not drawn: ticks beyond the limits of their axis, and labels of axes that are switched off."""
    found: set[Text] = set()
    for axes in figure.findobj(Axes):
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            slack = 1e-6 * (high - low)
            drawn = {*axis.get_major_ticks(), *axis.get_minor_ticks()} if axes.axison else set()
            for tick in (*axis.majorTicks, *axis.minorTicks):
                if tick not in drawn or not low - slack <= tick.get_loc() <= high + slack:
                    found |= {tick.label1, tick.label2}
            found |= set() if axes.axison else {axis.label, axis.offsetText}
    return found


def rectangle(text: Text) -> np.ndarray:
    """Corners (4, 2) of a text in px, turned as it is."""
    angle = text.get_rotation()
    box = text.get_window_extent()
    middle = np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])
    text.set_rotation(0)
    width, height = text.get_window_extent().size
    text.set_rotation(angle)
    half = np.maximum(np.array([width, height]) / 2 - SLACK_PX, 0)
    turn = np.deg2rad(angle)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return middle + (np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half) @ matrix.T


def overlap(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two rectangles (4, 2) share an area: no line parallel to a side parts them."""
    for corners in (first, second):
        for side in (corners[1] - corners[0], corners[3] - corners[0]):
            if not side.any():
                return False
            one, other = first @ side, second @ side
            if one.max() <= other.min() or other.max() <= one.min():
                return False
    return True
