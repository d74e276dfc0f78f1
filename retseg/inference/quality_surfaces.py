"""The quality gate after the network: whether surfaces (S, W) of a scan look like those of a retina.

It knows anatomy, not the truth: smooth surfaces in the wrong place pass. Limits come from the labels of the 110 Duke
scans (DME, silver) and of 110 phantom scans: beyond the most extreme scan of either. Lengths are um where the scale is
known; else steps are px of a Duke scan (3.87 x 11.33 um), and nothing is said of thickness.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from retseg.anatomy import LAYER_NAMES
from retseg.bscan import Array, Spacing
from retseg.inference.predicted import Finding, Level
from retseg.inference.quality_image import Rule

THICKNESS_UM = {
    "NFL": (15.0, 80.0),
    "GCL-IPL": (35.0, 130.0),
    "INL": (15.0, 140.0),
    "OPL": (15.0, 100.0),
    "ONL-ISM": (45.0, 330.0),
    "ISE": (14.0, 50.0),
    "OS-RPE": (15.0, 40.0),
}
"""Mean thickness of each layer along a scan: the labels' least and largest (22 to 59, 46 to 107, 21 to 108, 21 to 80,
60 to 265, 21 to 39, 21 to 28 um), a quarter wider."""

MANY_LAYERS = 4
"""Layers of seven out of range at which a scan fails: that is another anatomy, or none."""

THIN_UM = 120.0
"""Thickness that the retina of no column falls below: the labels' thinnest foveas have 195 um in 99 % of columns."""

STEEP = 2.0
"""Slope beyond which a step between neighbouring columns is steep, 6 px of a Duke scan: 63 degrees."""

STEEP_PX = 6.0

BEND_LAG_UM, BEND_LAG_COLUMNS = 90.0, 8
"""How far apart the three points are whose departure from a line is the bend of a surface."""

MARGIN_PX = 1.0
UNSURE = 0.6
"""Mean probability of its own classes below which a column counts as unsure; good scans: up to 0.09 of the columns."""

AGAIN = "look at the overlay; correct these surfaces or leave them out"

NO_RETINA = Rule("no retina found", "", "below", 0.5, 0.2, "share of columns with surfaces is",
                 "see whether the scan shows a retina as the network knows it")  # fmt: skip
GAPS = Rule("gaps", "", "above", 0.05, 0.3, "share of columns without surfaces between others is", AGAIN)
ORDER = Rule("order", "", "above", 0.0, 0.05, "share of columns in which surfaces cross is", "correct the surfaces")
STEPS = Rule("steps", "", "above", 0.06, 0.2, "share of steep steps between neighbouring columns is", AGAIN)
# Labels: 2.5 to 12.8 um, 0.7 to 3.3 px. Predictions of faulty scans: 8 to 200 um.
BEND = Rule("rough surfaces", "", "above", 17.0, 45.0, "mean bend of the surfaces is", AGAIN, " um")
BEND_PX = Rule("rough surfaces", "", "above", 4.4, 12.0, "mean bend of the surfaces is", AGAIN, " px")
THIN = Rule("thin retina", "", "above", 0.02, 0.25, f"share of columns with a retina below {THIN_UM:.0f} um is", AGAIN)
BORDER = Rule("border", "", "above", 0.02, 0.25, "share of columns with a surface at the border of the image is",
              "the retina may be cut off: take the scan with more room")  # fmt: skip
CONFIDENCE = Rule("confidence", "", "above", 0.12, 0.6, f"share of columns with a confidence below {UNSURE} is", AGAIN)


def look_at_surfaces(
    surface_rows: Array,
    confidence: Array,
    image_shape: tuple[int, int],
    spacing: Spacing,
    reference: Mapping[str, Any],
) -> tuple[Finding, ...]:
    """What speaks against surface rows (S, W) with their confidence (W,), on an image (H, W).

    reference: may hold, under "thickness_um", ranges of `fit_thickness_ranges` to use instead of THICKNESS_UM. A
    confidence of nan where surfaces are known (somebody else made them) is not judged.
    """
    assert surface_rows.shape[1] == image_shape[1] == len(confidence), (surface_rows.shape, image_shape)
    rows = surface_rows.astype(np.float64)
    is_known = np.asarray(np.isfinite(rows).all(axis=0))
    if not is_known.any():
        return NO_RETINA.judge(0.0)
    known = rows[:, is_known]
    findings = [*NO_RETINA.judge(float(is_known.mean())), *_gaps(is_known)]
    findings += ORDER.judge(float((np.diff(known, axis=0) < 0).any(axis=0).mean()))
    findings += STEPS.judge(_steep_share(rows, spacing))
    findings += _bend(rows, spacing)
    is_at_border = (known[0] <= MARGIN_PX) | (known[-1] >= image_shape[0] - MARGIN_PX)
    findings += BORDER.judge(float(is_at_border.mean()))
    if spacing.axial_um is not None:
        ranges = reference.get("thickness_um", THICKNESS_UM)
        findings += THIN.judge(float(((known[-1] - known[0]) * spacing.axial_um < THIN_UM).mean()))
        findings += _thickness(np.diff(known, axis=0).mean(axis=1) * spacing.axial_um, ranges)
    sure = confidence[is_known & np.isfinite(confidence)]
    return (*findings, *(CONFIDENCE.judge(float((sure < UNSURE).mean())) if sure.size else ()))


def fit_thickness_ranges(scans: Sequence[tuple[Array, Spacing]], margin: float = 1.25) -> dict[str, list[float]]:
    """Plain JSON, by layer: range of the mean thickness (um) in scans' surface rows (S, W), a margin wider.

    Scans without scale or without a known column are left out; empty where none is left.
    """
    means = []
    for surface_rows, spacing in scans:
        is_known = np.isfinite(surface_rows).all(axis=0)
        if spacing.axial_um is not None and is_known.any():
            means.append(np.diff(surface_rows[:, is_known], axis=0).mean(axis=1) * spacing.axial_um)
    if not means:
        return {}
    low, high = np.min(means, axis=0) / margin, np.max(means, axis=0) * margin
    return {name: [float(low[place]), float(high[place])] for place, name in enumerate(LAYER_NAMES)}


def _gaps(is_known: Array) -> tuple[Finding, ...]:
    places = np.flatnonzero(is_known)
    return GAPS.judge(float(1 - len(places) / (places[-1] - places[0] + 1)))


def _steep_share(rows: Array, spacing: Spacing) -> float:
    """Largest share, of all surfaces, of steep ones among the steps between neighbouring columns; nan without steps."""
    steps = np.abs(np.diff(rows, axis=1))
    is_step = np.isfinite(steps)
    limit_px = STEEP_PX
    if spacing.axial_um is not None and spacing.lateral_um is not None:
        limit_px = STEEP * spacing.lateral_um / spacing.axial_um
    num_steps = is_step.sum(axis=1)
    shares = ((steps > limit_px) & is_step).sum(axis=1)[num_steps > 0] / num_steps[num_steps > 0]
    return float(shares.max()) if shares.size else float("nan")


def _bend(rows: Array, spacing: Spacing) -> tuple[Finding, ...]:
    """Mean departure from a straight line over all surfaces and columns, in um where both scales are known."""
    lag = BEND_LAG_COLUMNS
    if spacing.lateral_um is not None:
        lag = max(1, round(BEND_LAG_UM / spacing.lateral_um))
    if rows.shape[1] <= 2 * lag:
        return ()
    bends = np.abs(rows[:, 2 * lag :] - 2 * rows[:, lag:-lag] + rows[:, : -2 * lag])
    known = bends[np.isfinite(bends)]
    if not known.size:
        return ()
    if spacing.axial_um is not None and spacing.lateral_um is not None:
        return BEND.judge(float(known.mean()) * spacing.axial_um)
    return BEND_PX.judge(float(known.mean()))


def _thickness(mean_um: Array, ranges: Mapping[str, Sequence[float]]) -> tuple[Finding, ...]:
    """One finding for all layers whose mean thickness (L,) is out of range."""
    wrong = [
        f"{name} {value:.0f} um (expected {ranges[name][0]:.0f} to {ranges[name][1]:.0f})"
        for name, value in zip(LAYER_NAMES, mean_um, strict=True)
        if name in ranges and not ranges[name][0] <= value <= ranges[name][1]
    ]
    if not wrong:
        return ()
    level: Level = "fail" if len(wrong) >= MANY_LAYERS else "check"
    return (
        Finding(level, "thickness", f"mean thickness of {', '.join(wrong)}; see whether the scale is right, {AGAIN}"),
    )
