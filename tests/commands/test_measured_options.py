"""The words of --slab, --grid and --fovea."""

import pytest

from retseg.commands.measured_options import read_foveae, read_grids, read_slabs, refuse_outside
from retseg.errors import InputError
from retseg.geometry.etdrs import ETDRS, HEMIFIELDS, Ring
from retseg.geometry.thickness import SLABS


def test_slabs_asked_for_come_after_the_usual_ones():
    assert read_slabs(["NFL:INL", "INL", "NFL:INL"])[:-1] == SLABS
    assert (read_slabs(["NFL:INL"])[-1].first, read_slabs(["NFL:INL"])[-1].last) == (1, 3)
    with pytest.raises(InputError, match="'cornea' is no layer or sum of layers"):
        read_slabs(["cornea"])


def test_grids_by_name_and_by_radii():
    assert list(read_grids([])) == ["ETDRS", "quadrants", "hemifields"]
    assert read_grids(["etdrs", "Hemifields"]) == {"ETDRS": ETDRS, "hemifields": HEMIFIELDS}
    found = read_grids(["500,1500:1,4", "1000:2", "1000:8:0"])
    assert found["custom"] == (Ring("0-500 um", 0, 500, 1, 0), Ring("500-1500 um", 500, 1500, 4, -45))
    assert found["custom_2"] == (Ring("0-1000 um", 0, 1000, 2, 0),)
    assert found["custom_3"] == (Ring("0-1000 um", 0, 1000, 8, 0),)


@pytest.mark.parametrize("word", ["circle", "500", "500:many", "500:1:up"])
def test_words_that_are_no_grid(word):
    with pytest.raises(InputError, match=f"--grid {word}: expected ETDRS, quadrants, hemifields, or RADII:SECTORS"):
        read_grids([word])


def test_foveae_of_one_volume_and_of_several():
    assert read_foveae(["30,4.5"], ["a"]).of("a") == (30, 4.5)
    assert read_foveae([], ["a"]).of("a") is None
    several = read_foveae(["x/a:30,4"], ["x/a", "b"])
    assert (several.of("x/a"), several.of("b")) == ((30, 4), None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["30,4"], r"--fovea 30,4: for which of 2 volumes \(a, b\)\? say VOLUME:COLUMN,BSCAN"),
        (["c:30,4"], "--fovea c:30,4: no volume c; there are a, b"),
        (["a:30"], "--fovea 30: expected COLUMN,BSCAN"),
    ],
)
def test_foveae_that_belong_nowhere(words, message):
    with pytest.raises(InputError, match=message):
        read_foveae(words, ["a", "b"])


def test_a_fovea_outside_the_field():
    refuse_outside((59.5, 3), [3, 5], 60, "a")
    for place in ((59.6, 3), (-1, 4), (30, 2), (30, 5.6), (float("nan"), 4)):
        with pytest.raises(InputError, match="outside a, which has columns 0 to 59 and B-scans 3 to 5; correct it"):
            refuse_outside(place, [3, 5], 60, "a")
