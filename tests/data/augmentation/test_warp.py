"""Image, mask, surfaces and fluid move together."""

from dataclasses import dataclass, replace

import pytest
import torch

from retseg.anatomy import IGNORE
from retseg.data.augmentation import Elastic, Flip, Scale, Shear, Shift, Warp
from retseg.data.augmentation.warp import mirrored
from tests.data.augmentation.scans import batch_of, gray, layered, painted

EVERYTHING = (Flip(), Shift(0.1, 0.1), Shear(0.1), Scale(1.3, 1.3), Elastic(0.02, 0.01, 0.05))


@dataclass(frozen=True)
class Known:
    """A movement of known size."""

    rise: float = 0.0
    columns: float = 0.0
    stretch: float = 1.0

    def __call__(self, displacement):
        return replace(
            displacement,
            rise=displacement.rise + self.rise,
            columns=displacement.columns - self.columns,
            stretch=displacement.stretch * self.stretch,
        )


def test_without_movements_nothing_changes():
    batch = layered()
    same = Warp([])(batch)
    assert torch.allclose(same["image"], batch["image"], atol=1e-5)
    for name in ("mask", "surface_rows", "fluid", "spacing_um"):
        assert torch.equal(same[name], batch[name])
    assert same["name"] == batch["name"]


def test_a_known_movement_by_hand():
    """Two rows down, one column to the right: mirrored at the left edge and, unknown unless it is vitreous, above."""
    mask = torch.tensor([[0, 0, 0], [1, 2, 3], [4, 4, 5], [0, 0, 0], [0, 0, 0], [0, 0, 0]])[None]
    rows = torch.tensor([[[1.0, 1.25, 1.5]]])
    moved = Warp([Known(rise=2, columns=1)])(batch_of(gray(mask), mask, surface_rows=rows, fluid=(mask == 4).long()))
    shown = torch.tensor([[2, 1, 2], [0, 0, 0], [0, 0, 0], [2, 1, 2], [4, 4, 4], [0, 0, 0]])[None]
    expected = shown.clone()
    expected[:, 0] = IGNORE
    assert torch.equal(moved["mask"], expected)
    assert torch.equal(moved["fluid"], (shown == 4).long())
    assert torch.allclose(moved["image"], gray(shown), atol=1e-5)
    assert moved["surface_rows"].tolist() == [[[3.25, 3.0, 3.25]]]


def test_a_stretch_is_about_the_middle_row_by_hand():
    """Ten rows, twice as deep: rows 3, 5 and 8 of the surfaces become 1, 5 and 11, which is beyond the scan."""
    mask = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 0, 0]).view(1, -1, 1).repeat(1, 1, 2)
    rows = torch.tensor([3.0, 5.0, 8.0]).view(1, 3, 1).repeat(1, 1, 2)
    moved = Warp([Known(stretch=2)])(batch_of(gray(mask), mask, surface_rows=rows))
    assert moved["surface_rows"][0, :, 0].tolist() == [1, 5, 11]
    assert moved["mask"][0, :, 0].tolist() == [0, 1, 1, 1, 1, 2, 2, 2, 2, 2]


def test_half_a_pixel_is_interpolated_in_the_image_and_exact_in_the_surfaces():
    image = torch.tensor([0.0, 0.0, 1.0, 1.0]).view(1, 1, 4, 1).repeat(1, 1, 1, 3)
    mask, rows = (image[:, 0] > 0).long(), torch.full((1, 1, 3), 2.0)
    moved = Warp([Known(rise=0.5)])(batch_of(image, mask, surface_rows=rows))
    assert moved["image"][0, 0, :, 1].tolist() == pytest.approx([0, 0, 0.5, 1], abs=1e-5)
    assert moved["surface_rows"][0, 0].tolist() == [2.5] * 3


@pytest.mark.parametrize("movements", [[step] for step in EVERYTHING] + [EVERYTHING])
def test_painted_surfaces_are_the_mask_to_a_pixel_and_on_average_exactly(movements):
    torch.manual_seed(4)
    batch = layered(num=500)  # where a pixel is cut is one draw a scan: many scans for an average
    height = batch["mask"].shape[1]
    moved = Warp(movements)(batch)
    assert not torch.equal(moved["surface_rows"], batch["surface_rows"])
    expected = torch.stack([painted(rows, height) for rows in moved["surface_rows"]])
    is_known = moved["mask"] != IGNORE
    assert is_known.float().mean() > 0.95
    # The surfaces of the mask: how many rows of a column are of a class above it, where the whole column is known.
    depth = [class_depth(mask) for mask in (moved["mask"], expected)]
    offs = []
    for surface in range(8):
        off = (depth[0] <= surface).sum(dim=1) - (depth[1] <= surface).sum(dim=1)
        offs.append(off[is_known.all(dim=1)])
    offs = torch.cat(offs).float()
    assert len(offs) > 160_000
    assert offs.abs().max() <= 1
    assert abs(offs.mean()) < 0.03


def class_depth(mask):
    """Class ids, 8 for background below the retina: where the class above is the last one."""
    below = (mask == 0) & ((mask > 0).long().cumsum(dim=1) > 0)
    return torch.where(below, 8, mask)


def test_gray_levels_and_fluid_go_with_the_labels():
    torch.manual_seed(4)
    batch = layered()
    moved = Warp(EVERYTHING)(batch)
    shown = torch.round(moved["image"][:, 0] * 20 - 2).long()
    is_known = moved["mask"] != IGNORE
    agreement = (shown == moved["mask"])[is_known].float().mean()
    assert agreement > 0.95  # the rest is interpolated between two layers
    is_kept = is_known & (moved["fluid"] != IGNORE)
    assert torch.equal(moved["fluid"][is_kept], (moved["mask"] == 5).long()[is_kept])


def test_a_label_that_enters_is_unknown_unless_it_is_background():
    """The scan ends within a layer below: what enters there nobody has seen, and it is shown mirrored."""
    mask = torch.tensor([0, 0, 2, 1]).view(1, -1, 1).repeat(1, 1, 2)
    up, down = (Warp([Known(rise=rise)])(batch_of(gray(mask), mask, fluid=mask)) for rise in (-2, 2))
    assert up["mask"][0, :, 0].tolist() == up["fluid"][0, :, 0].tolist() == [2, 1, IGNORE, IGNORE]
    assert torch.allclose(up["image"][0, 0, :, 0], gray(torch.tensor([[[2], [1], [1], [2]]]))[0, 0, :, 0], atol=1e-5)
    assert down["mask"][0, :, 0].tolist() == [0, 0, 0, 0]


def test_what_is_not_annotated_stays_so():
    mask = torch.full((1, 4, 3), IGNORE)
    assert (Warp([Known(rise=1, columns=1)])(batch_of(gray(mask), mask))["mask"] == IGNORE).all()


def test_unknown_surfaces_stay_unknown_and_spread_to_no_whole_column():
    mask = torch.zeros(1, 6, 5, dtype=torch.long)
    rows = torch.tensor([[[1.0, 2.0, torch.nan, 3.0, 4.0]]])
    whole = Warp([Known(columns=1)])(batch_of(gray(mask), mask, surface_rows=rows))["surface_rows"]
    assert whole[0, 0].nan_to_num(-9).tolist() == [2, 1, 2, -9, 3]
    half = Warp([Known(columns=0.5)])(batch_of(gray(mask), mask, surface_rows=rows))["surface_rows"]
    assert half[0, 0].nan_to_num(-9).tolist() == [1.5, 1.5, -9, -9, 3.5]


def test_columns_beyond_the_edges_are_mirrored():
    columns = torch.tensor([[-2.0, -0.5, 0, 3.5, 4, 4.5, 7, 8, 9]])
    assert mirrored(columns[:, :5]).tolist() == [[2, 0.5, 0, 3.5, 4]]
    assert mirrored(columns)[0, -3:].tolist() == [7, 8, 7]
    assert mirrored(torch.tensor([[3.0]])).tolist() == [[0]]


def test_the_spacing_follows_the_scale():
    torch.manual_seed(0)
    batch = layered(num=50)
    moved = Warp([Scale(depth=1.5, lateral=1.0)])(batch)
    factor = (batch["spacing_um"] / moved["spacing_um"])[:, 0]
    thickness = [rows[:, 7] - rows[:, 0] for rows in (batch["surface_rows"], moved["surface_rows"])]
    assert torch.allclose(thickness[1], thickness[0] * factor[:, None], rtol=1e-4)
    assert torch.equal(moved["spacing_um"][:, 1], batch["spacing_um"][:, 1])
    assert factor.min() > 1 / 1.5
    assert factor.max() < 1.5
    assert factor.max() / factor.min() > 1.8


def test_nothing_is_changed_in_place_and_the_same_seed_gives_the_same_bits():
    batch = layered()
    before = {name: value.clone() for name, value in batch.items() if isinstance(value, torch.Tensor)}
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(Warp(EVERYTHING)(batch))
    for name, value in before.items():
        assert torch.equal(batch[name], value), name
        assert torch.equal(results[0][name], results[1][name]), name
    for name in ("image", "mask", "surface_rows", "fluid"):
        assert not torch.equal(results[0][name], results[2][name]), name


def test_a_batch_without_surfaces_and_fluid_gets_none():
    batch = layered()
    del batch["surface_rows"], batch["fluid"]
    assert set(Warp(EVERYTHING)(batch)) == set(batch)


def test_a_shift_beyond_all_of_a_scan_leaves_nothing_known():
    mask = torch.tensor([0, 1, 2, 3]).view(1, -1, 1).repeat(1, 1, 2)
    moved = Warp([Known(rise=9)])(batch_of(gray(mask), mask))
    assert set(moved["mask"].flatten().tolist()) <= {0, IGNORE}
    assert torch.isfinite(moved["image"]).all()
