"""What is told apart by colour stays apart for colour-blind readers, as OKLab distances under simulated vision.

Vision: Machado, Oliveira & Fernandes 2009 (doi 10.1109/TVCG.2009.113), severity 1, on linear sRGB. OKLab: Ottosson
2020; distances of 0.02 are just seen side by side.
"""

from itertools import combinations, pairwise

import numpy as np
import pytest

from retseg.anatomy import CLASSES
from retseg.report.colours import (
    ADDED,
    BROWN_TO_TEAL,
    EDGE,
    INFERNO,
    MISSED,
    RUN_STYLES,
    VERDICT_COLOURS,
    VIRIDIS,
    ramp,
)

VISIONS = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_CONES = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
TO_LAB = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]
JUST_SEEN = 0.02
vision = pytest.mark.parametrize("vision", VISIONS)


def linear(colour):
    share = np.asarray(colour) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab(colour, vision):
    seen = np.clip(np.asarray(VISIONS[vision]) @ linear(colour), 0, 1)
    return np.asarray(TO_LAB) @ np.cbrt(np.asarray(TO_CONES) @ seen)


def distance(one, other, vision):
    return float(np.linalg.norm(lab(one, vision) - lab(other, vision)))


def parsed(text):
    return tuple(bytes.fromhex(text.removeprefix("#")))


def contrast_with_white(colour):
    """WCAG 2.2 contrast ratio."""
    return 1.05 / (float(np.dot([0.2126, 0.7152, 0.0722], linear(colour))) + 0.05)


def test_the_simulation_does_what_is_known_of_it():
    for name in VISIONS:
        assert distance((90, 90, 90), (90, 90, 90), name) == 0
        assert np.allclose(lab((140, 140, 140), name), lab((140, 140, 140), "normal"), atol=2e-3)  # gray stays gray
    red, green = (200, 80, 60), (110, 130, 60)
    for name in ("protanopia", "deuteranopia"):
        assert distance(red, green, name) < 0.5 * distance(red, green, "normal")
    blue, teal = (0, 90, 140), (0, 100, 100)
    assert distance(blue, teal, "tritanopia") < 0.5 * distance(blue, teal, "normal")


@vision
def test_neighbouring_layers_stay_apart(vision):
    colours = [layer.colour for layer in (*CLASSES, CLASSES[0])]
    assert min(distance(one, other, vision) for one, other in pairwise(colours)) > 5 * JUST_SEEN


@vision
@pytest.mark.parametrize("gray", range(0, 256, 15))
def test_neighbouring_layers_stay_apart_over_the_scan(vision, gray):
    """At the opacity that the page opens with, over one gray level; the background is the bare scan there."""
    bare = np.array([gray] * 3)
    colours = [bare, *(0.45 * np.array(layer.colour) + 0.55 * bare for layer in CLASSES[1:]), bare]
    edge = 0.45 * np.array(EDGE) + 0.55 * bare
    for one, other in pairwise(colours):
        by_edge = min(distance(one, edge, vision), distance(edge, other, vision))
        assert max(distance(one, other, vision), by_edge) > 2 * JUST_SEEN


def test_without_the_edge_the_lowest_layer_is_lost_on_a_bright_scan():
    lowest = 0.45 * np.array(CLASSES[-1].colour) + 0.55 * 160
    assert distance(lowest, (160, 160, 160), "deuteranopia") < JUST_SEEN


@vision
def test_missed_and_added_pixels_stay_apart_from_each_other_and_from_a_dimmed_scan(vision):
    assert distance(MISSED, ADDED, vision) > 5 * JUST_SEEN
    for colour in (MISSED, ADDED):
        assert min(distance(colour, (gray,) * 3, vision) for gray in range(0, 141, 10)) > 5 * JUST_SEEN


@vision
def test_runs_stay_apart_by_colour_alone(vision):
    colours = [parsed(style.colour) for style in RUN_STYLES]
    assert min(distance(one, other, vision) for one, other in combinations(colours, 2)) > 3 * JUST_SEEN


def test_runs_stay_apart_without_colour():
    assert len({style.marker for style in RUN_STYLES}) == len({style.dash for style in RUN_STYLES}) == len(RUN_STYLES)


def test_verdicts_are_read_as_text_and_on_a_button():
    assert all(contrast_with_white(parsed(colour)) >= 4.5 for colour in VERDICT_COLOURS.values())


@vision
@pytest.mark.parametrize("points", [VIRIDIS, INFERNO])
def test_more_is_lighter(vision, points):
    lightness = [lab(colour, vision)[0] for colour in ramp(points, 40)]
    assert (np.diff(lightness) > 0).all()


@vision
def test_a_difference_is_darker_the_larger_it_is_and_its_signs_stay_apart(vision):
    colours = ramp(BROWN_TO_TEAL, 41)
    lightness = np.array([lab(colour, vision)[0] for colour in colours])
    assert (np.diff(lightness[:21]) > 0).all()
    assert (np.diff(lightness[20:]) < 0).all()
    assert distance(colours[8], colours[32], vision) > 5 * JUST_SEEN
