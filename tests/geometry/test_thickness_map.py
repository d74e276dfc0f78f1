import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from retseg.bscan import Spacing
from retseg.errors import InputError
from retseg.geometry.thickness import LAYER_SLABS, thickness_profile
from retseg.geometry.volume_map import BScanDistance, ThicknessMap, place_bscans, sample_map, thickness_map

NAN = np.nan
COLUMNS = Spacing(4, 10, "file header")


def drawn(values, numbers=None, gap_um=None, **words):
    """Map of one slab with values (B, W) in um; columns 10 um apart, B-scans 100."""
    values = np.asarray(values, float)
    numbers = range(len(values)) if numbers is None else numbers
    grid = place_bscans(list(numbers), values.shape[1], COLUMNS, BScanDistance(100, "user", gap_um), **words)
    return ThicknessMap(LAYER_SLABS[:1], values[None], "um", "file header", grid)


def test_places_are_centred_and_carry_where_they_come_from():
    grid = drawn(np.zeros((3, 4))).grid
    assert grid.x_um.tolist() == [-15, -5, 5, 15]
    assert grid.y_um.tolist() == [-100, 0, 100]
    assert grid.extent_um == (-20, 20, -150, 150)
    assert grid.provenance == "columns: file header; distance of B-scans: user"


def test_a_missing_bscan_keeps_the_places_of_the_others():
    assert drawn(np.zeros((3, 4)), [0, 1, 3]).grid.y_um.tolist() == [-150, -50, 150]
    assert drawn(np.zeros((2, 4)), [0, 1], num_bscans=5).grid.y_um.tolist() == [-200, -100]


def test_from_column_and_bscan_to_the_place_and_back():
    grid = drawn(np.zeros((2, 4)), [3, 5]).grid
    assert grid.place_um(1.5, 4) == (0, 0)
    assert grid.place_um(0, 5.5) == (-15, 150)
    assert grid.scan_place(*grid.place_um(2.25, 3.5)) == (2.25, 3.5)


def test_linear_between_bscans_and_columns():
    volume = drawn([[0, 10], [100, 130]])
    assert sample_map(volume, np.array([-5, 0, 5]), np.array([-50, 0, 50.0]))[0].tolist() == [
        [0, 5, 10],
        [50, 60, 70],
        [100, 115, 130],
    ]


def test_the_edge_stands_for_half_a_step_and_no_more():
    volume = drawn([[0, 10], [100, 130]])
    found = sample_map(volume, np.array([-10.1, -10, 10, 10.1]), np.array([-101, -99, 101.0]))[0]
    assert found[1] == pytest.approx([NAN, 0, 10, NAN], nan_ok=True)
    assert np.isnan(found[[0, 2]]).all()


def test_across_a_missing_bscan_nothing_is_interpolated():
    """B-scans at -150, -50 and 150 um: the one at 50 is missing, from 0 to 100 um nobody knows."""
    volume = drawn([[1, 1], [3, 3], [9, 9]], [0, 1, 3])
    y_um = np.array([-100, -50, -1, 1, 99, 101, 150.0])
    assert sample_map(volume, np.zeros(1), y_um)[0, :, 0] == pytest.approx([2, 3, 3, NAN, NAN, 9, 9], nan_ok=True)


def test_a_larger_stated_gap_is_interpolated():
    volume = drawn([[1, 1], [3, 3], [9, 9]], [0, 1, 3], gap_um=200)
    assert sample_map(volume, np.zeros(1), np.array([50.0]))[0, 0, 0] == 6


def test_a_small_stated_gap_leaves_strips():
    volume = drawn([[1, 1], [3, 3]], gap_um=40)
    y_um = np.array([-71, -69, -31, -29, 29, 31.0])
    assert sample_map(volume, np.zeros(1), y_um)[0, :, 0] == pytest.approx([NAN, 1, 1, NAN, NAN, 3], nan_ok=True)


def test_an_unknown_column_stays_a_gap_of_its_own_width():
    volume = drawn([[1, 2, NAN, 4, 5]] * 2)
    x_um = np.array([-10, -6, -4, 4, 6, 10.0])
    assert sample_map(volume, x_um, np.zeros(1))[0, 0] == pytest.approx([2, 2, NAN, NAN, 4, 4], nan_ok=True)


def test_where_one_bscan_is_unknown_its_neighbour_stands_for_half_the_distance():
    volume = drawn([[1, 1], [NAN, NAN], [5, 5]])
    y_um = np.array([-100, -51, -49, 0, 49, 51.0])
    assert sample_map(volume, np.zeros(1), y_um)[0, :, 0] == pytest.approx([1, 1, NAN, NAN, NAN, 5], nan_ok=True)


def test_full_maps_agree_with_scipy():
    rng = np.random.default_rng(3)
    volume = drawn(rng.random((6, 9)))
    x_um, y_um = rng.uniform(-40, 40, 50), rng.uniform(-250, 250, 40)
    oracle = RegularGridInterpolator((volume.grid.y_um, volume.grid.x_um), volume.values[0])
    assert sample_map(volume, x_um, y_um)[0] == pytest.approx(oracle(tuple(np.meshgrid(y_um, x_um, indexing="ij"))))


def test_a_map_of_profiles_keeps_unit_and_source():
    rows = np.arange(8.0)[:, None] * np.ones((8, 3))
    profiles = [thickness_profile(scale * rows, COLUMNS) for scale in (1, 2)]
    volume = thickness_map(profiles, None)
    assert volume.of("INL").tolist() == [[4, 4, 4], [8, 8, 8]]
    assert (volume.unit, volume.scale_source) == ("um", "file header")
    with pytest.raises(InputError, match=r"where the A-scans lie is not known: .*; give the lateral size of a pixel"):
        volume.placed()


def test_profiles_of_another_width_or_scale_are_another_volume():
    rows = np.arange(8.0)[:, None] * np.ones((8, 3))
    first = thickness_profile(rows, COLUMNS)
    for other in (thickness_profile(rows[:, :2], COLUMNS), thickness_profile(rows, Spacing())):
        with pytest.raises(InputError, match=r"B-scan 1 of the volume .* not one volume; measure them apart"):
            thickness_map([first, other], None)


def test_sources_that_differ_are_all_named():
    rows = np.arange(8.0)[:, None] * np.ones((8, 3))
    profiles = [thickness_profile(rows, Spacing(4, 10, source)) for source in ("user", "file header", "user")]
    assert thickness_map(profiles, None).scale_source == "user, file header"


@pytest.mark.parametrize(
    ("numbers", "spacing", "distance_um", "message"),
    [
        (
            [0, 1],
            Spacing(4, None, "user"),
            100,
            r"lateral size of a pixel is not known: no map in um; give the spacing",
        ),
        ([0, 1], Spacing(4, -1, "user"), 100, r"size of a column is -1 um, expected a positive number"),
        ([0, 1], COLUMNS, NAN, r"distance of B-scans is nan um, expected a positive number"),
        ([0], COLUMNS, 100, r"1 B-scans of 4 columns are no map; at least 2 by 2"),
        ([0, 2, 2], COLUMNS, 100, r"B-scan 2 follows 2; give each B-scan once"),
        ([0, 2, 1], COLUMNS, 100, r"B-scan 1 follows 2; give each B-scan once"),
    ],
)
def test_places_that_cannot_be_are_refused(numbers, spacing, distance_um, message):
    with pytest.raises(InputError, match=message):
        place_bscans(numbers, 4, spacing, BScanDistance(distance_um, "user"))
