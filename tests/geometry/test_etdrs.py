import numpy as np
import pytest

from retseg.bscan import Spacing
from retseg.errors import InputError
from retseg.geometry.etdrs import (
    ETDRS,
    HEMIFIELDS,
    QUADRANTS,
    custom_grid,
    sector_names,
    sector_numbers,
    sector_thickness,
    whole_map,
)
from retseg.geometry.thickness import LAYER_SLABS
from retseg.geometry.volume_map import BScanDistance, ThicknessMap, place_bscans

NAN = np.nan
CENTRE = (0.0, 0.0)


def drawn(height_um, eye="OD", first_bscan="inferior", numbers=range(61), lateral_um=20.0, unit="um"):
    """Map of 320 columns and B-scans 110 um apart, of thickness height_um(x, y)."""
    spacing = Spacing(4, lateral_um, "file header")
    grid = place_bscans(list(numbers), 320, spacing, BScanDistance(110, "user"), eye, first_bscan, num_bscans=61)
    values = height_um(grid.x_um[None, :], grid.y_um[:, None]) + np.zeros((len(grid.y_um), 320))
    return ThicknessMap(LAYER_SLABS[:1], values[None], unit, "data set", grid)


def bowl(x, y):
    return 200 + 10 * (x**2 + y**2) / 1e6


def to_the_right(x, y):
    return 300 + 20 * x / 1000 + 0 * y


def to_later_bscans(x, y):
    return 300 + 20 * y / 1000 + 0 * x


def means(volume, rings=ETDRS):
    table = sector_thickness(volume, CENTRE, rings)
    return dict(zip(table.sectors, table.mean[0].tolist(), strict=True))


def test_a_bowl_has_the_means_of_its_integral():
    """The mean of r^2 between two radii is (r1^2 + r2^2) / 2, in every sector of the ring."""
    table = sector_thickness(drawn(bowl), CENTRE)
    expected = [200 + 10 * 0.125] + [200 + 10 * 1.25] * 4 + [200 + 10 * 5.625] * 4
    # Straight lines between B-scans 110 um apart lie above the bowl, by 10 * 0.11**2 / 6 = 0.02 on average.
    assert table.mean[0] == pytest.approx(np.array(expected) + 0.02, abs=0.05)
    assert table.covered[0] == pytest.approx(np.ones(9))


def test_area_and_volume_of_a_slab_of_even_thickness():
    table = sector_thickness(drawn(lambda x, y: 250 + 0 * x), CENTRE)
    inner, outer = np.pi * (1.5**2 - 0.5**2) / 4, np.pi * (3**2 - 1.5**2) / 4
    assert table.area_mm2 == pytest.approx([np.pi / 4, *[inner] * 4, *[outer] * 4])
    assert table.volume_mm3[0] == pytest.approx(0.25 * table.area_mm2)
    assert table.volume_mm3.sum() == pytest.approx(0.25 * np.pi * 9)


@pytest.mark.parametrize(("eye", "sign"), [("OD", 1), ("OS", -1)])
def test_a_slope_to_the_right_is_nasal_in_right_eyes_and_temporal_in_left_ones(eye, sign):
    """The mean of r cos(angle) over a quarter ring is 2/3 (r2^3 - r1^3) / (r2^2 - r1^2) * sin(45) / (pi / 4)."""
    found = means(drawn(to_the_right, eye=eye))
    for ring, low, high in (("inner", 0.5, 1.5), ("outer", 1.5, 3)):
        rise = 20 * 2 / 3 * (high**3 - low**3) / (high**2 - low**2) * np.sin(np.pi / 4) / (np.pi / 4)
        assert found[f"{ring} nasal"] == pytest.approx(300 + sign * rise, rel=2e-4)
        assert found[f"{ring} temporal"] == pytest.approx(300 - sign * rise, rel=2e-4)
        assert found[f"{ring} superior"] == pytest.approx(300)
        assert found[f"{ring} inferior"] == pytest.approx(300)


@pytest.mark.parametrize("eye", ["OD", "OS"])
def test_a_slope_to_later_bscans_is_superior_where_the_first_is_inferior(eye):
    found = means(drawn(to_later_bscans, eye, "inferior"))
    assert found["outer inferior"] < 270 < 330 < found["outer superior"]
    found = means(drawn(to_later_bscans, eye, "superior"))
    assert found["outer superior"] < 270 < 330 < found["outer inferior"]


def test_an_unknown_eye_and_an_unknown_order_have_sides_and_ends():
    volume = drawn(to_the_right, None, None)
    found = means(volume)
    assert set(found) == {"centre"} | {
        f"{ring} {side}" for ring in ("inner", "outer") for side in ("side A", "side B", "end A", "end B")
    }
    assert found["outer side A"] < 270 < 330 < found["outer side B"]
    found = means(drawn(to_later_bscans, None, None))
    assert found["outer end A"] < 270 < 330 < found["outer end B"]


def test_names_of_quadrants_halves_and_odd_sectors():
    right, unknown = drawn(bowl).grid, drawn(bowl, None, None).grid
    assert sector_names(QUADRANTS, right) == ("nasal", "superior", "temporal", "inferior")
    assert sector_names(HEMIFIELDS, right) == ("superior", "inferior")
    by_axes = custom_grid([2000], [4], [0])
    assert sector_names(by_axes, right) == tuple(
        f"0-2000 um {name}" for name in ("superior nasal", "superior temporal", "inferior temporal", "inferior nasal")
    )
    assert sector_names(by_axes, unknown)[0] == "0-2000 um end A side B"
    thirds = custom_grid([500, 1000], [1, 3], [0, 0])
    assert sector_names(thirds, right) == (
        "0-500 um",
        "500-1000 um 0-120 deg",
        "500-1000 um temporal",
        "500-1000 um 240-360 deg",
    )
    assert sector_names(thirds, unknown)[1] == "500-1000 um 0-120 deg, eye or order of B-scans unknown"


def test_which_sector_a_place_lies_in():
    nasal_um = np.array([0, 499, 500, 0, -600, 0, 1500, 2100, 3000, 0])
    superior_um = np.array([0, 0, 0, 600, 0, -600, 0, 2100, 0, -2999])
    assert sector_numbers(ETDRS, nasal_um, superior_um).tolist() == [0, 0, 1, 2, 3, 4, 5, 6, -1, 8]


def test_a_field_that_ends_early_covers_a_share_and_the_volume_is_of_that_share():
    """The field reaches 1010 um to each side of the centre: of the outer sectors right and left, nothing."""
    volume = drawn(lambda x, y: 250 + 0 * x, lateral_um=2020 / 320)
    table = sector_thickness(volume, CENTRE)
    covered = dict(zip(table.sectors, table.covered[0].tolist(), strict=True))
    assert covered["outer nasal"] == covered["outer temporal"] == 0
    assert np.isnan(table.value("NFL", "outer nasal"))
    assert np.isnan(table.volume_mm3[0, table.sectors.index("outer nasal")])
    assert table.value("NFL", "outer superior") == pytest.approx(250)

    # Exact: the part of the inner nasal sector with x < 1010, by fine polar integration.
    angle, radius = np.meshgrid(np.deg2rad(np.linspace(-45, 45, 901)), np.linspace(500, 1500, 1001))
    share = (radius * (radius * np.cos(angle) < 1010)).sum() / radius.sum()
    assert covered["inner nasal"] == pytest.approx(share, abs=0.01)
    assert table.volume_mm3[0, 1] == pytest.approx(0.25 * table.area_mm2[1] * covered["inner nasal"])


def test_missing_bscans_leave_their_gap_open():
    numbers = [number for number in range(61) if number not in (30, 31)]
    table = sector_thickness(drawn(lambda x, y: 250 + 0 * x, numbers=numbers), CENTRE)
    # B-scans at -110 and 220 um reach 55 um: of the central circle the strip from -55 to 165 um is not known.
    y_um = np.linspace(-55, 165, 2001)
    open_share = np.trapezoid(2 * np.sqrt(500**2 - y_um**2), y_um) / (np.pi * 500**2)
    assert table.covered[0, 0] == pytest.approx(1 - open_share, abs=0.013)  # a row of the lattice
    assert table.value("NFL", "centre") == pytest.approx(250)


def test_around_another_centre():
    away = sector_thickness(drawn(lambda x, y: bowl(x - 300, y + 220)), (300, -220))
    assert away.mean[0, :5] == pytest.approx(means_at_centre := sector_thickness(drawn(bowl), CENTRE).mean[0, :5], 1e-3)
    assert means_at_centre[0] == pytest.approx(201.27, abs=0.01)


def test_in_pixels_there_are_means_but_no_volumes():
    table = sector_thickness(drawn(bowl, unit="px"), CENTRE)
    assert table.unit == "px"
    assert np.isnan(table.volume_mm3).all()
    assert "mean_px" in table.rows()[0]


def test_the_whole_map_is_its_field():
    """320 columns of 20 um by 61 B-scans of 110 um: 6.4 mm x 6.71 mm."""
    table = whole_map(drawn(lambda x, y: 250 + 0 * x))
    assert table.sectors == ("whole map",)
    assert table.area_mm2 == pytest.approx([6.4 * 6.71])
    assert table.volume_mm3[0] == pytest.approx([0.25 * 6.4 * 6.71])
    half = whole_map(drawn(lambda x, y: np.where(x < 0, 250, NAN)))
    assert half.covered[0] == pytest.approx([0.5], abs=0.002)
    assert half.volume_mm3[0] == pytest.approx([0.25 * 3.2 * 6.71], rel=0.004)


def test_rows_carry_unit_and_where_the_scale_comes_from():
    first = sector_thickness(drawn(bowl), CENTRE).rows()[0]
    assert list(first) == ["slab", "sector", "mean_um", "covered_share", "area_mm2", "volume_mm3", "scale_source"]
    assert (first["slab"], first["sector"]) == ("NFL", "centre")
    assert first["scale_source"] == "depth: data set; columns: file header; distance of B-scans: user"


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (([500, 400], [1, 1], [0, 0]), r"radii \[500, 400\] um, expected positive and increasing"),
        (([0], [1], [0]), r"radii \[0\] um, expected positive and increasing"),
        (([500], [0], [0]), r"\[0\] sectors .*, expected 1 or more"),
        (([500, 900], [1], [0]), r"2 radii, 1 numbers of sectors, 1 first angles; give one of each for every ring"),
        (([], [], []), r"0 radii"),
    ],
)
def test_grids_that_cannot_be_are_refused(grid, message):
    with pytest.raises(InputError, match=message):
        custom_grid(*grid)


def test_a_sector_below_the_lattice_is_refused():
    with pytest.raises(InputError, match=r"sector '0-3 um' is too small to be sampled; take larger sectors"):
        sector_thickness(drawn(bowl), CENTRE, custom_grid([3], [1], [0]))


def test_no_millimetres_without_places():
    volume = ThicknessMap(LAYER_SLABS[:1], np.zeros((1, 3, 4)), "um", "user", None)
    with pytest.raises(InputError, match=r"no circles, areas and volumes in mm; give the lateral size"):
        sector_thickness(volume, CENTRE)
