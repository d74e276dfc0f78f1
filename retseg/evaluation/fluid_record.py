"""Fluid of one scan: what was found and drawn, and all that is counted of it. H rows, W columns of the scan."""

from dataclasses import dataclass

import numpy as np

from retseg.anatomy import IGNORE
from retseg.bscan import Array, Spacing
from retseg.metrics.fluid import HITS, MISSES, fluid_counts
from retseg.metrics.fluid_lesions import Lesions, lesions

THRESHOLD = 0.5
"""Probability from which on a pixel is fluid. It was fitted on no scan."""


@dataclass(frozen=True, slots=True, eq=False)
class FluidCase:
    """Fluid of a scan on its own grid, within what the network looked at.

    found: (H, W) bool. truth, second: (H, W) int8, 1 where a grader drew fluid, 0 where not, IGNORE where nobody
    looked; second None without a second grader. num_outside: pixels of true fluid that lie outside of this window.
    """

    found: Array
    truth: Array
    second: Array | None = None
    num_outside: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class FluidRecord:
    """Counts of one labelling of a scan's fluid against its truth.

    counts: (3,) hits, false alarms and misses in px. drawn, found: lesions of the truth and of what is scored.
    pixel_um2: area of a pixel, nan where the scale is unknown. num_outside: as in FluidCase.
    ceiling: the second grader against the same truth; None without one.
    """

    counts: Array
    drawn: Lesions
    found: Lesions
    pixel_um2: float
    num_outside: int = 0
    ceiling: "FluidRecord | None" = None

    @property
    def true_px(self) -> int:
        """Pixels drawn as fluid."""
        return int(self.counts[HITS] + self.counts[MISSES])

    @property
    def found_px(self) -> int:
        """Pixels found to be fluid, where somebody looked."""
        return int(self.counts.sum() - self.counts[MISSES])


def measure_fluid(case: FluidCase | None, spacing: Spacing) -> FluidRecord | None:
    """The record of a scan's fluid; None where no fluid was sought or where nobody looked for it."""
    if case is None or not (case.truth != IGNORE).any():
        return None
    pixel_um2 = (spacing.axial_um or np.nan) * (spacing.lateral_um or np.nan)
    ceiling = None
    if case.second is not None and (case.second != IGNORE).any():
        # Where the second grader did not look there is nothing to compare with.
        truth = np.where(case.second == IGNORE, np.int8(IGNORE), case.truth)
        ceiling = _record(case.second == 1, truth, pixel_um2, 0, None)
    return _record(case.found, case.truth, pixel_um2, case.num_outside, ceiling)


def _record(found: Array, truth: Array, pixel_um2: float, num_outside: int, ceiling: FluidRecord | None) -> FluidRecord:
    drawn_side, found_side = lesions(found, truth)
    return FluidRecord(fluid_counts(found, truth), drawn_side, found_side, pixel_um2, num_outside, ceiling)
