import json

import numpy as np
import pytest

from retseg.bscan import Spacing
from retseg.errors import InputError
from retseg.geometry.thickness import SLABS
from retseg.geometry.volume_map import BScanDistance, place_bscans
from retseg.inference.calibration import calibrate, score_scan, to_json
from retseg.inference.intervals import Intervals, find_intervals, slab_sd
from retseg.inference.members import Mode
from tests.inference.drawn import surfaces

UM = Spacing(4.0, 100.0, "user")
MODE = Mode(("a" * 64,))


def intervals() -> Intervals:
    factors = np.arange(1.0, len(SLABS) + 1)
    return Intervals(0.9, factors, 2 * factors, 3 * factors, 55, 5, "drawn", "silver")


def sds(num_columns: int = 6, total: float = 3.0) -> np.ndarray:
    """The ILM's row has an sd of 3 px, the next surface's of 4, all others' of 1."""
    sd = np.ones((8, num_columns), np.float32)
    sd[0], sd[1] = total, 4.0
    return sd


def test_the_sd_of_a_layer_is_that_of_its_two_surfaces():
    spread = slab_sd(sds(), UM)
    assert spread.unit == "um"
    assert spread.of("NFL").tolist() == pytest.approx([4 * 5.0] * 6)
    assert spread.of("total retina").tolist() == pytest.approx([4 * np.sqrt(10)] * 6)
    assert slab_sd(sds(), Spacing()).of("NFL").tolist() == pytest.approx([5.0] * 6)
    assert slab_sd(sds(), Spacing()).unit == "px"


def test_half_widths_of_columns_are_factor_times_sd_and_unknown_where_the_sd_is():
    sd = sds()
    sd[0, 2] = np.nan
    half = intervals().half_widths(sd, UM)
    assert half.shape == (11, 6)
    assert half[0].tolist() == pytest.approx([20, 20, np.nan, 20, 20, 20], nan_ok=True)
    assert half[2].tolist() == pytest.approx([3 * 4 * np.sqrt(2)] * 6)


def test_half_widths_of_a_scan_are_of_its_known_columns():
    rows, sd = surfaces(6), sds()
    sd[0, 3:] = 0.0  # these columns' NFL has an sd of 4 px
    assert intervals().scan_half_widths(rows, sd, UM)[0] == pytest.approx(3 * 4 * 4.5)
    rows[:, 3:] = np.nan
    assert intervals().scan_half_widths(rows, sd, UM)[0] == pytest.approx(3 * 4 * 5.0)
    rows[:] = np.nan
    assert np.isnan(intervals().scan_half_widths(rows, sd, UM)).all()


def test_half_widths_of_sectors_are_means_of_the_sds_in_them():
    grid = place_bscans(range(13), 70, UM, BScanDistance(500.0, "user"))
    wide = [sds(70, total=3.0)] * 6 + [sds(70, total=0.0)] * 7  # NFL: 5 px in the first B-scans, 4 px in the others
    half = intervals().sector_half_widths(wide, UM, grid, (0.0, 0.0))
    assert half.shape == (11, 9)
    assert half[0, 0] == pytest.approx(2 * 4 * 4.25, rel=0.05), "the centre lies among the latter, mostly"
    assert half[0].max() == pytest.approx(2 * 4 * 5.0, rel=0.02)
    assert half[0].min() == pytest.approx(2 * 4 * 4.0, rel=0.02)


def reference(level: float = 0.9) -> dict:
    """As `retseg calibrate` leaves it, from three subjects whose scans are off by 1 px."""
    scores = [
        score_scan(f"s{number % 3}", surfaces(60), sds(60), surfaces(60) + (np.arange(8) % 2)[:, None], UM)
        for number in range(12)
    ]
    return {"intervals": [to_json(calibrate(scores, level), MODE, "drawn", "silver", "val scans")]}


def test_intervals_are_found_again_for_the_same_way_of_predicting():
    found, notice = find_intervals(json.loads(json.dumps(reference())), MODE)
    assert notice == ""
    assert found is not None
    assert found.columns[0] == pytest.approx(1 / 5, rel=1e-5)
    assert found.words == "90% intervals, calibrated on 12 held-out scans of 3 subjects (drawn, labels silver)"


@pytest.mark.parametrize(
    ("content", "mode", "level", "notice"),
    [
        ({}, MODE, 0.9, "never calibrated; run `retseg calibrate RUN`"),
        (
            reference(),
            Mode(("a" * 64,), num_views=4),
            0.9,
            "calibrated for 1 network, 1 view, not for 1 network, 4 views",
        ),
        (reference(), Mode(("b" * 64,)), 0.9, "not for 1 network, 1 view of these networks"),
        (reference(), Mode(("a" * 64, "b" * 64)), 0.9, "not for 2 networks, 1 view"),
        (reference(), Mode(("a" * 64,), smoothness=1.0), 0.9, "not for 1 network, 1 view, smoothness 1"),
        (reference(), MODE, 0.5, "no intervals at 0.5: calibrated at 0.9"),
    ],
)
def test_other_ways_of_predicting_get_no_intervals_and_a_notice(content, mode, level, notice):
    found, said = find_intervals(content, mode, level)
    assert found is None
    assert notice in said


def test_damaged_intervals_are_told():
    broken = reference()
    del broken["intervals"][0]["factors"]["scans"]
    with pytest.raises(InputError, match="intervals are damaged"):
        find_intervals(broken, MODE)
    other = reference()
    other["intervals"][0]["slabs"][0] = "RNFL"
    with pytest.raises(InputError, match="intervals are damaged"):
        find_intervals(other, MODE)
