import numpy as np
import pytest

from retseg.bscan import Spacing
from retseg.data.readers.volume import RawBScan
from retseg.data.sources.phantom import PhantomSource
from retseg.inference.planted_faults import plant
from retseg.inference.predicted import worst
from retseg.inference.quality_image import COLOUR, RULES, STEP_PX, Rule, look_at_image

SPACING = Spacing(3.87, 11.33, "data set")
SOURCE = PhantomSource(num_subjects=3, bscans_per_subject=2, seed=4, width=300, spacing_um=(3.87, 11.33))
SCANS = tuple(SOURCE.read(key) for key in SOURCE.keys)


@pytest.mark.parametrize("scan", SCANS, ids=lambda scan: scan.key.name)
@pytest.mark.parametrize("spacing", [SPACING, Spacing()], ids=["scale known", "unknown"])
def test_good_scans_pass(scan, spacing) -> None:  # type: ignore[no-untyped-def]
    assert look_at_image(RawBScan(scan.image), spacing) == ()


@pytest.mark.parametrize(
    ("kind", "rule", "level"),
    [
        ("upside down", "upside down", "fail"),
        ("folded at the top", "cut at the top", "fail"),
        ("cut at the top", "cut at the top", "fail"),
        ("cut at the bottom", "cut at the bottom", "check"),
        ("low contrast", "contrast", "fail"),
        ("weak signal", "noise", "fail"),
        ("noise", "noise", "fail"),
        ("saturated", "saturation", "fail"),
        ("clipped dark", "clipped dark", "fail"),
        ("on its side", "wrong plane", "fail"),
        ("fundus picture", "wrong plane", "fail"),
        ("colour picture", "colour", "fail"),
        ("blink", "blink", "fail"),
        ("blank", "blank", "fail"),
        ("motion", "motion", "check"),
        ("blurred", "sharpness", "check"),
        ("defocused", "noise", "check"),
        ("text", "saturation", "check"),
    ],
)
def test_each_gross_fault_is_found_by_the_rule_that_names_it(kind: str, rule: str, level: str) -> None:
    rng = np.random.default_rng(0)
    for scan in SCANS[::2]:
        findings = look_at_image(plant(scan.image, kind, rng), SPACING)
        assert rule in [finding.rule for finding in findings], scan.key.name
        assert worst(findings) in (("fail",) if level == "fail" else ("check", "fail"))


def test_a_reason_names_the_value_the_limit_and_what_to_do() -> None:
    (finding,) = look_at_image(RawBScan(SCANS[0].image, colour_share=0.25), SPACING)
    assert finding.level == "fail"
    assert finding.reason == (
        "share of coloured pixels 0.25, expected at most 0.1; export the scan in gray without drawings on it; a "
        "photograph or a false-colour picture is no B-scan"
    )
    (drawn_on,) = look_at_image(RawBScan(SCANS[0].image, colour_share=0.02), SPACING)
    assert (drawn_on.level, "expected at most 0.001" in drawn_on.reason) == ("check", True)


@pytest.mark.parametrize(
    ("rule", "value", "level"),
    [
        (Rule("a", "", "above", 1, 2, "", ""), 1, None),
        (Rule("a", "", "above", 1, 2, "", ""), 1.5, "check"),
        (Rule("a", "", "above", 1, 2, "", ""), 2.5, "fail"),
        (Rule("a", "", "above", 1, None, "", ""), 99, "check"),
        (Rule("a", "", "below", 1, -1, "", ""), 1, None),
        (Rule("a", "", "below", 1, -1, "", ""), 0, "check"),
        (Rule("a", "", "below", 1, -1, "", ""), -2, "fail"),
        (Rule("a", "", "below", 1, -1, "", ""), float("nan"), None),
    ],
)
def test_a_rule_has_a_side_and_two_limits(rule: Rule, value: float, level: str | None) -> None:
    assert [finding.level for finding in rule.judge(value)] == ([] if level is None else [level])


def test_limits_of_fail_lie_beyond_those_of_check() -> None:
    for rule in (*RULES, COLOUR):
        if rule.fail is not None:
            assert (rule.fail > rule.check) == (rule.side == "above"), rule


def test_sizes() -> None:
    def levels(shape: tuple[int, int], spacing: Spacing) -> list[str]:
        found = look_at_image(RawBScan(np.resize(SCANS[0].image, shape)), spacing)
        return [finding.level for finding in found if finding.rule == "size"]

    assert levels((31, 300), SPACING) == ["fail"]
    assert levels((300, 31), SPACING) == ["fail"]
    assert levels((63, 300), Spacing()) == ["check"]
    assert levels((216, 300), Spacing(2.0, 10.0, "user")) == ["check"]  # 432 um deep
    assert levels((216, 300), SPACING) == []


def test_fractions_of_gray_levels_are_judged_as_the_rounded_ones() -> None:
    image = plant(SCANS[0].image, "low contrast", np.random.default_rng(0)).image
    assert look_at_image(RawBScan(image.astype(np.float32) + 0.2), SPACING) == look_at_image(RawBScan(image), SPACING)


def test_a_jump_is_told_in_um_where_the_scale_is_known_else_in_px() -> None:
    image = SCANS[0].image.copy()
    image[:, 100:180] = np.roll(image[:, 100:180], 30, axis=0)
    reasons = [
        finding.reason
        for spacing in (SPACING, Spacing())
        for finding in look_at_image(RawBScan(image), spacing)
        if finding.rule == "motion"
    ]
    assert len(reasons) == 2
    assert "um, expected at most 65 um" in reasons[0]
    assert f"px, expected at most {STEP_PX:g} px" in reasons[1]


def test_the_image_is_left_as_it_was() -> None:
    image = SCANS[0].image.copy()
    image.setflags(write=False)
    look_at_image(RawBScan(image), SPACING)
    np.testing.assert_array_equal(image, SCANS[0].image)
