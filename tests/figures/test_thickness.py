import numpy as np
import pytest
from matplotlib.patches import Circle

from retseg.bscan import Spacing
from retseg.errors import InputError
from retseg.figures.captions import caption_of, title_of
from retseg.figures.thickness import thickness_along, thickness_en_face
from retseg.geometry.etdrs import QUADRANTS
from retseg.geometry.fovea import find_fovea, fovea_by_user
from retseg.geometry.thickness import SLABS, ThicknessProfile, thickness_profile
from retseg.geometry.volume_map import BScanDistance, ThicknessMap, place_bscans

NAN = np.nan
TOTAL = (SLABS[7],)
SCALE = Spacing(4, 40, "file header")


def drawn(eye="OD", first_bscan="superior", numbers=range(31), unit="um"):
    """Field of 6 x 6.2 mm: 150 columns, 31 B-scans; 20 um thicker a mm to the right, 10 a mm to later B-scans."""
    grid = place_bscans(list(numbers), 150, SCALE, BScanDistance(200, "user"), eye, first_bscan, num_bscans=31)
    x, y = grid.x_um[None, :], grid.y_um[:, None]
    pit = 80 * np.exp(-((x - 200) ** 2 + (y - 100) ** 2) / (2 * 350**2))
    return ThicknessMap(TOTAL, (300 + 0.02 * x + 0.01 * y - pit)[None], unit, "file header", grid)


def below(figure):
    return caption_of(figure)


def values_of(axis):
    """Written values by their place (mm, rounded)."""
    return {
        (float(round(text.xy[0], 2)), float(round(text.xy[1], 2))): text.get_text()
        for text in axis.texts
        if text.get_text()
    }


def test_the_map_is_true_to_scale_with_the_fovea_at_zero():
    axis = thickness_en_face(drawn(), "total retina", fovea_by_user(200, 100), "s01").axes[0]
    (shown,) = axis.get_images()
    assert axis.get_aspect() == 1
    assert axis.get_xlim() == pytest.approx((-3.2, 2.8))
    assert axis.get_ylim() == pytest.approx((-3.0, 3.2))  # the first B-scan, y = -3100 um, is on top
    assert shown.get_extent() == pytest.approx([-3.2, 2.8, 3.2, -3.0])
    assert shown.get_array().shape == (310, 300)
    assert [circle.get_radius() for circle in axis.patches if isinstance(circle, Circle)] == [0.5, 1.5, 3]


def test_an_inferior_first_bscan_is_at_the_bottom():
    axis = thickness_en_face(drawn(first_bscan="inferior"), "total retina", fovea_by_user(200, 100), "s01").axes[0]
    assert axis.get_ylim() == pytest.approx((-3.2, 3.0))
    assert axis.get_images()[0].get_extent()[2:] == pytest.approx([-3.2, 3.0])


@pytest.mark.parametrize(("eye", "left", "right"), [("OD", "temporal", "nasal"), ("OS", "nasal", "temporal")])
def test_values_stand_where_the_tissue_is_and_sides_are_named(eye, left, right):
    figure = thickness_en_face(drawn(eye), "total retina", fovea_by_user(0, 0), "s01")
    axis = figure.axes[0]
    assert axis.get_xlabel() == f"{left}   ←   mm from the fovea   →   {right}"
    assert axis.get_ylabel() == "inferior   ←   mm   →   superior"
    values = values_of(axis)
    assert len(values) == 9
    # Whatever the eye, the map is thicker to the right and, as later B-scans are lower, downwards.
    assert int(values[2.25, 0]) > 340 > 260 > int(values[-2.25, 0])
    assert int(values[0, -2.25]) > int(values[0, 2.25])
    assert int(values[0, 0]) < 260


def test_nobody_said_which_eye_or_which_way_up():
    figure = thickness_en_face(drawn(None, None), "total retina", fovea_by_user(0, 0), "s01")
    axis = figure.axes[0]
    assert axis.get_xlabel() == "side A: first columns   ←   mm from the fovea   →   side B: last columns"
    assert axis.get_ylabel() == "end B: last B-scans   ←   mm   →   end A: first B-scans"
    assert below(figure).startswith(
        "Which eye it is, nobody said; the order of B-scans is not known. Fovea (cross) given"
    )
    assert int(values_of(axis)[0, -2.25]) > int(values_of(axis)[0, 2.25])


def test_what_is_below_says_where_everything_comes_from():
    volume = drawn()
    figure = thickness_en_face(volume, "total retina", find_fovea(volume, "total retina"), "s01")
    text = below(figure)
    assert text.startswith(
        "Right eye (OD); first B-scan superior. Fovea (cross) found in total retina, confidence 1.00 of 1."
    )
    assert "Scale in depth: file header; columns: file header; distance of B-scans: user." in text
    assert title_of(figure) == "Thickness of total retina of s01 (from the ILM to Bruch's membrane)"


def test_a_doubtful_fovea_is_said_to_be_one():
    volume = drawn()
    values = volume.values + np.random.default_rng(0).normal(0, 150, volume.values.shape)
    noisy = ThicknessMap(TOTAL, values, "um", "user", volume.grid)
    figure = thickness_en_face(noisy, "total retina", find_fovea(noisy, "total retina"), "s01")
    assert "no clear pit" in below(figure)


def test_gaps_are_grey_and_sectors_that_are_mostly_gap_in_brackets():
    numbers = [number for number in range(31) if not 12 <= number <= 18]
    axis = thickness_en_face(drawn(numbers=numbers), "total retina", fovea_by_user(0, 0), "s01").axes[0]
    (shown,) = axis.get_images()
    rows = np.flatnonzero(np.isnan(shown.get_array().filled(NAN)[:, 0]))
    # B-scans at -800 and 800 um reach 100 um: 1.4 mm are open, 70 rows of 20 um.
    assert (len(rows), rows[0], rows[-1]) == (70, 120, 189)
    assert shown.get_cmap()(np.ma.masked)[:3] == pytest.approx((0.82, 0.82, 0.82))
    values = values_of(axis)
    assert (0, 0) not in values  # of the central circle, nothing was seen
    assert values[1.0, 0].startswith("(")
    assert not values[2.25, 0].startswith("(")


def test_without_a_fovea_no_circles_and_the_middle_is_zero():
    figure = thickness_en_face(drawn(), "total retina", None, "s01")
    axis = figure.axes[0]
    assert not [patch for patch in axis.patches if isinstance(patch, Circle)]
    assert "mm from the middle of the field" in axis.get_xlabel()
    assert "No fovea, so no circles." in below(figure)
    assert "brackets" not in below(figure)


def test_limits_and_the_unit_of_the_bar():
    volume = drawn(unit="px")
    figure = thickness_en_face(volume, "total retina", fovea_by_user(0, 0), "s01", QUADRANTS, limits=(250, 320))
    (shown,) = figure.axes[0].get_images()
    assert shown.get_clim() == (250, 320)
    (bar,) = figure.axes[0].child_axes
    assert bar.get_ylabel() == "thickness (px)"
    assert len(values_of(figure.axes[0])) == 4


def test_an_unknown_place_is_refused():
    volume = ThicknessMap(TOTAL, np.zeros((1, 3, 4)), "um", "user", None)
    with pytest.raises(InputError, match="where the A-scans lie is not known"):
        thickness_en_face(volume, "total retina", None, "s01")


def test_a_map_of_nothing_is_grey():
    volume = drawn()
    figure = thickness_en_face(
        ThicknessMap(TOTAL, np.full_like(volume.values, NAN), "um", "user", volume.grid), "total retina", None, "s01"
    )
    assert figure.axes[0].get_images()[0].get_array().mask.all()
    figure.draw_without_rendering()


def profile(spacing=SCALE):
    """Layers of 10, 20, ... 70 um at 4 um a pixel; from column 30 on the surface INL/OPL is unknown."""
    thickness_px = np.arange(10, 80, 10) / 4
    rows = np.concatenate([[20], 20 + thickness_px.cumsum()])[:, None] * np.ones((8, 40))
    rows[3, 30:] = NAN
    return thickness_profile(rows, spacing)


def test_layers_stand_upon_bruchs_membrane_up_to_the_total():
    figure = thickness_along(profile(), SCALE, "s01, B-scan 3")
    axis = figure.axes[0]
    tops = [max(path.vertices[:, 1].max() for path in part.get_paths()) for part in axis.collections]
    assert tops == pytest.approx([70, 130, 180, 220, 250, 270, 280])
    (total,) = axis.lines
    assert total.get_ydata() == pytest.approx(np.full(40, 280))
    assert axis.get_xlim() == pytest.approx((-0.78, 0.78))
    assert axis.get_ylabel() == "thickness (µm)"
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels[:2] == ["total retina  280.0 µm", "NFL  10.0 µm"]
    assert below(figure).endswith(" Scale in depth: file header.")


def test_above_an_unknown_surface_there_is_a_gap():
    axis = thickness_along(profile(), SCALE, "s01").axes[0]
    ends = [max(path.vertices[:, 0].max() for path in part.get_paths()) for part in axis.collections]
    assert ends[:3] == pytest.approx([0.78] * 3)
    assert ends[3:] == pytest.approx([(29 - 19.5) * 0.04] * 4)


def test_without_a_scale_pixels_over_columns():
    axis = thickness_along(profile(Spacing()), Spacing(), "s01").axes[0]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("column (A-scan, px)", "thickness (px)")
    assert axis.get_xlim() == (0, 39)
    figure = thickness_along(profile(Spacing()), Spacing(), "s01")
    assert below(figure).endswith("Scale in depth: unknown, so pixels.")


def test_a_layer_that_is_nowhere_known_says_so():
    nothing = ThicknessProfile(SLABS, np.full((len(SLABS), 5), NAN), "um", "user")
    labels = [text.get_text() for text in thickness_along(nothing, SCALE, "s01").axes[0].get_legend().get_texts()]
    assert labels[1] == "NFL  not known"


@pytest.mark.parametrize("make", ["map", "profile"])
def test_everything_is_on_the_page(make):
    if make == "map":
        figure = thickness_en_face(
            drawn(None, None), "total retina", fovea_by_user(0, 0), "a volume of a long name " * 2
        )
    else:
        figure = thickness_along(profile(), SCALE, "s01")
    figure.draw_without_rendering()
    box, (width_in, height_in) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width_in
    assert box.y1 <= height_in
