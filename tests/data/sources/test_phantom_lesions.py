"""Fluid of the phantom, and what it does to the layers, against figures of the 110 annotated Duke DME scans."""

import numpy as np
import pytest

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
