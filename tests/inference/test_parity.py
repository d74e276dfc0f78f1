import math

import pytest
import torch

from retseg.inference.parity import Parity, compare, fluid_difference, in_batches


def image(value, shape=(2, 3)):
    return torch.full((1, 1, *shape), float(value))


def two_classes(images):
    """Logits (N, 2, H, W): the image, and 0.5."""
    return torch.cat([images, torch.full_like(images, 0.5)], dim=1)


def test_each_alone_then_in_threes_of_one_shape_filled_up_from_the_first():
    batches = list(in_batches([image(1), image(2), image(3, (4, 2)), image(4), image(5)]))
    assert [tuple(batch[:, 0, 0, 0].tolist()) for batch in batches] == [
        *((1,), (2,), (4,), (5,), (3,)),
        *((1, 2, 4), (5, 1, 2), (3, 3, 3)),
    ]


def test_one_pixel_of_another_class_is_counted_in_every_batch_and_breaks_parity():
    def other(images):
        logits = two_classes(images)
        logits[:, 0, 1, 2] += 0.25  # 0.4 becomes 0.65: above 0.5
        return logits

    parity = compare(two_classes, other, [image(0.4)])
    assert (parity.num_scans, parity.num_pixels, parity.num_unlike) == (1, 4 * 6, 4)
    assert parity.logits == pytest.approx(0.25)
    sigmoid = [1 / (1 + math.exp(-difference)) for difference in (-0.1, 0.15)]
    assert parity.probabilities == pytest.approx(sigmoid[1] - sigmoid[0])
    assert not parity.is_kept
    assert parity.words.startswith("4 of 24 pixels have another class, logits within 2.5e-01")


def test_rounding_keeps_parity_and_what_is_no_rounding_or_no_number_does_not():
    kept = compare(two_classes, lambda images: two_classes(images) + 1e-6, [image(0.4)])
    assert kept.is_kept
    assert kept.words.startswith("the same class in all 24 pixels")
    scaled = compare(two_classes, lambda images: two_classes(images) * 2, [image(0.4)])
    assert scaled.num_unlike == 0
    assert not scaled.is_kept

    def broken(images):
        logits = two_classes(images)
        logits[0, 1, 0, 0] = float("nan")
        return logits

    found = compare(two_classes, broken, [image(0.9), image(0.9)])
    assert math.isnan(found.logits)
    assert not found.is_kept


def test_a_shape_that_differs_is_our_own_slip():
    with pytest.raises(AssertionError, match="expected"):
        compare(two_classes, lambda images: two_classes(images)[..., 1:], [image(0)])


def test_fluid_that_differs_breaks_parity():
    def fluid(offset):
        return lambda images: (two_classes(images), images[:, 0] + offset)

    assert fluid_difference(fluid(0.0), fluid(0.02), [image(0.4), image(0.9)]) == pytest.approx(0.02)
    assert math.isnan(fluid_difference(fluid(0.0), fluid(math.nan), [image(0.4)]))
    alike = Parity(1, 6, 0, 0.0, 0.0, fluid=1e-6)
    assert alike.is_kept
    assert alike.words.endswith("probability of fluid within 1.0e-06")
    assert not Parity(1, 6, 0, 0.0, 0.0, fluid=0.02).is_kept
    assert not Parity(1, 6, 0, 0.0, 0.0, fluid=math.nan).is_kept
    assert "fluid" not in Parity(1, 6, 0, 0.0, 0.0).words
