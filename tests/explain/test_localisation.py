"""Localisation against masks that can be worked by hand and brute force over pixels. Pixels are 4 um by 12 um."""

import math

import numpy as np
import pytest
import torch

from retseg.anatomy import IGNORE
from retseg.explain.localisation import context_share, find_regions, localise

NAN = torch.nan
SPACING_UM = torch.tensor([[4.0, 12.0]])

# 9 rows, 5 columns: vitreous, class 1, class 2 (missing in the last column), choroid.
MASK = torch.tensor(
    [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1],
        [2, 2, 2, 1, 1],
        [2, 2, 2, 2, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
    ]
)[None]


def heat_at(*pixels, num_classes=3, mask=MASK):
    """Maps (N, C, H, W), the same for every class: (row, column, heat)."""
    maps = torch.zeros(len(mask), num_classes, *mask.shape[1:])
    for row, column, heat in pixels:
        maps[:, :, row, column] = heat
    return maps


def judge(maps, mask=MASK, spacing_um=SPACING_UM, **settings):
    return localise(maps, find_regions(mask, maps.shape[1], spacing_um), **settings)


def random_case(seed, num_scans=3, num_classes=4):
    """Ragged masks with islands, gaps and unknown pixels, and maps of which half is 0."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.randint(-1, num_classes, (num_scans, 8, 13), generator=generator)
    maps = torch.randn(num_scans, num_classes, 8, 13, generator=generator).relu()
    return maps, mask


# Shares.


def test_shares_in_the_layer_in_each_neighbour_and_elsewhere():
    maps = heat_at((3, 0, 4.0), (1, 1, 2.0), (5, 2, 1.0), (7, 2, 1.0))
    found = judge(maps)
    # Class 1: its own pixel 4 of 8; the vitreous above 2; class 2 below 1; the choroid is elsewhere.
    assert found.in_layer[0, 1] == 4 / 8
    assert found.in_above[0, 1] == 2 / 8
    assert found.in_below[0, 1] == 1 / 8
    assert found.elsewhere[0, 1] == 1 / 8
    assert found.in_neighbours[0, 1] == 3 / 8
    # Class 2: class 1 lies above, the choroid below, and the vitreous is elsewhere.
    assert [found.in_layer[0, 2], found.in_above[0, 2], found.in_below[0, 2], found.elsewhere[0, 2]] == [
        1 / 8,
        4 / 8,
        1 / 8,
        2 / 8,
    ]
    # Background lies on both sides: above its lower part is class 2, below its upper part class 1.
    assert [found.in_layer[0, 0], found.in_above[0, 0], found.in_below[0, 0], found.elsewhere[0, 0]] == [
        3 / 8,
        1 / 8,
        4 / 8,
        0,
    ]


@pytest.mark.parametrize("seed", range(4))
def test_shares_sum_to_one(seed):
    maps, mask = random_case(seed)
    found = judge(maps, mask, SPACING_UM.expand(3, 2))
    total = found.in_layer + found.in_above + found.in_below + found.elsewhere
    torch.testing.assert_close(total, torch.ones(3, 4, dtype=torch.float64))


def test_of_two_classes_the_one_layer_is_counted_once():
    mask = (MASK > 0).long()
    found = judge(heat_at((3, 0, 3.0), (0, 0, 1.0), num_classes=2), mask)
    assert [found.in_layer[0, 0], found.in_above[0, 0], found.in_below[0, 0], found.elsewhere[0, 0]] == [
        1 / 4,
        3 / 4,
        0,
        0,
    ]


def test_all_eight_classes_have_their_neighbours_in_depth():
    mask = torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 0])[None, :, None].expand(1, 9, 4)
    maps = torch.ones(1, 8, 9, 4)
    maps[:, :, 0] = 3  # three times as hot in the vitreous, so that it is not the choroid
    found = judge(maps, mask)
    assert (found.in_above[0] * 11).tolist() == pytest.approx([1, 3, 1, 1, 1, 1, 1, 1])
    assert (found.in_below[0] * 11).tolist() == pytest.approx([1] * 8)
    assert (found.in_layer[0] * 11).tolist() == pytest.approx([4, 1, 1, 1, 1, 1, 1, 1])


def test_the_area_is_what_an_even_map_gets():
    found = judge(torch.ones(1, 3, 9, 5))
    torch.testing.assert_close(found.in_layer, found.area)
    assert found.area[0].tolist() == pytest.approx([27 / 45, 11 / 45, 7 / 45])


def test_pixels_that_nobody_annotated_do_not_count():
    mask = MASK.clone()
    mask[0, 6:] = IGNORE
    found = judge(heat_at((3, 0, 1.0), (1, 1, 1.0), (7, 2, 6.0)), mask)
    assert found.in_layer[0, 1] == 1 / 2
    assert found.known[0, 1] == 2 / 8
    assert found.pointing[0, 1] == 1 / 2  # the hottest annotated pixels are two, one of them in the layer
    assert judge(heat_at((7, 2, 6.0)), mask).in_layer.isnan().all()


# Distances.


def test_distances_along_the_a_scan_in_um():
    maps = heat_at((3, 0, 90.0), (0, 0, 5.0), (8, 2, 5.0))
    found = judge(maps)
    # Class 1 ends in row 2 (column 0: 2 rows below row 0) and row 3 (column 2: 5 rows above row 8).
    assert found.mean_distance[0, 1] == pytest.approx(4 * (5 * 2 + 5 * 5) / 100)
    assert found.mean_distance_px[0, 1] == pytest.approx(0.35)
    assert found.far_distance[0, 1] == 4 * 2  # 95 of 100 lie within 2 rows
    assert found.unit(0) == "um"


def test_distances_stay_in_px_where_the_scale_is_unknown_and_say_so():
    both = MASK.expand(2, -1, -1)
    found = judge(heat_at((0, 0, 1.0), mask=both), both, torch.tensor([[NAN, NAN], [4.0, 12.0]]))
    assert [found.unit(0), found.unit(1)] == ["px", "um"]
    assert found.mean_distance[:, 1].tolist() == [2, 8]
    assert found.far_distance[:, 1].tolist() == [2, 8]


def test_columns_without_the_layer_have_no_distance_and_say_how_much_that_is():
    found = judge(heat_at((5, 4, 3.0), (6, 0, 1.0)))
    assert found.measured[0].tolist() == [1, 1, 1 / 4]
    assert found.mean_distance_px[0, 2] == 1
    only_there = judge(heat_at((5, 4, 3.0)))
    assert only_there.measured[0, 2] == 0
    assert only_there.mean_distance_px[0, 2].isnan()
    assert only_there.far_distance_px[0, 2].isnan()


@pytest.mark.parametrize("seed", range(4))
def test_equals_brute_force_over_pixels(seed):
    maps, mask = random_case(seed)
    found = judge(maps, mask, SPACING_UM.expand(3, 2), tolerance_um=9.0)
    for scan, class_id in np.ndindex(3, 4):
        distances, total, near, peak = [], 0.0, 0, maps[scan, class_id][mask[scan] != IGNORE].max()
        inside = (mask[scan] == class_id).nonzero().tolist()
        for row, column in (mask[scan] != IGNORE).nonzero().tolist():
            heat = float(maps[scan, class_id, row, column])
            total += heat
            rows = [abs(row - other) for other, same in inside if same == column]
            if rows:
                distances += [(min(rows), heat)]
            if heat == peak:
                near = min(math.hypot(4 * (row - other), 12 * (column - side)) for other, side in inside) <= 9
        heats = sum(heat for _, heat in distances)
        assert found.mean_distance_px[scan, class_id] == pytest.approx(sum(d * h for d, h in distances) / heats)
        within = [d for d in range(8) if sum(h for other, h in distances if other <= d) >= 0.95 * heats]
        assert found.far_distance_px[scan, class_id] == within[0]
        assert found.measured[scan, class_id] == pytest.approx(heats / total)
        assert found.pointing_near[scan, class_id] == near


# Pointing game.


def test_the_peak_hits_or_misses():
    found = judge(heat_at((3, 0, 2.0), (7, 0, 1.0)))
    assert found.pointing[0].tolist() == [0, 1, 0]


def test_of_a_plateau_the_share_that_hits():
    assert judge(heat_at((3, 0, 2.0), (3, 1, 2.0), (4, 0, 2.0), (0, 0, 2.0))).pointing[0].tolist() == [0.25, 0.5, 0.25]


def test_a_near_miss_is_measured_in_um_along_both_axes():
    # Two rows above class 1 are 8 um; in the last column class 2 is one column (12 um) away in row 5.
    assert judge(heat_at((0, 0, 1.0)), tolerance_um=8.0).pointing_near[0, 1] == 1
    assert judge(heat_at((0, 0, 1.0)), tolerance_um=7.9).pointing_near[0, 1] == 0
    assert judge(heat_at((5, 4, 1.0)), tolerance_um=12.0).pointing_near[0, 2] == 1
    assert judge(heat_at((5, 4, 1.0)), tolerance_um=11.9).pointing_near[0, 2] == 0
    assert judge(heat_at((6, 4, 1.0)), tolerance_um=math.hypot(4, 12) + 1e-9).pointing_near[0, 2] == 1
    assert judge(heat_at((6, 4, 1.0)), tolerance_um=12.6).pointing_near[0, 2] == 0


@pytest.mark.parametrize("spacing_um", [[NAN, 12.0], [4.0, NAN]])
def test_a_near_miss_needs_both_pixel_sizes(spacing_um):
    found = judge(heat_at((0, 0, 1.0)), spacing_um=torch.tensor([spacing_um]))
    assert found.pointing_near.isnan().all()
    assert found.pointing[0].tolist() == [1, 0, 0]


# What cannot be judged.


def test_blank_maps_and_absent_classes_are_nan():
    maps = torch.ones(1, 4, 9, 5)  # class 3 is nowhere
    maps[0, 1] = 0
    found = judge(maps)
    for name in ("in_layer", "in_above", "in_below", "elsewhere", "area", "known", "mean_distance_px",
                 "far_distance_px", "measured", "pointing", "pointing_near"):  # fmt: skip
        assert getattr(found, name)[0].isnan().tolist() == [False, True, False, True], name


def test_negative_heat_and_unknown_classes_are_slips():
    with pytest.raises(AssertionError):
        judge(-torch.ones(1, 3, 9, 5))
    with pytest.raises(AssertionError):
        judge(torch.ones(1, 2, 9, 5))


# Context.


def test_context_is_the_heat_outside_the_predicted_layer():
    maps = heat_at((3, 0, 3.0), (8, 0, 1.0), num_classes=4)
    assert context_share(maps, MASK)[0, :3].tolist() == [3 / 4, 1 / 4, 1]
    assert context_share(maps, MASK)[0, 3].isnan()
    assert context_share(torch.zeros(1, 3, 9, 5), MASK).isnan().all()
