import numpy as np
import pytest

from retseg.anatomy import IGNORE
from retseg.bscan import BScan, ScanKey
from retseg.errors import InputError
from retseg.evaluation.labelling import Labelling
from tests.evaluation.drawn import TRUTH

ROWS = np.array([1.0, 3, 3, 3, 3, 3, 3, 5])[:, None].repeat(5, axis=1)


def test_masks_are_traced_and_surfaces_painted():
    assert (Labelling.from_mask(TRUTH).surface_rows == ROWS).all()
    painted = Labelling.from_surfaces(ROWS + 0.25, 7)
    assert (painted.mask == TRUTH).all()
    assert (painted.surface_rows == ROWS + 0.25).all(), "surfaces stay below a pixel"


def test_other_columns_are_not_annotated():
    within = Labelling.from_mask(TRUTH).within(np.array([True, True, False, True, False]))
    assert (within.mask[:, [2, 4]] == IGNORE).all()
    assert (within.mask[:, [0, 1, 3]] == TRUTH[:, [0, 1, 3]]).all()
    assert np.isnan(within.surface_rows[:, [2, 4]]).all()
    assert within.annotated_columns.tolist() == [True, True, False, True, False]


def test_a_scan_without_labels_is_refused():
    with pytest.raises(InputError, match="s01_b00_g1: no surfaces and no mask"):
        Labelling.of_scan(BScan(ScanKey(1, "s01", 0), np.zeros((7, 5), np.uint8)))
