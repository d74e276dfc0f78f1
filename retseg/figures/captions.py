"""What stands on every figure: a heading above its panels, and below them what is shown and how it is defined."""

import math
import re
from functools import lru_cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.textpath import text_to_path

HEADING_PT, CAPTION_PT = 11.5, 8.5
_MARGIN_IN = 0.12
_GAP_IN = 0.1
"""Between the panels, the key of colours and the caption."""
_SLACK = 0.97
"""Share of the width that lines may fill: on the screen's raster, letters come out a little wider than they are."""
_CAPTION_ID = "caption"
_TOGETHER = re.compile(r"(\d) (%|µm|mm|px|um)")
"""A number and its unit, which stay on one line."""


def describe(figure: Figure, title: str, *sentences: str) -> Figure:
    """Set a heading above the panels and a caption below; the page grows by both, so that the panels keep their size.

    Called last on a figure, which it returns, of constrained layout or of none. A key of colours ("outside lower
    center") comes to stand between the panels and the caption. Empty sentences are left out, each other one starts a
    new line.
    """
    width_in = figure.get_figwidth()
    caption = "\n".join(sentence.strip() for sentence in sentences if sentence.strip())
    written = figure.text(
        0, 0, "\n".join(_wrapped(caption, CAPTION_PT, "normal", width_in)), fontsize=CAPTION_PT, color="0.2",
        ha="left", va="bottom", gid=_CAPTION_ID, label=caption, parse_math=False,
    )  # fmt: skip
    heading = figure.suptitle(
        "\n".join(_wrapped(title, HEADING_PT, "bold", width_in)), fontsize=HEADING_PT, fontweight="bold",
        x=_MARGIN_IN / width_in, ha="left", va="top", parse_math=False,
    )  # fmt: skip
    caption_in = _GAP_IN + written.get_window_extent().height / figure.dpi + _MARGIN_IN
    heading_in = heading.get_window_extent().height / figure.dpi + _GAP_IN
    keys_in = max((key.get_window_extent().height / figure.dpi + _GAP_IN for key in figure.legends), default=0.0)
    needed_in = figure.get_figheight() + heading_in + caption_in + keys_in
    height_in = math.ceil(100 * needed_in) / 100  # whole pixels at any usual resolution
    caption_in += height_in - needed_in
    foot = (caption_in + keys_in) / height_in
    engine = figure.get_layout_engine()
    if engine is None:
        _move_between(figure, foot, 1 - heading_in / height_in)
        heading.set_y(1 - _MARGIN_IN / 2 / height_in)
    else:
        assert isinstance(engine, ConstrainedLayoutEngine), engine
        engine.set(rect=(0, foot, 1, 1 - foot))
    figure.set_figheight(height_in)
    for key in figure.legends:
        key.set_bbox_to_anchor((0, caption_in / height_in, 1, 1 - caption_in / height_in), figure.transFigure)
    written.set_position((_MARGIN_IN / width_in, _MARGIN_IN / height_in))
    return figure


def title_of(figure: Figure) -> str:
    """The heading of a described figure."""
    return " ".join(figure.get_suptitle().split())


def caption_of(figure: Figure) -> str:
    """The caption of a described figure as it was given, not wrapped."""
    found = [str(text.get_label()) for text in figure.texts if text.get_gid() == _CAPTION_ID]
    assert len(found) == 1, "a figure's function ends with `describe`, once"
    return found[0]


def _move_between(figure: Figure, low: float, high: float) -> None:
    """Squeeze all that has a place of its own on the page between two heights, as shares of the page."""
    for axis in figure.axes:
        box = axis.get_position()
        axis.set_position((box.x0, low + box.y0 * (high - low), box.width, box.height * (high - low)))
    for text in figure.texts:  # the caption, too: it finds its own place afterwards
        text.set_y(low + text.get_position()[1] * (high - low))


def _wrapped(text: str, size_pt: float, weight: str, width_in: float) -> list[str]:
    """Lines that fit between the margins of the page, by the width of their letters."""
    room_pt = 72 * _SLACK * (width_in - 2 * _MARGIN_IN)
    space_pt = _width_pt("a b", size_pt, weight) - _width_pt("ab", size_pt, weight)
    lines: list[str] = []
    for paragraph in text.splitlines():
        line, taken_pt = "", 0.0
        for word in _TOGETHER.sub("\\1\N{NO-BREAK SPACE}\\2", paragraph).split(" "):
            word_pt = _width_pt(word, size_pt, weight)
            if line and taken_pt + space_pt + word_pt > room_pt:
                lines.append(line)
                line, taken_pt = "", 0.0
            taken_pt += word_pt + (space_pt if line else 0)
            line = f"{line} {word}" if line else word
        lines += [line] if line else []
    return lines


@lru_cache(maxsize=4096)
def _width_pt(text: str, size_pt: float, weight: str) -> float:
    font = FontProperties(size=size_pt, weight=weight)
    return float(text_to_path.get_text_width_height_descent(text, font, False)[0])
