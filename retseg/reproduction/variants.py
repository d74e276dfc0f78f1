"""Judging by an ablation: a variant of a recipe against its baseline, by subject."""

from collections.abc import Callable

from retseg.reproduction.claim import Finding, Outcome, held, lacking, number
from retseg.reproduction.run_facts import RunFacts
from retseg.reproduction.sweeps import Sweep

MARGIN = 0.01
"""Difference of mean layer Dice below which two variants count as similar."""


def better(facts: RunFacts, variant: str, note: str) -> Finding:
    """Judges "this helps": the interval of the variant minus the baseline lies above 0."""
    return _judged(
        facts, variant, "interval of the difference above 0 (mean layer Dice)", lambda low, high: low > 0, note
    )


def no_worse(facts: RunFacts, variant: str, note: str) -> Finding:
    """Judges "this does no harm": the interval of the variant minus the baseline does not lie below 0."""
    return _judged(facts, variant, "interval not all below 0 (mean layer Dice)", lambda low, high: high >= 0, note)


def worse(facts: RunFacts, variant: str, note: str) -> Finding:
    """Judges "leaving this out harms": the interval of the variant minus the baseline lies below 0."""
    return _judged(
        facts, variant, "interval of the difference below 0 (mean layer Dice)", lambda low, high: high < 0, note
    )


def similar(facts: RunFacts, variant: str, tolerance: str) -> Finding:
    """Judges "this does about as well": the whole interval within MARGIN; one that crosses it decides nothing."""
    found = _judged(facts, variant, tolerance, lambda low, high: low >= -MARGIN and high <= MARGIN)
    interval = _interval(facts, variant)
    if interval is None or found.outcome != Outcome.NOT_REPRODUCED:
        return found
    low, high = interval
    if low > MARGIN or high < -MARGIN:
        return found
    why = "Undecided: the interval is wider than the margin; more subjects would narrow it."
    return Finding(Outcome.NEEDS_DATA, found.measured, tolerance, why, found.command)


def _judged(
    facts: RunFacts, variant: str, tolerance: str, is_so: Callable[[float, float], bool], note: str = ""
) -> Finding:
    """Reproduced or not by a variant's interval on Duke's scans; needs data if the sweep is absent or on others."""
    interval = _interval(facts, variant)
    if interval is None or facts.ablation is None:
        return lacking(facts, "ablation", tolerance)
    measured = difference_in_words(facts.ablation, variant)
    command = f"retseg reproduce {facts.folder} --ablation {facts.ablation.folder}"
    if not facts.ablation.on_duke:
        why = f"{note} The sweep's scans are not Duke's.".strip()
        return Finding(Outcome.NEEDS_DATA, measured, tolerance, why, command)
    caution = "" if facts.ablation.manual else "Both sides are scored on the same labels, which are not manual."
    return held(is_so(*interval), measured, tolerance, f"{note} {caution}".strip(), command)


def _interval(facts: RunFacts, variant: str) -> tuple[float, float] | None:
    if facts.ablation is None:
        return None
    low, high = (facts.ablation.number(variant, f"difference_{end}") for end in ("low", "high"))
    return None if low is None or high is None else (low, high)


def difference_in_words(sweep: Sweep, variant: str) -> str:
    """A variant's difference to the baseline with its interval, p and where it was measured."""
    value, low, high, p = (
        sweep.number(variant, name) for name in ("difference", "difference_low", "difference_high", "p_holm")
    )
    interval = f"{number(value, 3)} [{number(low, 3)}, {number(high, 3)}]"
    subjects, seeds = (sweep.number(variant, name) for name in ("subjects", "seeds"))
    counts = f"{number(subjects, 0)} subjects, {number(seeds, 0)} seeds"
    return f"{variant} minus baseline: {interval}, p {number(p, 3)} (Holm), {counts}, {sweep.origin}"
