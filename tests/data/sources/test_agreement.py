import numpy as np
import pytest

from retseg.anatomy import IGNORE
from retseg.bscan import BScan, ScanKey
from retseg.data.dataset import BScanDataset
from retseg.data.sources.agreement import AgreedLabels
from retseg.data.sources.phantom import PhantomSource
from retseg.errors import InputError

NAN = np.nan


class TwoGraders:
    """Scan 0 annotated by both graders, scan 1 by the second alone; surfaces of 8 px x 4 columns."""

    name, label_origin, notices = "made up", "silver", ("a notice",)

    def __init__(self, rows_1, rows_2):
        self.rows = {1: rows_1, 2: rows_2}
        self.keys = (ScanKey(1, "s01", 0), ScanKey(2, "s01", 0), ScanKey(2, "s01", 1))

    def read(self, key):
        rows = np.array(self.rows[key.grader], np.float32)
        return BScan(key, np.zeros((8, 4), np.uint8), rows, fluid=np.full((8, 4), key.grader == 1))


# Two surfaces: one layer. Columns: the same; one px apart; four apart; unknown to the second.
FIRST, SECOND = [[2, 2, 2, 2], [5, 5, 6, 5]], [[2, 2, 1, NAN], [5, 6, 2, NAN]]


def test_what_both_say_is_kept_and_the_rest_is_unknown():
    source = AgreedLabels(TwoGraders(FIRST, SECOND), max_rows=2)
    assert source.keys == (ScanKey(1, "s01", 0), ScanKey(2, "s01", 1))
    scan = source.read(source.keys[0])
    i = IGNORE
    columns = [[0, 0, 1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, i, 0, 0], [0, i, i, i, i, i, 0, 0], [i] * 8]
    # Of two surfaces class 1 lies between them, 0 above and below.
    np.testing.assert_array_equal(scan.mask.T, columns)
    np.testing.assert_array_equal(scan.surface_rows, [[2, 2, 1.5, NAN], [5, 5.5, NAN, NAN]])
    assert scan.fluid.all()


def test_a_scan_with_one_annotation_keeps_it():
    source = AgreedLabels(TwoGraders(FIRST, SECOND))
    alone = source.read(source.keys[1])
    assert alone.mask is None
    np.testing.assert_array_equal(alone.surface_rows, SECOND)


def test_it_says_what_it_did_and_whose_labels_they_are():
    source = AgreedLabels(TwoGraders(FIRST, SECOND))
    assert (source.name, source.label_origin) == ("made up", "silver")
    assert source.notices == ("a notice", "1 of 2 scans carry what their annotations agree on")


def test_a_phantoms_second_grader_narrows_what_is_known():
    phantom = PhantomSource(num_subjects=2, bscans_per_subject=1, height=96, width=80, num_graders=2)
    source = AgreedLabels(phantom)
    assert len(source.keys) == 2
    item, exact = (BScanDataset(each, each.keys, targets=["surface_rows"])[0] for each in (source, phantom))
    is_known = item["mask"] != IGNORE
    assert 0.8 < is_known.float().mean() < 1
    assert (item["mask"] == exact["mask"])[is_known].all()
    assert item["surface_rows"].isfinite().any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AgreedLabels(TwoGraders(FIRST, SECOND), -1), r"data.source.max_rows: -1, expected 0 px"),
        (
            lambda: AgreedLabels(PhantomSource(num_subjects=2, bscans_per_subject=1)),
            r"phantom: no scan has two annotations; use data.source.source.graders=\[1,2\]",
        ),
        (
            lambda: AgreedLabels(TwoGraders([[NAN] * 4] * 2, SECOND)).read(ScanKey(1, "s01", 0)),
            "s01_b00: s01_b00_g1 and s01_b00_g2 agree on no pixel; leave the scan out",
        ),
    ],
)
def test_refuses_what_cannot_agree(make, message):
    with pytest.raises(InputError, match=message):
        make()
