import pytest

from retseg.errors import InputError
from retseg.training.callbacks.fixed_scans import fixed_scans

ITEMS = [{"name": f"scan{i}"} for i in range(10)]


def names(scans):
    return [item["name"] for item in fixed_scans(ITEMS, scans, "predictions.scans")]


def test_a_number_gives_the_middles_of_equal_parts():
    assert names(1) == ["scan5"]
    assert names(2) == ["scan2", "scan7"]
    assert names(99) == [item["name"] for item in ITEMS]


def test_names_give_those_scans_in_that_order():
    assert names(["scan8", "scan0"]) == ["scan8", "scan0"]


def test_an_unknown_name_is_refused_with_those_that_exist():
    with pytest.raises(InputError, match=r"predictions.scans: 'scan99' is not in the validation set; .* scan0, scan1"):
        names(["scan99"])
