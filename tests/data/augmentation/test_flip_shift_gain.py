import numpy as np
import pytest
import torch

from retseg.anatomy import IGNORE
from retseg.data.augmentation import FlipShiftGain
from retseg.errors import InputError
from retseg.geometry.surfaces import paint_mask
from tests.data.augmentation.scans import batch_of

HEIGHT, WIDTH = 10, 7


@pytest.fixture
def batch():
    torch.manual_seed(3)
    mask = torch.randint(IGNORE, 8, (6, HEIGHT, WIDTH))
    return batch_of((mask[:, None] + 2) / 20.0, mask)  # gray levels say which class a pixel is of


def test_labels_follow_the_pixels(batch):
    changed = FlipShiftGain(flip=0.5, shift_rows=0.3, gain=0)(batch)
    assert torch.equal(torch.round(changed["image"][:, 0] * 20 - 2).long(), changed["mask"])
    assert not torch.equal(changed["mask"], batch["mask"])


def test_a_flip_is_left_to_right(batch):
    changed = FlipShiftGain(flip=1, shift_rows=0, gain=0)(batch)
    assert torch.equal(changed["mask"], batch["mask"].flip(2))
    assert torch.equal(changed["image"], batch["image"].flip(3))


def test_a_shift_moves_whole_scans_and_repeats_the_outermost_row():
    rows = torch.arange(HEIGHT).view(1, -1, 1).expand(200, HEIGHT, WIDTH)
    moved = FlipShiftGain(flip=0, shift_rows=0.3, gain=0)(batch_of(rows[:, None] / 20.0, rows))["mask"]
    shifts = moved[:, 5, 0] - 5
    assert sorted(set(shifts.tolist())) == [-3, -2, -1, 0, 1, 2, 3]
    expected = (torch.arange(HEIGHT) + shifts[:, None]).clamp(0, HEIGHT - 1)
    assert torch.equal(moved, expected[:, :, None].expand_as(moved))


def test_a_gain_is_one_factor_a_scan_and_leaves_labels_alone(batch):
    changed = FlipShiftGain(flip=0, shift_rows=0, gain=0.2)(batch)
    factor = (changed["image"] / batch["image"]).flatten(1)
    assert torch.allclose(factor, factor[:, :1].expand_as(factor))
    assert (factor[:, 0] > 0.8).all()
    assert (factor[:, 0] < 1.2).all()
    assert len(set(factor[:, 0].tolist())) == 6
    assert torch.equal(changed["mask"], batch["mask"])
    bright = FlipShiftGain(0, 0, 1)(batch_of(torch.ones(50, 1, 2, 3), torch.zeros(50, 2, 3, dtype=torch.long)))
    assert bright["image"].max() == 1


def test_surfaces_and_fluid_go_with_the_mask():
    torch.manual_seed(5)
    rows = torch.tensor([3.0, 4, 4, 5, 6, 6, 7, 7]).view(1, 8, 1) + torch.tensor([0.0, 0, 0, -1, 1, 0, 1])
    rows = rows.repeat(20, 1, 1)
    rows[:, 2, 4] = torch.nan
    mask = torch.from_numpy(paint_mask(rows[0].numpy(), HEIGHT)).long().repeat(20, 1, 1)
    changed = FlipShiftGain(flip=0.5, shift_rows=0.2, gain=0)(
        batch_of(mask[:, None] / 10, mask, surface_rows=rows, fluid=mask)
    )
    assert torch.equal(changed["fluid"], changed["mask"])
    assert len({tuple(scan.flatten().tolist()) for scan in changed["mask"]}) > 5
    for scan, surfaces in zip(changed["mask"], changed["surface_rows"], strict=True):
        np.testing.assert_array_equal(paint_mask(surfaces.numpy(), HEIGHT), scan.numpy())


def test_the_same_seed_changes_a_batch_the_same_way(batch):
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(FlipShiftGain()(batch)["image"])
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize("option", ["flip", "shift_rows", "gain"])
def test_refuses_a_share_outside_0_to_1(option):
    with pytest.raises(InputError, match=f"augmentation.{option}: 1.5, expected a number from 0 to 1"):
        FlipShiftGain(**{option: 1.5})
