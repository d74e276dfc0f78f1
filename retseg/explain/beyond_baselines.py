"""Is a map more faithful than a map that needs no explanation? Paired differences, with the subject as the unit.

N scans, C classes, S subjects. B-scans of one subject resemble each other, so subjects are drawn, never scans.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from retseg.errors import InputError
from retseg.explain.faithfulness import Curves, Measure
from retseg.metrics.statistics import interval, paired_test, resample_weights, standing

Array = npt.NDArray[Any]
Outcome = Literal["better", "no different", "worse", "unknown"]

BASELINES = ("random", "edge", "prediction")
"""What a map has to beat: noise of its own grain, the scan's edges, and the segmentation that it should explain."""

MIN_SUBJECTS = 5
"""Fewer cannot decide: the interval of two subjects leaves 0 out whenever both have the same sign, which chance alone
brings about every second time; of five, once in sixteen."""

_OUTCOMES: dict[str, Outcome] = {"above": "better", "at": "no different", "below": "worse", "": "unknown"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A map against one baseline: the mean gain in faithfulness over subjects, its interval, and a paired p-value.

    gain, low, high: in units of the area (Dice: 0..1; surfaces: um or px), positive where the map is more faithful.
    outcome: "better" or "worse" where the interval leaves 0 out; "unknown" below MIN_SUBJECTS subjects.
    """

    gain: float
    low: float
    high: float
    p_value: float
    num_subjects: int

    @property
    def outcome(self) -> Outcome:
        """From the interval alone; the p-value of few subjects cannot be small (0.0625 at five)."""
        if self.num_subjects < MIN_SUBJECTS:
            return "unknown"
        return _OUTCOMES[standing(self.low, self.high, higher_is_better=True)]


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """A map against every baseline of BASELINES, and against any others that were measured beside them."""

    comparisons: dict[str, Comparison]

    @property
    def is_faithful(self) -> bool:
        """Whether the map is better than all of BASELINES. All must hold, so no correction for several tests."""
        return all(self.comparisons[name].outcome == "better" for name in BASELINES)

    @property
    def words(self) -> str:
        """One phrase for a table: what the map is better than; never more than was shown."""
        outcomes = {name: self.comparisons[name].outcome for name in BASELINES}
        if "unknown" in outcomes.values():
            fewest = min(self.comparisons[name].num_subjects for name in BASELINES)
            return f"unknown: {fewest} {'subject' if fewest == 1 else 'subjects'}, {MIN_SUBJECTS} needed"
        beaten = [name for name, outcome in outcomes.items() if outcome == "better"]
        if self.is_faithful:
            return "better than all baselines"
        if "random" not in beaten:
            return "not better than random"
        return f"better than {' and '.join(beaten)} only"


def subject_means(values: Array, subjects: Sequence[str]) -> Array:
    """Means (S,) of values (N, C), subjects in order of their names; nan is left out, a subject with only nan is nan.

    Every scan and class of a subject counts the same.
    """
    names, owner = np.unique(np.asarray(subjects), return_inverse=True)
    known = np.isfinite(values)
    sums = np.bincount(owner, np.where(known, values, 0).sum(1), len(names))
    counts = np.bincount(owner, known.sum(1), len(names))
    means: Array = np.divide(sums, counts, out=np.full(len(names), np.nan), where=counts > 0)
    return means


def mean_interval(values: Array) -> tuple[float, float, float]:
    """Mean of subjects' values (S,) and its 95 % bootstrap interval; nan is left out, one subject has no interval."""
    known = values[np.isfinite(values)]
    if not known.size:
        return np.nan, np.nan, np.nan
    low, high = interval(resample_weights(known.size) @ known / known.size)
    return float(known.mean()), float(low), float(high)


def compare(
    found: Curves, baseline: Curves, subjects: Sequence[str], measure: Measure = "dice", class_id: int | None = None
) -> Comparison:
    """A map's curves against a baseline's on the same scans, subjects (N,) naming whose scan each is.

    Over all layers (background, class 0, is none), or one class alone. A scan and class where either is nan, because
    the class is absent or a map is blank, is left out of both.
    """
    gains = found.faithfulness(measure) - baseline.faithfulness(measure)
    chosen = gains[:, 1:] if class_id is None else gains[:, [class_id]]
    by_subject = subject_means(chosen, subjects)
    num_subjects = int(np.isfinite(by_subject).sum())
    return Comparison(*mean_interval(by_subject), paired_test(by_subject), num_subjects)


def verdict(
    found: Curves,
    baselines: Mapping[str, Curves],
    subjects: Sequence[str],
    measure: Measure = "dice",
    class_id: int | None = None,
) -> Verdict:
    """Verdict on a map from its curves and those of the baselines by name, which must hold all of BASELINES."""
    missing = [name for name in BASELINES if name not in baselines]
    if missing:
        raise InputError(f"baselines: {', '.join(missing)} missing; a verdict needs {', '.join(BASELINES)}")
    return Verdict({name: compare(found, curves, subjects, measure, class_id) for name, curves in baselines.items()})
