"""Fluid of the phantom, and what it does to the layers, against figures of the 110 annotated Duke DME scans."""

import numpy as np
import pytest
from scipy.ndimage import label

from retseg.data.sources.phantom_anatomy import Grid
from retseg.data.sources.phantom_lesions import Cyst, fluid_extents_um, swollen_thickness_um


def test_share_of_scans_with_fluid(phantom):
    has_fluid = phantom.fluid.any(axis=(1, 2))
    assert 73 <= has_fluid.sum() <= 85  # 78 of 110
    assert phantom.fluid.mean() == pytest.approx(0.029, rel=0.25)


def test_fluid_lies_in_the_retina_mostly_in_onl_then_inl(phantom):
    classes = phantom.masks[phantom.fluid]
    assert (classes > 0).all()
    share = np.bincount(classes, minlength=8) / classes.size  # of pixels: cysts of the ONL are the larger ones
    assert 0.6 < share[5] < 0.95
    assert 0.03 < share[3] < 0.25
    assert share[[1, 6, 7]].max() < 0.01


def test_size_and_shape_of_cysts(phantom):
    """Duke: 6 a scan, area 47/337/3070 px (5th, 50th, 95th percentile), 1.2 times as high as wide;
    crumbs below 10 px are left out."""
    areas, aspects, num_scans = [], [], 0
    for fluid in phantom.fluid[phantom.fluid.any(axis=(1, 2))]:
        num_scans += 1
        regions, num_regions = label(fluid)
        for region in range(1, num_regions + 1):
            rows, columns = np.nonzero(regions == region)
            if rows.size >= 10:
                areas.append(rows.size)
                aspects.append((np.ptp(rows) + 1) / (np.ptp(columns) + 1))
    assert len(areas) / num_scans == pytest.approx(6, abs=1)
    assert np.percentile(areas, [5, 50, 95]) == pytest.approx([47, 337, 3070], rel=0.25)
    assert np.median(aspects) == pytest.approx(1.2, rel=0.1)


def test_flanks_over_cysts_are_gentle(phantom):
    """Plain sd of the column-to-column steps of the inner surfaces, domes over cysts included, in px.

    Duke: .22 .33 .33 .5 .5 robustly; with silver surfaces .25 .37 .36 .64 .64.
    """
    step_sd = np.diff(phantom.rows[:, :5], axis=2).std(axis=(0, 2))
    assert (step_sd < [0.28, 0.38, 0.46, 0.62, 0.66]).all()


def test_the_retina_rises_far_gentler_than_the_cyst_below_it():
    grid = Grid(height=216, width=301, axial_um=4, lateral_um=10)
    healthy = np.full((7, 301), 60.0)
    cyst = Cyst(layer=4, x_um=0, width_um=300, height_um=150, depth_share=0.5)
    thickness = swollen_thickness_um(np.random.default_rng(0), grid, healthy, (cyst,))
    rise_um = np.diff(thickness.sum(axis=0))
    push_um = np.diff(cyst.push_um(grid.x_um))
    assert thickness[:, 150].sum() > 7 * 60 + 30
    assert rise_um.max() < push_um.max() / 3


def test_no_layer_vanishes_however_much_a_cyst_takes():
    grid = Grid(height=2000, width=101, axial_um=4, lateral_um=10)
    healthy = np.full((7, 101), 40.0)
    healthy[4] = 1.0
    cyst = Cyst(layer=4, x_um=0, width_um=100, height_um=3000, depth_share=0.5)
    thickness = swollen_thickness_um(np.random.default_rng(0), grid, healthy, (cyst,))
    assert (thickness > 0.1 * healthy).all()


def test_a_cyst_pushes_its_layer_apart_and_lies_within_it():
    grid = Grid(height=216, width=101, axial_um=4, lateral_um=10)
    healthy = np.full((7, 101), 40.0)
    cyst = Cyst(layer=4, x_um=0, width_um=200, height_um=150, depth_share=0.5)
    thickness = swollen_thickness_um(np.random.default_rng(0), grid, healthy, (cyst,))
    assert (thickness > 0).all()
    assert thickness[4, 50] > 150
    assert thickness[5:] == pytest.approx(healthy[5:])
    surfaces = np.concatenate([np.zeros((1, 101)), thickness.cumsum(axis=0)])
    upper, lower = fluid_extents_um(np.random.default_rng(0), grid, surfaces, (cyst, cyst))
    assert ((upper >= surfaces[4]) & (lower <= surfaces[5])).all()
    assert (lower[0] <= upper[1] + 1e-9).all()  # two at one place stack, and do not overlap
    assert (lower - upper)[:, :39].max() == 0  # 100 um to either side and no farther
