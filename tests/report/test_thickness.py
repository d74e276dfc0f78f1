import numpy as np
import pytest

from retseg.bscan import Spacing
from retseg.report.colours import BROWN_TO_TEAL, VIRIDIS
from retseg.report.thickness import SLABS, SubjectThickness, slab_maps, subject_thickness
from tests.report.conftest import read
from tests.report.drawn_run import draw_run
from tests.report.test_scans import pixels


def test_thickness_of_each_subject_in_um(full_run):
    first, second = subject_thickness(read(full_run)[0])
    assert (first.subject, list(first.bscans), first.unit) == ("s01", ["s01_b00", "s01_b01"], "um")
    assert second.subject == "s02"
    assert first.values.shape == (2, len(SLABS), 2, 36)
    assert np.isnan(first.values[..., :2]).all()  # not annotated
    assert (first.values[:, 0, :, 2:] == 60).all()  # ILM in row 4, BM in row 19, 4 um each
    assert (first.values[:, 1, :, 2:] == 8).all()  # NFL: two rows


def test_without_a_scale_it_is_pixels(tmp_path):
    (first, _) = subject_thickness(read(draw_run(tmp_path / "run", spacing=Spacing()))[0])
    assert first.unit == "px"
    assert (first.values[:, 0, :, 2:] == 15).all()


def test_a_run_that_is_not_evaluated_has_none(bare_run):
    assert subject_thickness(read(bare_run)[0]) == []
    assert slab_maps([]) == []


def test_maps_have_common_colours_and_their_means():
    values = np.full((2, len(SLABS), 2, 4), np.nan)
    values[0, 0] = [[100, 100, 100, 100], [200, 200, 200, 200]]
    values[1, 0] = [[110, 110, 110, np.nan], [190, 190, 190, 190]]
    total, nfl, *_ = slab_maps([SubjectThickness("A", "s01", ["b0", "b1"], "um", values)])
    assert (total.slab, total.unit, total.low, total.high, total.difference) == ("total retina", "µm", 100, 200, 10)
    (one,) = total.maps
    assert one.means == [150, pytest.approx((3 * 110 + 4 * 190) / 7), pytest.approx((-30 + 40) / 7)]
    prediction, truth, difference = (pixels(uri) for uri in one.uris)
    assert prediction[0, 0].tolist() == [*VIRIDIS[0], 255]
    assert prediction[1, 3].tolist() == [*VIRIDIS[-1], 255]
    assert truth[0, 3, 3] == difference[0, 3, 3] == 0  # not known: clear
    assert difference[0, 0].tolist() == [*BROWN_TO_TEAL[0], 255]  # 10 too thin
    assert difference[1, 0].tolist() == [*BROWN_TO_TEAL[-1], 255]  # 10 too thick
    assert nfl.maps[0].uris == ["", "", ""]
    assert nfl.maps[0].means == [None, None, None]
