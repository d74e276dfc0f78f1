"""Neighbouring layers stay apart for eyes that lack a cone, by the distance of colours in OKLab."""

from itertools import combinations, pairwise

import matplotlib
import numpy as np
import pytest

from retseg.anatomy import CLASSES
from retseg.figures import palette

# Machado et al. 2009 (doi 10.1109/TVCG.2009.113), severity 1, on linear RGB.
EYES = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
JUST_SEEN = 0.02
"""Distance in OKLab at which two colours can just be told apart (CSS Color 4 maps gamuts by it)."""

# Ottosson 2020, "A perceptual color space for image processing".
TO_CONES = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                     [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
TO_LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                   [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip


def oklab(colour, eye="all cones"):
    """Of an sRGB colour (3,) in 0..1, as an eye sees it."""
    colour = np.asarray(colour, float)
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(EYES[eye]) @ linear, 0, 1)
    return TO_LAB @ np.cbrt(TO_CONES @ seen)


def distance(one, other, eye):
    return float(np.linalg.norm(oklab(one, eye) - oklab(other, eye)))


def test_oklab_of_white_black_and_red_is_what_its_author_gives():
    assert oklab([1, 1, 1]) == pytest.approx([1, 0, 0], abs=1e-3)
    assert oklab([0, 0, 0]) == pytest.approx([0, 0, 0], abs=1e-6)
    assert oklab([1, 0, 0]) == pytest.approx([0.628, 0.225, 0.126], abs=1e-3)


def test_red_and_green_of_a_traffic_light_fall_together_without_a_cone():
    red, green = (0.72, 0.32, 0.2), (0.42, 0.45, 0.2)
    assert distance(red, green, "all cones") > 7 * JUST_SEEN
    assert distance(red, green, "deuteranopia") < 0.6 * distance(red, green, "all cones")


@pytest.mark.parametrize("eye", EYES)
def test_neighbouring_layers_stay_apart(eye):
    """In depth order, and the last layer lies on background again."""
    colours = [np.array(layer.colour) / 255 for layer in (*CLASSES, CLASSES[0])]
    apart = [distance(one, other, eye) for one, other in pairwise(colours)]
    assert min(apart) > 5 * JUST_SEEN, dict(zip([layer.name for layer in CLASSES], apart, strict=True))


@pytest.mark.parametrize("eye", EYES)
def test_any_two_classes_can_be_told_apart(eye):
    colours = {layer.name: np.array(layer.colour) / 255 for layer in CLASSES}
    colours["not annotated"] = np.array(palette.NOT_ANNOTATED_COLOUR) / 255
    apart = {names: distance(*(colours[name] for name in names), eye) for names in combinations(colours, 2)}
    assert min(apart.values()) > 3 * JUST_SEEN, min(apart, key=apart.get)


@pytest.mark.parametrize("name", [palette.THICKNESS, palette.HEAT, palette.WRONG_SHARE, palette.SCORE])
@pytest.mark.parametrize("eye", EYES)
def test_sequential_maps_grow_one_way_in_lightness(name, eye):
    colours = matplotlib.colormaps[name](np.linspace(0, 1, 64))[:, :3]
    lightness = np.array([oklab(colour, eye)[0] for colour in colours])
    steps = np.diff(lightness)
    assert (steps > 0).all() or (steps < 0).all()


@pytest.mark.parametrize("eye", EYES)
def test_what_was_measured_and_what_it_is_held_against_stay_apart(eye):
    colours = [np.array(matplotlib.colors.to_rgb(colour)) for colour in (palette.MARK, palette.REFERENCE)]
    assert distance(*colours, eye) > 5 * JUST_SEEN


def test_layers_have_the_colours_of_anatomy():
    assert {layer.name: f"#{bytes(layer.colour).hex()}" for layer in CLASSES} == palette.LAYER_COLOURS
