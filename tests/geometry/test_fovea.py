import numpy as np
import pytest

from retseg.bscan import ScanKey, Spacing
from retseg.data.sources.phantom import PhantomSource
from retseg.data.sources.phantom_anatomy import draw_eye
from retseg.errors import InputError
from retseg.geometry.fovea import DOUBTFUL, find_fovea, fovea_by_user
from retseg.geometry.thickness import SUMS, read_slab, thickness_profile
from retseg.geometry.volume_map import BScanDistance, ThicknessMap, place_bscans, thickness_map

GCC = (SUMS[1],)


def drawn(height_um, numbers=range(31), num_columns=300):
    """Map of a field of 6 x 6.2 mm: columns 20 um apart, B-scans 200, of thickness height_um(x, y)."""
    spacing = Spacing(4, 20, "user")
    grid = place_bscans(list(numbers), num_columns, spacing, BScanDistance(200, "user"), num_bscans=31)
    values = height_um(grid.x_um[None, :], grid.y_um[:, None])
    return ThicknessMap(GCC, values[None], "um", "user", grid)


def pit(x_um, y_um, depth_um=80, radius_um=350):
    """A pit in a tilted, bowl-shaped retina."""

    def height_um(x, y):
        hole = np.exp(-((x - x_um) ** 2 + (y - y_um) ** 2) / (2 * radius_um**2))
        return 120 + 0.004 * x - 0.003 * y - 2e-6 * (x**2 + y**2) - depth_um * hole

    return height_um


@pytest.mark.parametrize(("x_um", "y_um"), [(0, 0), (333, -518), (-700, 910)])
def test_a_pit_is_found_between_columns_and_bscans_with_its_depth(x_um, y_um):
    fovea = find_fovea(drawn(pit(x_um, y_um)))
    assert fovea.place_um == pytest.approx((x_um, y_um), abs=5)
    assert fovea.depth == pytest.approx(80, rel=0.06)
    assert fovea.confidence > 0.95
    assert fovea.doubt == ""
    assert fovea.source == "found in GCC"


def test_a_pit_under_noise_is_found_with_less_confidence():
    rng = np.random.default_rng(0)
    fovea = find_fovea(drawn(lambda x, y: pit(200, -300)(x, y) + rng.normal(0, 15, (31, 300))))
    assert np.hypot(fovea.x_um - 200, fovea.y_um + 300) < 60
    assert 0.5 < fovea.confidence < 0.95


def test_a_missing_bscan_at_the_centre_is_no_obstacle():
    numbers = [number for number in range(31) if number != 15]
    fovea = find_fovea(drawn(pit(100, 0), numbers))
    assert np.hypot(fovea.x_um - 100, fovea.y_um) < 40


def test_a_pit_at_the_border_is_in_doubt():
    fovea = find_fovea(drawn(pit(1750, 0), num_columns=180))  # the field ends at 1800 um
    assert fovea.place_um == pytest.approx((1750, 0), abs=150)  # drawn inwards, where more is known
    assert fovea.surrounded < DOUBTFUL
    assert fovea.confidence == fovea.surrounded
    assert fovea.doubt == "much of what surrounds it was not seen"


def test_a_filled_pit_is_in_doubt():
    """A swelling takes the place of the pit: what dips beside it explains little."""
    rng = np.random.default_rng(1)
    fovea = find_fovea(drawn(lambda x, y: pit(0, 0, depth_um=-80)(x, y) + rng.normal(0, 15, (31, 300))))
    assert fovea.confidence < DOUBTFUL
    assert "no clear pit" in fovea.doubt


def test_two_equal_pits_are_in_doubt():
    fovea = find_fovea(drawn(lambda x, y: pit(-800, 0)(x, y) - 80 * np.exp(-((x - 800) ** 2 + y**2) / (2 * 350**2))))
    assert fovea.alone < 0.1
    assert "another place looks much like it" in fovea.doubt


def test_the_search_stays_near_the_middle():
    """A deeper pit 2.4 mm away, such as the optic disc, is out of the question."""
    both = drawn(lambda x, y: pit(0, 100)(x, y) - 200 * np.exp(-((x - 2400) ** 2 + y**2) / (2 * 350**2)))
    assert find_fovea(both, search_um=1000).place_um == pytest.approx((0, 100), abs=30)
    assert find_fovea(both, search_um=3000).x_um > 2000


@pytest.mark.parametrize(("height_um", "why"), [(np.nan, "unknown"), (100.0, "flat")])
def test_nothing_to_find_is_said(height_um, why):
    with pytest.raises(
        InputError, match=r"no fovea found: .* of GCC .* 2000 um of the middle.*; give the foveal centre"
    ):
        find_fovea(drawn(lambda x, y: np.full((31, 300), height_um)))


def test_a_slab_that_was_not_measured_is_named():
    with pytest.raises(InputError, match=r"sought in total retina, which was not measured; measure it, or give the"):
        find_fovea(drawn(pit(0, 0)), "total retina")


def test_somebody_may_say_where_it_is():
    fovea = fovea_by_user(-120, 40)
    assert (fovea.place_um, fovea.confidence, fovea.source, fovea.doubt) == ((-120, 40), 1, "user", "")


def test_the_foveae_of_the_phantom():
    """Six eyes, left and right, with oedema in most B-scans."""
    source = PhantomSource(num_subjects=6, bscans_per_subject=13, bscan_spacing_um=300, width=120, height=64, seed=1)
    errors_um = []
    for subject in range(6):
        scans = [source.read(ScanKey(1, f"s{subject + 1:02d}", bscan)) for bscan in range(13)]
        profiles = [thickness_profile(scan.surface_rows, scan.spacing, (read_slab("GCC"),)) for scan in scans]
        grid = place_bscans(range(13), 120, source.spacing, BScanDistance(300, "phantom"), scans[0].eye)
        fovea = find_fovea(thickness_map(profiles, grid))
        errors_um.append(np.hypot(fovea.x_um - draw_eye(1, subject).fovea_x_um, fovea.y_um))
    print(f"fovea of the phantom: mean {np.mean(errors_um):.0f} um, largest {max(errors_um):.0f} um off")
    assert np.mean(errors_um) < 100
    assert max(errors_um) < 200


def test_a_field_smaller_than_the_window_is_searched_all_the_same():
    """Seven B-scans: 1.4 mm, where the window about a place has 2.4."""
    fovea = find_fovea(drawn(pit(240, 260), numbers=range(13, 20)))
    assert fovea.place_um == pytest.approx((240, 260), abs=60)
    assert fovea.surrounded < 0.6
