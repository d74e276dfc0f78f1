"""The quality gate before the network: what a scan's pixels alone speak against it.

Each rule is one figure of `measure_scan` and two limits. How limits were chosen: beside the range of the figure on
good scans (110 Duke DME scans, Spectralis; 110 phantom scans, 216 x 500 and 496 x 768), a little beyond it towards what
planted faults give (see benchmarks/quality_gate.py). Other devices may lie elsewhere: "check" asks a person to look,
"fail" is kept for what no segmentation of the retina can be drawn from.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from retseg.bscan import Array, Spacing
from retseg.data.readers.volume import RawBScan
from retseg.inference.predicted import Finding, Level
from retseg.inference.scan_figures import ScanFigures, measure_scan

Side = Literal["above", "below"]


@dataclass(frozen=True, slots=True)
class Rule:
    """Values above (below) `check` are to be looked at, those above (below) `fail` fail; None: nothing fails.

    what: the figure in words, unit included in `unit`. advice: what to do. figure: of ScanFigures, or other values.
    """

    name: str
    figure: str
    side: Side
    check: float
    fail: float | None
    what: str
    advice: str
    unit: str = ""

    def judge(self, value: float) -> tuple[Finding, ...]:
        """The finding on a value, none within the limits, nor on nan: it could not be measured."""
        sign = 1 if self.side == "above" else -1
        if np.isnan(value) or sign * value <= sign * self.check:
            return ()
        is_fail = self.fail is not None and sign * value > sign * self.fail
        limit = self.fail if is_fail else self.check
        level: Level = "fail" if is_fail else "check"
        order = "at most" if self.side == "above" else "at least"
        reason = f"{self.what} {value:.3g}{self.unit}, expected {order} {limit:.3g}{self.unit}; {self.advice}"
        return (Finding(level, self.name, reason),)


FEWEST_PX = 32
"""Rows and columns below which nothing can be found: a network that halves five times keeps one pixel."""

SMALL_PX = 64
"""Rows below which the thinnest layers are less than a pixel high: seven layers in 350 um of a 1 mm deep scan."""

SMALL_DEPTH_UM = 500.0
"""Depth of a field of view that a swollen retina (up to 700 um in DME) does not fit in."""

COLOUR = Rule(
    "colour",
    "colour_share",
    "above",
    0.001,  # a line of a pixel in a picture of 500 rows is 0.002
    0.1,  # seven surfaces drawn 2 px wide are 0.03
    "share of coloured pixels",
    "export the scan in gray without drawings on it; a photograph or a false-colour picture is no B-scan",
)

STEP_UM, STEP_PX = 65.0, 17.0
"""Largest jump of the whole retina between neighbours: 98 % of good Duke scans stay below 54 um, 14 px."""

ROOM = Rule("cut at the bottom", "room_px", "below", 300.0, 180.0,
            "from the retina's upper edge to the lower border nine in ten columns have",
            "a retina is thicker: take the scan with more room below", " um")  # fmt: skip
"""Labels: 259 um and more on a scan's average, 195 um in the thinnest fovea; good scans: 433 um and more of room."""

_STEP = "neighbouring columns jump in depth by"
_MOVED = "the eye moved or scans were joined here: take another scan, or leave these columns out"

RULES = (
    # Good: 35 to 100 gray levels. Contrast of a tenth leaves 5 to 9.
    Rule("contrast", "contrast", "below", 30, 12, "the retina is brighter than the vitreous by",
         "take a scan with more signal, or export it with its full range of gray levels", " gray levels"),
    # Good: 4.2 to 12. Noise of 30 gray levels: 1.9 to 3.4; of 80: 0.9 to 1.4; a tenth of the signal: 0.6 to 1.1.
    Rule("noise", "contrast_to_noise", "below", 4, 1.6, "contrast of retina and vitreous over the noise of a pixel is",
         "take a scan with more signal, or average several"),
    # Good: 0.08 to 0.19. Noise of 30 gray levels: 0.54 to 0.75.
    Rule("noise", "axial_grain", "above", 0.4, None, "neighbouring pixels differ, relative to distant ones, by",
         "most of this is noise: average several scans"),
    # Good: 0.14 to 0.32. Blur of sd 2 px: 0.04 to 0.05. An enlarged picture looks the same.
    Rule("sharpness", "lateral_grain", "below", 0.1, None, "neighbouring pixels differ, relative to distant ones, by",
         "the scan is out of focus, smoothed or enlarged: take the original pixels"),
    # Good: 0 to 0.0014. Doubled brightness: 0.02 and more; white letters on the scan: 0.01.
    Rule("saturation", "saturated", "above", 0.005, 0.1, "share of pixels at the highest gray level is",
         "export the scan with less gain, without text on it"),
    # Good: 0.02 to 0.12. 50 gray levels cut off: 0.38 and more.
    Rule("clipped dark", "black", "above", 0.35, 0.7, "share of pixels that are 0 is",
         "export the scan with its dark gray levels, and without black borders"),
    # Good: 0.13 to 0.38.
    Rule("wrong plane", "bright_share", "above", 0.5, None, "share of the picture as bright as the retina is",
         "see whether this is a B-scan with vitreous above the retina"),
    # Good: 0.59 to 0.90. On its side: 0.09 to 0.31; a fundus picture: 0.38 to 0.47.
    Rule("wrong plane", "layering", "below", 0.55, 0.48, "share of brightness differences that lie along depth is",
         "see whether this is a B-scan, depth running downwards"),
    # Good: 0.50 to 0.90; upside down the same with a minus.
    Rule("upside down", "fading", "below", 0.3, -0.2,
         "asymmetry of the upper edge (sharp at the vitreous) and the lower one (fading in the choroid) is",
         "see whether the vitreous is above; turn the scan, or a mirror image was recorded"),
    # Good: 0.
    Rule("cut at the top", "top_share", "above", 0.03, 0.2, "share of columns with retina at the upper border is",
         "the retina is cut off, or its mirror image folded into the scan: take it with more vitreous above"),
    # Good: 0 to 0.02.
    Rule("cut at the bottom", "bottom_share", "above", 0.04, 0.3, "share of columns with retina at the lower border is",
         "the outer retina is cut off: take the scan with more room below"),
    # Good: 0 to 0.02, margins aside.
    Rule("blink", "dark_columns", "above", 0.05, 0.25, "share of columns without any signal is",
         "blink, shadow or missing columns: take another scan, or measure the other columns only"),
)  # fmt: skip


def look_at_image(raw: RawBScan, spacing: Spacing) -> tuple[Finding, ...]:
    """What speaks against a scan (H, W) as its file has it, before anything is cut; none: it is a good one."""
    height, width = raw.image.shape
    colour = COLOUR.judge(raw.colour_share)
    if min(height, width) < FEWEST_PX:
        reason = f"{height} x {width} pixels, expected at least {FEWEST_PX} either way; give the whole B-scan"
        return (*colour, Finding("fail", "size", reason))
    figures = measure_scan(_gray_levels(raw.image))
    if figures is None:
        reason = "all pixels have one gray level, expected a retina; see whether the file is whole"
        return (*colour, Finding("fail", "blank", reason))
    found = [finding for rule in RULES for finding in rule.judge(getattr(figures, rule.figure))]
    return (*colour, *_size(height, spacing), *found, *_lengths(figures, spacing))


def _gray_levels(image: Array) -> Array:
    return image if image.dtype == np.uint8 else np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _size(height: int, spacing: Spacing) -> tuple[Finding, ...]:
    """Few rows, and a field of view too shallow for a retina where the scale is known."""
    findings = []
    if height < SMALL_PX:
        reason = f"{height} rows, expected at least {SMALL_PX}: thin layers are lost; give the original pixels"
        findings.append(Finding("check", "size", reason))
    if spacing.axial_um is not None and height * spacing.axial_um < SMALL_DEPTH_UM:
        reason = (
            f"{height * spacing.axial_um:.0f} um deep by the scale of the {spacing.source}, expected at least "
            f"{SMALL_DEPTH_UM:.0f} um; see whether the scale is right and the B-scan whole"
        )
        findings.append(Finding("check", "size", reason))
    return tuple(findings)


def _lengths(figures: ScanFigures, spacing: Spacing) -> tuple[Finding, ...]:
    """A jump of the retina, in um where the scale is known, else in px; room for a retina where it is known."""
    if spacing.axial_um is None:
        return Rule("motion", "step_px", "above", STEP_PX, None, _STEP, _MOVED, " px").judge(figures.step_px)
    motion = Rule("motion", "step_px", "above", STEP_UM, None, _STEP, _MOVED, " um")
    return motion.judge(figures.step_px * spacing.axial_um) + ROOM.judge(figures.room_px * spacing.axial_um)
