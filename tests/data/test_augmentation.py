import pytest
import torch

from retseg.anatomy import IGNORE
from retseg.data.augmentation import FlipShiftGain
from retseg.errors import InputError

HEIGHT, WIDTH = 10, 7


@pytest.fixture
def batch():
    torch.manual_seed(3)
    mask = torch.randint(IGNORE, 8, (6, HEIGHT, WIDTH))
    return (mask[:, None] + 2) / 20.0, mask  # gray levels say which class a pixel is of


def test_labels_follow_the_pixels(batch):
    image, mask = FlipShiftGain(flip=0.5, shift_rows=0.3, gain=0)(*batch)
    assert torch.equal(torch.round(image[:, 0] * 20 - 2).long(), mask)
    assert not torch.equal(mask, batch[1])


def test_a_flip_is_left_to_right(batch):
    image, mask = FlipShiftGain(flip=1, shift_rows=0, gain=0)(*batch)
    assert torch.equal(mask, batch[1].flip(2))
    assert torch.equal(image, batch[0].flip(3))


def test_a_shift_moves_whole_scans_and_repeats_the_outermost_row():
    rows = torch.arange(HEIGHT).view(1, -1, 1).expand(200, HEIGHT, WIDTH)
    _, moved = FlipShiftGain(flip=0, shift_rows=0.3, gain=0)(rows[:, None] / 20.0, rows)
    shifts = moved[:, 5, 0] - 5
    assert sorted(set(shifts.tolist())) == [-3, -2, -1, 0, 1, 2, 3]
    expected = (torch.arange(HEIGHT) + shifts[:, None]).clamp(0, HEIGHT - 1)
    assert torch.equal(moved, expected[:, :, None].expand_as(moved))


def test_a_gain_is_one_factor_a_scan_and_leaves_labels_alone(batch):
    image, mask = FlipShiftGain(flip=0, shift_rows=0, gain=0.2)(*batch)
    factor = (image / batch[0]).flatten(1)
    assert torch.allclose(factor, factor[:, :1].expand_as(factor))
    assert (factor[:, 0] > 0.8).all()
    assert (factor[:, 0] < 1.2).all()
    assert len(set(factor[:, 0].tolist())) == 6
    assert torch.equal(mask, batch[1])
    bright, _ = FlipShiftGain(0, 0, 1)(torch.ones(50, 1, 2, 3), torch.zeros(50, 2, 3, dtype=torch.long))
    assert bright.max() == 1


def test_the_same_seed_changes_a_batch_the_same_way(batch):
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(FlipShiftGain()(*batch)[0])
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize("option", ["flip", "shift_rows", "gain"])
def test_refuses_a_share_outside_0_to_1(option):
    with pytest.raises(InputError, match=f"augmentation.{option}: 1.5, expected a number from 0 to 1"):
        FlipShiftGain(**{option: 1.5})
