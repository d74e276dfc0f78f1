import math
from typing import NamedTuple

import pytest
import torch

from retseg.anatomy import IGNORE
from retseg.errors import InputError
from retseg.losses import CrossEntropyDice, FluidCrossEntropyDice, JointLoss, SurfaceDistance

NAN = math.nan


class Given(NamedTuple):
    logits: torch.Tensor
    surface_rows: torch.Tensor | None = None
    fluid: torch.Tensor | None = None


@pytest.fixture
def given():
    torch.manual_seed(0)
    return Given(torch.randn(2, 3, 4, 5), torch.rand(2, 3, 5) * 4, torch.randn(2, 4, 5))


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return {
        "mask": torch.randint(IGNORE, 3, (2, 4, 5)),
        "surface_rows": torch.rand(2, 3, 5) * 4,
        "fluid": torch.randint(IGNORE, 2, (2, 4, 5)),
    }


def test_the_parts_add_up_with_their_weights(given, batch):
    layers, surfaces, fluid = CrossEntropyDice(), SurfaceDistance(), FluidCrossEntropyDice()
    loss = JointLoss(layers, surfaces, fluid, surface_weight=0.5, fluid_weight=2)
    parts = (layers(given.logits, batch["mask"]), surfaces(given.surface_rows, batch["surface_rows"]))
    expected = parts[0] + 0.5 * parts[1] + 2 * fluid(given.fluid, batch["fluid"])
    assert loss.joint(given, batch).item() == pytest.approx(expected.item())
    assert loss(given.logits, batch["mask"]).item() == parts[0].item()


def test_parts_that_are_left_out_need_neither_output_nor_target(given, batch):
    loss = JointLoss(CrossEntropyDice())
    only_layers = loss.joint(Given(given.logits), {"mask": batch["mask"]})
    assert only_layers.item() == loss(given.logits, batch["mask"]).item()


def test_surfaces_that_left_the_grid_take_no_part(given, batch):
    loss = JointLoss(CrossEntropyDice(), SurfaceDistance())
    outside, unknown = batch["surface_rows"].clone(), batch["surface_rows"].clone()
    outside[0, 0, :2], unknown[0, 0, :2] = torch.tensor([-0.5, 4.5]), NAN  # the grid has four rows: 0..4 are edges
    result = loss.joint(given, {**batch, "surface_rows": outside}).item()
    assert result == loss.joint(given, {**batch, "surface_rows": unknown}).item()
    assert result != loss.joint(given, batch).item()


def test_the_classes_of_the_layers_are_checked():
    with pytest.raises(InputError, match="3 numbers for 8 classes"):
        JointLoss(CrossEntropyDice(class_weights=[1, 1, 1])).check(8)


@pytest.mark.parametrize("name", ["surface_weight", "fluid_weight"])
def test_refuses_a_weight_of_nothing(name):
    with pytest.raises(InputError, match=f"loss.{name}: 0, expected more than 0; to leave a part out set it to null"):
        JointLoss(CrossEntropyDice(), **{name: 0})


def test_surface_distance_by_hand():
    """Distances 0.5, 3 and 2 px; unknown rows count nowhere."""
    rows = torch.tensor([[[1.0, 2, 3, 4]]])
    true_rows = torch.tensor([[[1.5, 5, 1, NAN]]])
    assert SurfaceDistance()(rows, true_rows).item() == pytest.approx((0.5**2 / 2 + 2.5 + 1.5) / 3)
    assert SurfaceDistance(beta_rows=0)(rows, true_rows).item() == pytest.approx(5.5 / 3)
    assert SurfaceDistance(beta_rows=4)(rows, true_rows).item() == pytest.approx((0.25 + 9 + 4) / 8 / 3)


def test_unknown_rows_have_no_gradient_and_none_known_gives_zero():
    rows = torch.tensor([[[1.0, 2, 3]]], requires_grad=True)
    SurfaceDistance()(rows, torch.tensor([[[NAN, 4, NAN]]])).backward()
    assert rows.grad.tolist() == [[[0, -1, 0]]]
    assert SurfaceDistance()(rows, torch.full((1, 1, 3), NAN)).item() == 0


def test_refuses_a_negative_beta():
    with pytest.raises(InputError, match="beta_rows: -1, expected 0"):
        SurfaceDistance(beta_rows=-1)


def test_fluid_by_hand():
    """Probabilities 3/4 (fluid), 1/2 (none), and one that nobody looked at."""
    logit, fluid = torch.tensor([[[math.log(3), 0, 9]]]), torch.tensor([[[1, 0, IGNORE]]])
    cross_entropy = -(math.log(0.75) + math.log(0.5)) / 2
    dice = (2 * 0.75 + 1) / (1.25 + 1 + 1)
    assert FluidCrossEntropyDice()(logit, fluid).item() == pytest.approx(cross_entropy + 1 - dice)
    heavy = FluidCrossEntropyDice(dice_weight=0, fluid_pixels=3)(logit, fluid)
    assert heavy.item() == pytest.approx(-(3 * math.log(0.75) + math.log(0.5)) / 2)


def test_fluid_against_monai():
    from monai.losses import DiceCELoss

    torch.manual_seed(2)
    logit, fluid = torch.randn(3, 5, 7), torch.randint(0, 2, (3, 5, 7))
    # MONAI adds smooth_nr to 2 I and smooth_dr to P + Y.
    monai = DiceCELoss(sigmoid=True, batch=True, smooth_nr=1, smooth_dr=1)
    expected = monai(logit[:, None], fluid[:, None].float()).item()
    assert FluidCrossEntropyDice()(logit, fluid).item() == pytest.approx(expected, rel=1e-5)


def test_no_fluid_at_all_asks_for_none_and_nobody_looking_asks_for_nothing():
    logit = torch.zeros(1, 2, 3, requires_grad=True)
    FluidCrossEntropyDice(ce_weight=0)(logit, torch.zeros(1, 2, 3, dtype=torch.long)).backward()
    assert (logit.grad > 0).all()
    loss = FluidCrossEntropyDice()(logit, torch.full((1, 2, 3), IGNORE))
    assert loss.item() == 0
    assert torch.autograd.grad(loss, logit)[0].abs().sum() == 0


def test_fluid_is_finite_at_extreme_logits():
    logit = torch.tensor([[[1e4, -1e4]]], requires_grad=True)
    loss = FluidCrossEntropyDice()(logit, torch.tensor([[[0, 1]]]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logit.grad).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"ce_weight": 0, "dice_weight": 0}, "none below 0 and one above"), ({"fluid_pixels": 0}, "expected more than 0")],
)
def test_refuses_wrong_settings_of_fluid(settings, message):
    with pytest.raises(InputError, match=message):
        FluidCrossEntropyDice(**settings)
