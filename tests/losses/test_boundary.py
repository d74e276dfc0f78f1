import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from retseg.anatomy import IGNORE
from retseg.errors import InputError
from retseg.losses import ActiveContour, BoundaryDistance, BoundaryWeightedCrossEntropy
from retseg.losses.distances import is_beside_surface, rows_to
from retseg.losses.pixels import true_class_surprise


@pytest.mark.parametrize("reach", [1, 2, 3, 8, 50])
def test_rows_to_is_scipys_distance_along_columns(reach):
    is_there = torch.rand(3, 17, 6, generator=torch.Generator().manual_seed(1)) < 0.12
    expected = np.full(is_there.shape, reach)
    for scan in range(3):
        for column in range(6):
            line = is_there[scan, :, column].numpy()
            if line.any():
                expected[scan, :, column] = np.minimum(ndimage.distance_transform_edt(~line), reach)
    np.testing.assert_array_equal(rows_to(is_there, reach).numpy(), expected)


def test_weights_fall_with_the_distance_from_a_surface():
    """One column: class 0 above class 1, an unknown pixel, class 1 above class 2; sigma 1."""
    mask = torch.tensor([0, 0, 1, 1, IGNORE, 1, 2]).view(1, -1, 1)
    assert is_beside_surface(mask).flatten().tolist() == [False, True, True, False, False, True, True]
    near, next_one = math.exp(-(0.5**2) / 2), math.exp(-(1.5**2) / 2)
    expected = [next_one, near, near, next_one, 0, near, near]
    weights = BoundaryWeightedCrossEntropy(surface=10, sigma_rows=1, layer=0).weights(mask).flatten()
    is_known = [1, 1, 1, 1, 0, 1, 1]
    assert weights.tolist() == pytest.approx([k + 10 * e for k, e in zip(is_known, expected, strict=True)])
    layered = BoundaryWeightedCrossEntropy(surface=0, layer=5).weights(mask).flatten()
    assert layered.tolist() == [1, 1, 6, 6, 0, 6, 6]


def test_a_pixel_beyond_reach_weighs_as_any():
    mask = torch.tensor([1] * 40 + [2]).view(1, -1, 1)
    weights = BoundaryWeightedCrossEntropy(layer=0).weights(mask).flatten()
    assert weights[:30].tolist() == [1] * 30
    assert (weights[30:].diff() >= 0).all()
    assert weights[-2] == weights[-1] > 10


def test_the_weighted_cross_entropy_is_the_weighted_mean():
    torch.manual_seed(0)
    logits, mask = torch.randn(2, 3, 6, 4), torch.randint(IGNORE, 3, (2, 6, 4))
    loss = BoundaryWeightedCrossEntropy()
    weights, surprise = loss.weights(mask), true_class_surprise(logits, mask)
    assert loss(logits, mask).item() == pytest.approx(((weights * surprise).sum() / weights.sum()).item())


def test_boundary_distance_by_hand():
    """Column 0 0 1 1 of classes 0 and 1, reach 4: |level| is 1.5, .5, .5, 1.5 rows over 4 for either class."""
    mask = torch.tensor([0, 0, 1, 1]).view(1, -1, 1)
    wrong = torch.tensor([0.1, 0.2, 0.3, 0.4])  # probability of the wrong class
    probability = torch.where(mask.flatten() == 1, 1 - wrong, wrong)
    logits = torch.stack([(1 - probability).log(), probability.log()]).view(1, 2, 4, 1)
    # Both classes differ from their truth by `wrong`, each times |level|.
    expected = 2 * (0.1 * 1.5 + 0.2 * 0.5 + 0.3 * 0.5 + 0.4 * 1.5) / 4 / 4
    assert BoundaryDistance(reach_rows=4)(logits, mask).item() == pytest.approx(expected)


def test_boundary_distance_against_scipys_signed_distances():
    torch.manual_seed(2)
    logits, mask = torch.randn(1, 3, 12, 5), torch.randint(0, 3, (1, 12, 1)).expand(1, 12, 5)
    total = 0.0
    for label in range(3):
        is_in = (mask[0, :, 0] == label).numpy()
        level = np.where(is_in, 0.5 - ndimage.distance_transform_edt(is_in), 0)
        level = np.where(is_in, level, ndimage.distance_transform_edt(~is_in) - 0.5)
        excess = logits.softmax(dim=1)[0, label].numpy() - is_in[:, None]
        total += (excess * level[:, None] / 12).sum()
    assert BoundaryDistance(reach_rows=12)(logits, mask).item() == pytest.approx(total / 60, rel=1e-5)


def test_a_surface_that_is_further_off_costs_more():
    mask = torch.tensor([0] * 10 + [1] * 10).view(1, -1, 1)
    losses = []
    for shift in range(6):
        moved = torch.tensor([0] * (10 - shift) + [1] * (10 + shift)).view(1, -1, 1)
        logits = 50.0 * torch.stack([moved == 0, moved == 1], dim=1).float()
        losses.append(BoundaryDistance()(logits, mask).item())
    # Each row that the surface is off adds 2 classes x (row + 1/2) / 20 px of reach over 20 pixels.
    assert losses == pytest.approx([sum(2 * (row + 0.5) / 20 / 20 for row in range(shift)) for shift in range(6)])


def test_the_region_of_active_contours_is_the_papers():
    torch.manual_seed(0)
    logits, mask = torch.randn(2, 3, 6, 4), torch.randint(0, 3, (2, 6, 4))
    u, v = logits.softmax(dim=1), torch.nn.functional.one_hot(mask, 3).movedim(-1, 1)
    region = (u * (1 - v) ** 2 + (1 - u) * v**2).sum() / 48
    assert ActiveContour(length_weight=0)(logits, mask).item() == pytest.approx(region.item(), rel=1e-5)


def test_the_length_of_active_contours_by_hand():
    """A surface straight across 4 columns, of which 3 have a column to their right: 3 px in each of two classes."""
    mask = torch.tensor([0, 0, 1, 1]).view(1, -1, 1).expand(1, 4, 4)
    logits = 80.0 * torch.stack([mask == 0, mask == 1], dim=1).float()
    assert ActiveContour()(logits, mask).item() == pytest.approx(2 * 3 / 16, rel=1e-2)
    unknown = mask.clone()
    unknown[:, :, 1] = IGNORE  # takes two of the three differences with it
    assert ActiveContour()(logits, unknown).item() == pytest.approx(2 * 1 / 12, rel=1e-2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BoundaryWeightedCrossEntropy(surface=-1), "surface -1 and layer 5.0, expected 0"),
        (lambda: BoundaryWeightedCrossEntropy(sigma_rows=0), "sigma_rows: 0, expected more than 0 px"),
        (lambda: BoundaryDistance(reach_rows=0), "reach_rows: 0, expected 1 px or more"),
        (lambda: ActiveContour(length_weight=-1), r"length_weight: -1, expected 0 \(region alone\)"),
    ],
)
def test_refuses_wrong_settings(make, message):
    with pytest.raises(InputError, match=message):
        make()
