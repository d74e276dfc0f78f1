"""Temperature scaling: which temperature each scan's probabilities are divided by. Fitted on validation scans only.

Scans that are themselves validation get the temperature of the other validation subjects, so that none helps to
choose its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from retseg.evaluation.record import ScanRecord
from retseg.metrics.calibration import TEMPERATURES, CalibrationSums, best_temperature_index


@dataclass(frozen=True, slots=True)
class Scaling:
    """Places in TEMPERATURES: of each scan (None: no temperature), and of all validation scans together.

    fitted_on says in words where they come from, or why there are none.
    """

    of_scans: tuple[int | None, ...]
    overall: int | None
    fitted_on: str

    @property
    def temperature(self) -> float | None:
        """The temperature of all validation scans together: what new scans are to be scaled by."""
        return None if self.overall is None else TEMPERATURES[self.overall]


def fitted_index(records: Sequence[ScanRecord]) -> int | None:
    """Place in TEMPERATURES of the best one for scans; None where no network scored them."""
    sums = [record.network.calibration for record in records if record.network is not None]
    return fitted_on_sums(sums) if sums else None


def fitted_on_sums(sums: Sequence[CalibrationSums]) -> int:
    """Place in TEMPERATURES of the lowest negative log-likelihood over all scans together."""
    return best_temperature_index(reduce(add, sums, CalibrationSums.nothing()))


def cross_fitted(records: Sequence[ScanRecord]) -> Scaling:
    """For validation scans themselves: each subject's temperature is fitted on the other subjects."""
    subjects = sorted({record.subject for record in records})
    overall = fitted_index(records)
    if overall is None:
        return Scaling((None,) * len(records), None, "no probabilities at hand")
    if len(subjects) < 2:
        words = "one validation subject: no other to fit a temperature on"
        return Scaling((None,) * len(records), overall, words)
    by_subject = {s: fitted_index([record for record in records if record.subject != s]) for s in subjects}
    words = f"each subject's on the other {len(subjects) - 1} validation subjects"
    return Scaling(tuple(by_subject[record.subject] for record in records), overall, words)


def fixed(num_scans: int, index: int | None, fitted_on: str) -> Scaling:
    """One temperature for all scans, fitted elsewhere; None: none."""
    return Scaling((index,) * num_scans, index, fitted_on)
