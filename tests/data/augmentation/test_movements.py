import pytest
import torch

from retseg.data.augmentation import Elastic, Flip, Scale, Shear, Shift
from retseg.data.augmentation.warp import Displacement
from retseg.errors import InputError

NUM, HEIGHT, WIDTH = 400, 50, 30


@pytest.fixture
def still():
    torch.manual_seed(0)
    return Displacement.none(torch.zeros(NUM, HEIGHT, WIDTH, dtype=torch.long))


def test_without_movement_pixels_come_from_where_they_are(still):
    assert still.source_rows()[3, :, 5].tolist() == [row + 0.5 for row in range(HEIGHT)]
    assert still.columns[3].tolist() == list(range(WIDTH))


def test_a_flip_turns_columns_around_in_its_share_of_scans(still):
    columns = Flip(0.25)(still).columns
    is_flipped = columns[:, 0] == WIDTH - 1
    assert torch.equal(columns[is_flipped], still.columns.flip(1)[is_flipped])
    assert torch.equal(columns[~is_flipped], still.columns[~is_flipped])
    assert is_flipped.float().mean() == pytest.approx(0.25, abs=0.07)


def test_a_shift_is_one_a_scan_within_its_bounds(still):
    moved = Shift(rows=0.2, columns=0.1)(still)
    down, aside = moved.rise[:, 0], (moved.columns - still.columns)[:, 0]
    assert torch.equal(moved.rise, down[:, None].expand(-1, WIDTH))
    assert torch.allclose(moved.columns - still.columns, aside[:, None].expand(-1, WIDTH), atol=1e-5)
    for found, most in ((down, 0.2 * HEIGHT), (aside, 0.1 * WIDTH)):
        assert 0.95 * most < found.max() <= most
        assert -most <= found.min() < -0.95 * most
    assert abs(torch.corrcoef(torch.stack([down, aside]))[0, 1]) < 0.15


def test_a_shear_is_a_straight_line_about_the_middle(still):
    rise = Shear(rows=0.2)(still).rise
    steps = rise.diff(dim=1)
    assert torch.allclose(steps, steps[:, :1].expand_as(steps), atol=1e-5)
    assert rise.mean(dim=1).abs().max() < 1e-5
    from_edge_to_edge = steps[:, 0].abs() * WIDTH
    assert 0.95 * 0.2 * HEIGHT < from_edge_to_edge.max() <= 0.2 * HEIGHT


def test_a_scale_is_as_often_larger_as_smaller(still):
    moved = Scale(depth=1.5, lateral=1.2)(still)
    deeper, wider = moved.magnification.unbind(1)
    assert torch.equal(moved.stretch, deeper[:, None].expand(-1, WIDTH))
    for found, most in ((deeper, 1.5), (wider, 1.2)):
        assert (found > 1).float().mean() == pytest.approx(0.5, abs=0.1)
        assert 1 / most <= found.min()
        assert found.max() <= most
    steps = moved.columns.diff(dim=1)
    assert torch.allclose(steps, (1 / wider)[:, None].expand_as(steps), atol=1e-5)
    assert torch.allclose(moved.columns.mean(dim=1), torch.tensor((WIDTH - 1) / 2), atol=1e-4)


def test_elastic_bends_smoothly_by_its_standard_deviations(still):
    moved = Elastic(rows=0.1, columns=0.02, stretch=0.05, knots=4)(still)
    at_knots = [0, WIDTH - 1]  # the outermost columns are knots
    assert moved.rise[:, at_knots].std() == pytest.approx(0.1 * HEIGHT, rel=0.1)
    assert (moved.columns - still.columns)[:, at_knots].std() == pytest.approx(0.02 * WIDTH, rel=0.1)
    assert moved.stretch[:, at_knots].log().std() == pytest.approx(0.05, rel=0.1)
    assert moved.rise.diff(dim=1).abs().max() < 0.1 * moved.rise.abs().max() * 4
    bends = moved.rise.diff(dim=1).sign().diff(dim=1) != 0
    assert bends.sum(dim=1).max() <= 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Flip(1.5), r"augmentation.probability: 1.5, expected a number from 0 to 1"),
        (lambda: Shift(rows=-0.1), r"augmentation.rows: -0.1, expected a number from 0 to 1"),
        (lambda: Shear(rows=2), r"augmentation.rows: 2, expected"),
        (lambda: Scale(depth=0.9), r"augmentation.depth: 0.9, expected a factor of 1 \(nothing\) or more"),
        (lambda: Elastic(knots=1), r"augmentation.knots: 1, expected 2 \(a straight line\) or more"),
    ],
)
def test_refuses_wrong_settings(make, message):
    with pytest.raises(InputError, match=message):
        make()
