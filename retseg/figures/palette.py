"""The colours of all figures, in one place. Layers have those of `retseg.anatomy`; what else is drawn has its own here.

Hues are of Okabe & Ito, "Color Universal Design" (2008), but for the red of warnings and the wine of the paper.
"""

from typing import Any

import matplotlib
from matplotlib.colors import Colormap
from matplotlib.patheffects import withStroke

from retseg.anatomy import CLASSES

LAYER_COLOURS = {layer.name: f"#{bytes(layer.colour).hex()}" for layer in CLASSES}
"""Colour of each class by its name."""

NOT_ANNOTATED_COLOUR, WRONG_COLOUR = (200, 200, 200), (200, 30, 30)
"""sRGB (0..255) of pixels that nobody annotated, and of pixels with the wrong class."""
NOT_ANNOTATED = f"#{bytes(NOT_ANNOTATED_COLOUR).hex()}"

MARK, REFERENCE = "#0072b2", "#d55e00"
"""What was measured, and what it is held against."""
PAPER = "#b03060"
WARNING = "#a11212"
LINES = (MARK, REFERENCE, "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Of lines side by side; without yellow, which is too light for one."""
OUTLINE = "#56b4e9"

THICKNESS, HEAT, WRONG_SHARE, RATIO, SCORE = "viridis", "inferno", "magma_r", "BrBG", "viridis"
"""Colour maps by what they show; BrBG has its middle at a ratio of 1, all others grow one way, evenly to the eye."""
NOT_KNOWN = "0.82"
"""Of gaps in a map of colours."""
NOT_SEEN = "#5c6f7f"
"""Of gaps in a picture of gray levels: no gray."""

RIM = [withStroke(linewidth=2.6, foreground="black")]
"""Around white lines and words, to be read on any colour."""
CROSS: dict[str, Any] = {
    "marker": "+", "markersize": 10, "markeredgewidth": 1.3, "color": "white", "linestyle": "", "path_effects": RIM,
}  # fmt: skip
"""Marker of the fovea."""


def thickness_colours() -> Colormap:
    """Colours of thickness, with gray where it is not known."""
    return matplotlib.colormaps[THICKNESS].with_extremes(bad=NOT_KNOWN)
