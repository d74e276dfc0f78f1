import numpy as np
import pytest

from retseg.errors import InputError
from retseg.evaluation.comparison import compare, smallest_p
from retseg.evaluation.record import measure_scan
from tests.evaluation.drawn import ONE_DEEPER, TRUTH, case


def records(masks, first=0):
    return [
        measure_scan(case(mask, name=f"s{i:02d}_b00", subject=f"s{i:02d}")) for i, mask in enumerate(masks, start=first)
    ]


def test_differences_are_paired_by_subject():
    rows = compare({"perfect": records([TRUTH] * 6), "deeper": records([ONE_DEEPER] * 6)}, 100)
    perfect, deeper = (row for row in rows if (row.score, row.of) == ("dice", "layers"))
    assert (perfect.value, deeper.value, deeper.difference) == (1, 0.5, -0.5)
    assert (deeper.difference_low, deeper.difference_high) == (-0.5, -0.5)
    assert np.isnan(perfect.p)
    assert deeper.p == pytest.approx(2 / 2**6)
    assert deeper.p_holm == pytest.approx(min(1, 7 * 2 / 2**6)), "seven scores are seven tests"
    distance = next(row for row in rows if row.run == "deeper" and row.score == "surface_mean_absolute")
    assert (distance.difference, distance.unit) == (4, "um")


def test_only_scans_that_all_have_scored_count():
    rows = compare({"a": records([TRUTH, ONE_DEEPER, TRUTH]), "b": records([TRUTH] * 3, first=1)}, 100)
    assert {(row.num_subjects, row.num_scans) for row in rows} == {(2, 2)}
    assert rows[0].value == pytest.approx(0.75)
    assert rows[1].difference == pytest.approx(0.25)


def test_nothing_in_common_is_refused():
    with pytest.raises(InputError, match=r"no scan is scored in all runs \(a: 2 scans, b: 1 scans\)"):
        compare({"a": records([TRUTH] * 2), "b": records([TRUTH], first=5)})


def test_one_subject_has_neither_interval_nor_test():
    row = compare({"a": records([TRUTH]), "b": records([ONE_DEEPER])})[1]
    assert row.difference == -0.5
    assert all(np.isnan(value) for value in (row.low, row.difference_low, row.p, row.p_holm))


def test_what_p_can_be_reached_at_all():
    assert smallest_p(3) == 0.25
    assert smallest_p(6) == pytest.approx(0.03125)
    assert np.isnan(smallest_p(1))
    assert smallest_p(40) == pytest.approx(1 / 20001)
