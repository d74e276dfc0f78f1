"""What every loss on logits (N, C, H, W) and masks (N, H, W) promises."""

import pytest
import torch

from retseg.anatomy import IGNORE
from tests.losses.every_loss import EVERY_LOSS

each = pytest.mark.parametrize("loss", EVERY_LOSS.values(), ids=EVERY_LOSS.keys())


@pytest.fixture
def scans():
    """Layers with a gap that nobody annotated: logits (2, 4, 6, 5), mask (2, 6, 5)."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.tensor([0, 1, 1, 2, 3, 0]).view(1, -1, 1).repeat(2, 1, 5)
    mask[0, :, 1], mask[1, 2:4, 3] = IGNORE, IGNORE
    return torch.randn(2, 4, 6, 5, generator=generator, dtype=torch.float64), mask


def truth_logits(mask, sure):
    """Logits of a network that is so sure of the truth."""
    return sure * (mask.clamp(min=0).unsqueeze(1) == torch.arange(4).view(1, -1, 1, 1)).double()


@each
def test_gradients_are_those_of_finite_differences(loss, scans):
    logits, mask = scans
    assert torch.autograd.gradcheck(lambda x: loss(x, mask), logits.clone().requires_grad_())


@each
def test_what_nobody_annotated_changes_nothing(loss, scans):
    logits, mask = scans
    changed = torch.where((mask == IGNORE).unsqueeze(1), torch.randn_like(logits), logits).requires_grad_()
    value = loss(changed, mask)
    assert value.item() == pytest.approx(loss(logits, mask).item(), rel=1e-12)
    (gradient,) = torch.autograd.grad(value, changed)
    assert gradient.masked_select((mask == IGNORE).unsqueeze(1)).abs().max() == 0


@each
def test_nothing_annotated_gives_zero_and_zero_gradients(loss, scans):
    logits = scans[0].clone().requires_grad_()
    value = loss(logits, torch.full((2, 6, 5), IGNORE))
    value.backward()
    assert value.item() == 0
    assert logits.grad.abs().sum() == 0


@each
@pytest.mark.parametrize("sure", [1e4, -1e4])
def test_is_finite_where_the_network_is_utterly_sure(loss, scans, sure):
    logits = truth_logits(scans[1], sure).float().requires_grad_()
    value = loss(logits, scans[1])
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()


@each
def test_the_truth_is_the_best_answer(loss, scans):
    logits, mask = scans
    best = loss(truth_logits(mask, 50.0), mask).item()
    assert best < loss(truth_logits(mask, 5.0), mask).item() < loss(logits, mask).item()
    assert best < loss(truth_logits((mask + 1) % 4, 50.0), mask).item()


@each
def test_the_same_scans_give_the_same_bits(loss, scans):
    logits, mask = scans[0].float(), scans[1]
    assert loss(logits, mask).item() == loss(logits.clone(), mask.clone()).item()
