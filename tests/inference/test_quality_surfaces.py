import json

import numpy as np
import pytest

from retseg.anatomy import LAYER_NAMES
from retseg.bscan import Array, Spacing
from retseg.data.sources.phantom import PhantomSource
from retseg.inference.predicted import Finding
from retseg.inference.quality_surfaces import THICKNESS_UM, fit_thickness_ranges, look_at_surfaces

SPACING = Spacing(4.0, 10.0, "data set")
THICKNESS_PX = (10, 18, 9, 8, 26, 8, 6)
"""40, 72, 36, 32, 104, 32 and 24 um: in the middle of every range."""


def level_rows(num_columns: int = 60, top: float = 20.0) -> Array:
    column = top + np.concatenate([[0], np.cumsum(THICKNESS_PX)])
    return np.repeat(column[:, None], num_columns, axis=1).astype(np.float32)


def look(rows: Array, spacing: Spacing = SPACING, sure: float = 0.9, num_rows: int = 150) -> dict[str, Finding]:
    """Findings by rule; every rule speaks once at most."""
    found = look_at_surfaces(rows, np.full(rows.shape[1], sure, np.float32), (num_rows, rows.shape[1]), spacing, {})
    assert len({finding.rule for finding in found}) == len(found)
    return {finding.rule: finding for finding in found}


@pytest.mark.parametrize("spacing", [SPACING, Spacing()], ids=["scale known", "unknown"])
def test_a_level_retina_passes(spacing: Spacing) -> None:
    assert look(level_rows(), spacing) == {}


def test_phantom_surfaces_pass() -> None:
    source = PhantomSource(num_subjects=4, bscans_per_subject=2, seed=5)
    for key in source.keys:
        scan = source.read(key)
        assert scan.surface_rows is not None
        assert look(scan.surface_rows, scan.spacing, num_rows=scan.shape[0]) == {}


@pytest.mark.parametrize(("num_known", "level"), [(0, "fail"), (11, "fail"), (29, "check"), (31, None)])
def test_columns_without_retina(num_known: int, level: str | None) -> None:
    rows = level_rows()
    rows[:, num_known:] = np.nan
    found = look(rows).get("no retina found")
    assert (found.level if found else None) == level


def test_gaps_are_counted_between_known_columns_only() -> None:
    rows = level_rows()
    rows[:, :5] = np.nan
    assert "gaps" not in look(rows)
    rows[:, 20:30] = np.nan
    assert look(rows)["gaps"].level == "check"
    assert "0.182" in look(rows)["gaps"].reason  # 10 of 55


def test_surfaces_that_cross() -> None:
    rows = level_rows()
    rows[3, 7] = rows[4, 7] + 1
    assert look(rows)["order"].level == "check"
    rows[3, 7:12] = rows[4, 7:12] + 1
    assert look(rows)["order"].level == "fail"


def test_steep_steps_by_slope_where_the_scale_is_known_else_by_pixels() -> None:
    rows = level_rows()
    rows[0, ::8] -= 7  # 28 um in 10 um: up and down, 15 of 59 steps
    assert look(rows)["steps"].level == "fail"
    assert "0.254" in look(rows)["steps"].reason
    assert look(rows, Spacing())["steps"].level == "fail"
    assert "steps" not in look(rows, Spacing(4.0, 20.0, "user"))  # 28 um in 20 um: 54 degrees
    rows = level_rows()
    rows[0, ::8] -= 5.5
    assert "steps" in look(rows)  # 22 um in 10 um
    assert "steps" not in look(rows, Spacing())


def test_a_tilted_retina_is_not_rough_and_a_zigzag_is() -> None:
    tilted = level_rows() + 0.8 * np.arange(60)
    assert look(tilted, num_rows=200) == {}
    zigzag = level_rows() + 3 * (np.arange(60) // 9 % 2)  # 9 columns up, 9 down: bends of 6 px
    assert look(zigzag)["rough surfaces"].level == "check"
    assert "um" in look(zigzag)["rough surfaces"].reason
    assert "px" in look(2 * zigzag, Spacing(), num_rows=300)["rough surfaces"].reason


def test_a_thin_retina_and_layers_out_of_range_need_a_scale() -> None:
    squeezed = 20 + (level_rows() - 20) * 0.2  # 17 px: 68 um
    found = look(squeezed)
    assert found["thin retina"].level == "fail"
    assert found["thickness"].level == "fail"
    assert "OS-RPE 5 um (expected 15 to 40)" in found["thickness"].reason
    assert look(squeezed, Spacing()) == {}
    assert look(level_rows(), Spacing(12.0, 10.0, "user"), num_rows=150)["thickness"].level == "fail"  # a wrong scale


def test_one_layer_out_of_range_is_to_be_checked() -> None:
    rows = level_rows()
    rows[7] += 10
    found = look(rows)
    assert set(found) == {"thickness"}
    assert found["thickness"].level == "check"
    assert found["thickness"].reason.startswith("mean thickness of OS-RPE 64 um (expected 15 to 40); ")


@pytest.mark.parametrize("top", [0.5, 64.5])
def test_surfaces_at_the_border_of_the_image(top: float) -> None:
    found = look(level_rows(top=top))
    assert set(found) == {"border"}
    assert found["border"].level == "fail"


@pytest.mark.parametrize(("sure", "level"), [(0.61, None), (0.59, "fail"), (np.nan, None)])
def test_confidence(sure: float, level: str | None) -> None:
    found = look(level_rows(), sure=sure).get("confidence")
    assert (found.level if found else None) == level


def test_a_reference_brings_its_own_ranges() -> None:
    scans = [(level_rows(), SPACING), (level_rows() * 1.1, SPACING), (level_rows(), Spacing())]
    ranges = json.loads(json.dumps(fit_thickness_ranges(scans)))
    assert ranges["INL"] == pytest.approx([36 / 1.25, 36 * 1.1 * 1.25])
    assert set(ranges) == set(LAYER_NAMES) == set(THICKNESS_UM)
    thick = 20 + (level_rows() - 20) * 1.5
    found = look_at_surfaces(thick, np.ones(60), (200, 60), SPACING, {"thickness_um": ranges})
    assert [finding.rule for finding in found] == ["thickness"]
    assert fit_thickness_ranges([(level_rows(), Spacing())]) == {}


def test_surfaces_of_few_columns_are_judged_by_what_there_is() -> None:
    assert look(level_rows(1)) == {}
    assert look(level_rows(3)) == {}
