"""Colours of the page, in one place; layers have those of retseg.anatomy. No meaning hangs on colour alone.

Hues are of Okabe & Ito, "Color Universal Design" (2008). Ramps are drawn through five points of matplotlib's viridis,
inferno and BrBG: lightness grows, or falls away from the middle, whatever the hue does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Colour = tuple[int, int, int]
NUM_STEPS = 254

EDGE: Colour = (0, 0, 0)
"""Between layers: on bright scans a colour-blind reader cannot tell the lowest layer from what lies below it."""
WRONG: Colour = (255, 255, 255)
"""Any wrong pixel."""
MISSED: Colour = (86, 180, 233)
"""Pixels of a layer that were not found."""
ADDED: Colour = (230, 159, 0)
"""Pixels that were taken for a layer."""
NOT_ANNOTATED: Colour = (200, 200, 200)
"""Hatched."""


@dataclass(frozen=True, slots=True)
class RunStyle:
    """How a run is drawn in charts: three signs that tell it apart, any one of which is enough."""

    colour: str
    dash: str
    marker: str


RUN_STYLES = (
    RunStyle("#0072b2", "", "circle"),
    RunStyle("#d55e00", "7 3", "square"),
    RunStyle("#009e73", "2 3", "triangle"),
    RunStyle("#cc79a7", "9 3 2 3", "diamond"),
)
"""By place of the run; there are as many runs in a report as there are styles."""

VERDICT_COLOURS = {"pass": "#00795a", "check": "#8f5600", "fail": "#a11212"}
"""Each stands beside its word and its sign."""

VIRIDIS: Sequence[Colour] = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
INFERNO: Sequence[Colour] = ((0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164))
BROWN_TO_TEAL: Sequence[Colour] = ((84, 48, 5), (191, 129, 45), (245, 245, 245), (53, 151, 143), (0, 60, 48))


def ramp(points: Sequence[Colour], num_steps: int = NUM_STEPS) -> list[Colour]:
    """Colours in even steps along straight lines in sRGB between points."""
    places = np.linspace(0, len(points) - 1, num_steps)
    parts = [np.interp(places, range(len(points)), [point[part] for point in points]) for part in range(3)]
    steps = np.round(np.stack(parts, axis=1)).astype(int)
    return [(int(red), int(green), int(blue)) for red, green, blue in steps]
