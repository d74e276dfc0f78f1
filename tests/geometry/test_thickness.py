import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from retseg.anatomy import LAYER_NAMES
from retseg.bscan import Spacing
from retseg.errors import InputError
from retseg.geometry.surfaces import paint_mask, trace_surfaces
from retseg.geometry.thickness import NO_SCALE, SLABS, SUMS, mean_thickness, read_slab, thickness_profile

NAN = np.nan
# Two columns; the second lacks the surface between GCL-IPL and INL, and its ISE has no thickness.
ROWS = np.array([[2, 2], [5, 4.5], [9, NAN], [11, 11], [14, 14], [20, 20], [22, 20], [24, 24.0]])
SCALE = Spacing(axial_um=4, lateral_um=10, source="file header")


def test_layers_are_the_distance_of_their_surfaces_times_the_axial_size():
    profile = thickness_profile(ROWS, SCALE)
    layers = [profile.of(name) for name in LAYER_NAMES]
    assert [layer[0] for layer in layers] == [12, 16, 8, 12, 24, 8, 8]
    assert [layer[1] for layer in layers] == pytest.approx([10, NAN, NAN, 12, 24, 0, 16], nan_ok=True)
    assert (profile.unit, profile.scale_source) == ("um", "file header")


def test_a_sum_needs_its_outer_surfaces_alone():
    profile = thickness_profile(ROWS, SCALE)
    assert profile.of("total retina").tolist() == [88, 88]
    assert profile.of("inner retina").tolist() == [48, 48]
    assert profile.of("outer retina").tolist() == [40, 40]
    assert profile.of("GCC") == pytest.approx([28, NAN], nan_ok=True)


def test_without_an_axial_size_pixels_and_a_word_about_it():
    profile = thickness_profile(ROWS, Spacing(None, 10, "user"))
    assert (profile.unit, profile.scale_source) == ("px", NO_SCALE)
    assert profile.of("total retina").tolist() == [22, 22]


def test_surfaces_that_cross_have_no_thickness_between_them():
    rows = ROWS.copy()
    rows[1, 0] = 1
    profile = thickness_profile(rows, SCALE)
    assert np.isnan(profile.of("NFL")[0])
    assert profile.of("GCL-IPL")[0] == 32
    assert profile.of("total retina")[0] == 88


def test_the_surfaces_stay_as_they_were():
    rows = ROWS.astype(np.float32)
    thickness_profile(rows, SCALE)
    assert np.array_equal(rows, ROWS, equal_nan=True)


def test_mean_and_share_of_known_columns():
    mean, share = mean_thickness(thickness_profile(ROWS, SCALE, (read_slab("NFL"), read_slab("GCL-IPL"))))
    assert mean.tolist() == [11, 16]
    assert share.tolist() == [1, 0.5]
    mean, share = mean_thickness(thickness_profile(np.full((8, 3), NAN), SCALE, (read_slab("NFL"),)))
    assert np.isnan(mean[0])
    assert share[0] == 0


def test_any_sum_of_neighbours_by_its_ends():
    assert (read_slab("NFL:INL").first, read_slab("NFL:INL").last) == (1, 3)
    assert (read_slab("Total Retina").first, read_slab("total retina").last) == (1, 7)
    assert read_slab("GCIPL").name == "GCL-IPL"
    assert thickness_profile(ROWS, SCALE, (read_slab("INL : OPL"),)).of("INL : OPL").tolist()[0] == 20


@pytest.mark.parametrize("text", ["choroid", "INL:NFL", "NFL:", "NFL:INL:OPL", ""])
def test_other_words_are_refused(text):
    with pytest.raises(InputError, match=r"is no layer or sum of layers; take one of NFL, .*, e\.g\. NFL:INL"):
        read_slab(text)


def test_inner_and_outer_retina_make_up_the_total():
    total, _, inner, outer = SUMS
    assert (inner.first, inner.last + 1, outer.last) == (total.first, outer.first, total.last)


@given(arrays(np.int64, (8, 5), elements=st.integers(0, 30)))
def test_what_a_mask_says_is_the_number_of_its_pixels(rows):
    rows = np.sort(rows, axis=0)
    rows[7] = np.maximum(rows[7], rows[0] + 1)  # a column without any layer has no surfaces
    mask = paint_mask(rows.astype(np.float32), 32)
    profile = thickness_profile(trace_surfaces(mask), Spacing(2.5, None, "user"))
    for slab in SLABS:
        pixels = ((mask >= slab.first) & (mask <= slab.last)).sum(axis=0)
        assert profile.of(slab.name) == pytest.approx(2.5 * pixels)
