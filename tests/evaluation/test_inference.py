import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from retseg.anatomy import IGNORE
from retseg.bscan import BScan, ScanKey, Spacing
from retseg.data.transforms import AnnotationCrop
from retseg.evaluation.inference import Frame, Predictor, evaluating, native_classes, native_fluid, windowed
from retseg.evaluation.network_outputs import gives_fluid


class Stripes(nn.Module):
    """Class 1 where the image is bright, 0 elsewhere; remembers what it saw."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen = []

    def forward(self, image):
        self.seen.append((tuple(image.shape), self.training, torch.is_grad_enabled()))
        bright = image[:, 0] > 0.5
        return torch.stack([~bright, bright, *[torch.zeros_like(bright)] * 6], dim=1).float() * 20


class OneScan:
    """A source of one B-scan of 12 rows and 10 columns that two graders drew: NFL in rows 4 to 6, or 5 to 7."""

    name, label_origin, notices = "one", "exact", ()
    keys = (ScanKey(1, "s01", 0), ScanKey(2, "s01", 0))

    def read(self, key):
        image = np.zeros((12, 10), np.uint8)
        image[4:7] = 255
        rows = np.repeat([[4.0], *[[7.0]] * 7], 10, axis=1).astype(np.float32) + (key.grader - 1)
        rows[:, :2] = np.nan
        return BScan(key, image, surface_rows=rows, spacing=Spacing(4.0, 11.0, "test"))


class StripesWithFluid(Stripes):
    """Fluid where the image is bright, with a probability of 0.9, elsewhere 0.1."""

    gives = ("fluid",)

    def outputs(self, image):
        logits = self(image)
        return SimpleNamespace(logits=logits, fluid=(logits[:, 1] / 10 - 1) * math.log(9))


class OneScanWithFluid(OneScan):
    """Grader 1 drew fluid in rows 4 and 5 of all columns, grader 2 in rows 5 and 6 of columns 3 to 9."""

    def read(self, key):
        fluid = np.zeros((12, 10), bool)
        fluid[4 + key.grader - 1 : 6 + key.grader - 1, 3 * (key.grader - 1) :] = True
        return replace(super().read(key), fluid=fluid)


def test_fluid_comes_back_on_the_scans_own_pixels():
    found = Predictor(StripesWithFluid(), OneScanWithFluid(), Frame(size=(24, 20))).case(OneScan.keys[0])
    assert np.flatnonzero(found.fluid.found.all(axis=1)).tolist() == [4, 5, 6]
    assert found.fluid.found.sum() == 30
    assert found.fluid.truth.sum() == 20
    assert (found.fluid.second == 1).sum() == 14
    assert (found.fluid.second == IGNORE).all(axis=0).tolist() == [True, True, *[False] * 8], "no layers, no fluid"
    assert found.fluid.num_outside == 0
    assert (found.prediction.mask[4:7] == 1).all(), "layers beside fluid are those of the network"


def test_fluid_outside_the_window_and_the_columns_of_a_protocol_is_counted_and_not_scored():
    window = AnnotationCrop(rows=6, columns=6)
    scan, place = windowed(OneScanWithFluid().read(OneScan.keys[0]), window)
    found = Predictor(StripesWithFluid(), OneScanWithFluid(), Frame(window)).case(OneScan.keys[0]).fluid
    assert found.found.shape == found.truth.shape == (6, 6)
    assert (found.truth.sum(), found.num_outside) == (12, 8)
    frame = Frame(window, columns=(place.left + 1, place.left + 3))
    scored = Predictor(StripesWithFluid(), OneScanWithFluid(), frame).case(OneScan.keys[0]).fluid
    assert (scored.truth == IGNORE).all(axis=0).tolist() == [True, False, False, True, True, True]
    assert (scored.second == IGNORE).all(axis=0).tolist() == [True, False, False, True, True, True]
    assert ((scored.truth == 1).sum(), scored.num_outside) == (4, 16)
    assert scan.fluid.sum() == 12


def test_fluid_where_nobody_looked_and_networks_without_fluid():
    assert Predictor(Stripes(), OneScanWithFluid(), Frame()).case(OneScan.keys[0]).fluid is None
    found = Predictor(StripesWithFluid(), OneScan(), Frame()).case(OneScan.keys[0]).fluid
    assert (found.truth == IGNORE).all()
    assert found.num_outside == 0
    assert [gives_fluid(net) for net in (Stripes(), StripesWithFluid())] == [False, True]


def test_probability_of_fluid_is_resized_about_pixel_centres():
    logit = torch.tensor([[[0.0, math.log(3)]]])  # 0.5 and 0.75
    assert native_fluid(logit, (1, 2)).tolist() == [pytest.approx([0.5, 0.75])]
    assert native_fluid(logit, (1, 4)).tolist() == [pytest.approx([0.5, 0.5625, 0.6875, 0.75])]


def test_a_prediction_comes_back_on_the_scans_own_pixels():
    net = Stripes()
    net.train()
    with evaluating(net):
        found = Predictor(net, OneScan(), Frame(size=(24, 20))).case(OneScan.keys[0])
    assert found.prediction.mask.shape == (12, 10)
    assert (found.prediction.mask[4:7] == 1).all()
    assert (found.prediction.mask[[0, 1, 2, 3, 7, 8, 9, 10, 11]] == 0).all()
    assert (found.truth.mask[:, :2] == IGNORE).all()
    assert found.second.surface_rows[0, 5] == 5
    assert found.spacing.axial_um == 4
    assert net.training
    assert net.seen == [((1, 1, 24, 20), False, False)]
    assert found.network.num_pixels == 24 * 16


def test_only_the_window_is_scored_and_the_second_grader_is_cut_alike():
    window = AnnotationCrop(rows=6, columns=5)
    scan, place = windowed(OneScan().read(OneScan.keys[0]), window)
    assert scan.shape == (6, 5)
    found = Predictor(Stripes(), OneScan(), Frame(window, (12, 10))).case(OneScan.keys[0])
    assert found.truth.shape == (6, 5)
    assert found.truth.surface_rows[0, 0] == 4 - place.top
    assert found.second.surface_rows[0, 0] == 5 - place.top


def test_a_protocols_columns_are_the_scans_own():
    window = AnnotationCrop(rows=12, columns=6)
    _, place = windowed(OneScan().read(OneScan.keys[0]), window)
    found = Predictor(Stripes(), OneScan(), Frame(window, (12, 6), columns=(4, 7))).case(OneScan.keys[0])
    scored = np.flatnonzero(found.truth.annotated_columns) + place.left
    assert scored.tolist() == [4, 5, 6]
    assert np.flatnonzero(found.second.annotated_columns).tolist() == (scored - place.left).tolist()
    assert found.network.num_pixels == 3 * 12


def test_probabilities_are_resized_not_classes():
    """Two rows of one class each, to four: bilinear between them, the border halfway."""
    logits = torch.full((1, 8, 2, 1), -20.0)
    logits[0, 1, 0], logits[0, 3, 1] = 20.0, 20.0
    assert native_classes(logits, (4, 1))[:, 0].tolist() == [1, 1, 3, 3]


def test_where_nobody_else_drew_there_is_no_second():
    class Alone(OneScan):
        keys = OneScan.keys[:1]

    found = Predictor(Stripes(), Alone(), Frame()).case(Alone.keys[0])
    assert found.second is None


def test_a_temperature_needs_no_more_than_the_networks_sums():
    predictor = Predictor(Stripes(), OneScan(), Frame(size=(24, 20)))
    alone, whole = predictor.network_sums(OneScan.keys[1]), predictor.case(OneScan.keys[1]).network
    assert torch.equal(alone.calibration.nll, whole.calibration.nll)
    assert torch.equal(alone.confusion, whole.confusion)
