"""Surfaces and layers of the phantom against figures measured on the 110 annotated Duke DME scans."""

import numpy as np
import pytest

from retseg.anatomy import LAYER_NAMES
from retseg.data.sources.phantom import PhantomSource
from retseg.data.sources.phantom_anatomy import draw_eye, healthy_thickness_um, moved_within_bounds


def test_surfaces_are_in_strict_order_and_in_the_image(phantom):
    assert np.isfinite(phantom.rows).all()
    assert np.diff(phantom.rows, axis=1).min() > 0.5
    assert phantom.rows.min() > 2
    assert phantom.rows.max() < 216 - 10


@pytest.mark.parametrize(
    "options", [{"height": 32, "width": 16}, {"height": 300, "width": 40, "spacing_um": (2.6, 99)}]
)
def test_surfaces_are_in_order_at_other_sizes(options):
    source = PhantomSource(num_subjects=4, bscans_per_subject=5, num_graders=2, **options)
    for key in source.keys:
        rows = source.read(key).surface_rows
        assert np.diff(rows, axis=0).min() > 0
        assert rows.min() > 0
        assert rows.max() < options["height"]


def test_whatever_moves_surfaces_their_order_is_kept():
    surfaces = np.array([[10.0, 10], [12, 11], [20, 30]])
    moved = moved_within_bounds(surfaces, np.array([[1e6, 1e6], [-1e6, 0.0], [-1e6, 0]]))
    # Bounds are 0.4 of the thinner neighbour: 0.8, 0.8, 3.2 in the first column, 0.4 in the second.
    assert moved == pytest.approx(np.array([[10.8, 10.4], [11.2, 11.0], [16.8, 30.0]]))


def test_mean_thickness_of_each_layer(phantom):
    """Duke's means within 10 %, and its 5th and 95th percentiles within 15 % or 1 px, fluid included."""
    mean_px = [10.1, 19.1, 9.5, 8.2, 28.1, 8.1, 6.7]
    ranges_px = [(5, 18), (10, 30), (5, 17), (4, 12), (15, 60), (6, 10), (6, 8)]
    thickness = np.diff(phantom.rows, axis=1)
    assert thickness.mean(axis=(0, 2)) == pytest.approx(mean_px, rel=0.1), LAYER_NAMES
    assert thickness.sum(axis=1).mean() == pytest.approx(90, rel=0.05)
    for layer, (low, high) in enumerate(ranges_px):
        found = np.percentile(thickness[:, layer], [5, 95])
        assert found == pytest.approx([low, high], rel=0.15, abs=1), LAYER_NAMES[layer]


def test_tilt_and_bowl_of_the_lower_boundary(phantom):
    place = (np.arange(500) - 249.5) / 500
    fits = np.array([np.polyfit(place, rows[7], 2) for rows in phantom.rows])
    bowl, tilt = -fits[:, 0] / 4, fits[:, 1]
    assert tilt.std() == pytest.approx(25, rel=0.2)
    assert (bowl.mean(), bowl.std()) == (pytest.approx(23, rel=0.15), pytest.approx(14, rel=0.2))


def test_column_to_column_steps_without_the_domes_over_cysts(phantom):
    """A robust sd (median of absolute steps): Duke's .22 .33 .33 .5 .5 .16 .16 .16 within 0.1 px."""
    steps = np.abs(np.diff(phantom.rows, axis=2))
    robust_sd = np.median(steps, axis=(0, 2)) / 0.6745
    assert robust_sd == pytest.approx([0.22, 0.33, 0.33, 0.5, 0.5, 0.16, 0.16, 0.16], abs=0.1)


@pytest.mark.parametrize("subject", [0, 1, 7])
def test_foveal_thickness_is_exact_in_the_middle_and_the_pit_is_gone_far_off(subject):
    eye = draw_eye(seed=0, subject=subject)
    at_fovea = healthy_thickness_um(eye, np.array([eye.fovea_x_um]), 0.0)
    assert at_fovea.sum() == pytest.approx(eye.fovea_thickness_um)
    assert (at_fovea > 5).all()
    gcl_near, gcl_far = (healthy_thickness_um(eye, np.array([eye.fovea_x_um]), y)[1, 0] for y in (0.0, 2460.0))
    assert gcl_near < 0.7 * gcl_far


def test_foveal_thickness_spans_the_range_over_ten_subjects():
    found = np.sort([draw_eye(seed=0, subject=subject).fovea_thickness_um for subject in range(10)])
    assert found[0] >= 193
    assert found[-1] <= 392
    assert found[0] < 215
    assert found[-1] > 360
