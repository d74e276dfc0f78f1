"""What a claim and a verdict are, and the ways of judging that many claims share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from retseg.reproduction.run_facts import RunFacts


class Outcome(str, Enum):
    """The five verdicts."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    BY_DEFINITION = "follows from the definition"
    CONTRADICTED = "contradicted"
    NEEDS_DATA = "needs data that is not here"


@dataclass(frozen=True, slots=True)
class Finding:
    """What judging a claim found: the outcome, the measured value in words, and the tolerance it was held to.

    why says what the reader should conclude; command makes the value, or the input that is missing.
    """

    outcome: Outcome
    measured: str
    tolerance: str = "exact"
    why: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim as judged."""

    id: str
    section: str
    title: str
    statement: str
    finding: Finding

    @property
    def outcome(self) -> Outcome:
        """The verdict in one word."""
        return self.finding.outcome


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that the paper says: its number, section, title, statement in our words, and how a run judges it."""

    id: str
    section: str
    title: str
    statement: str
    judge: Callable[[RunFacts], Finding]

    def verdict(self, facts: RunFacts) -> Verdict:
        """The verdict on this claim for a run; a finding without a command names the one that makes this page."""
        found = self.judge(facts)
        command = found.command or f"retseg reproduce {facts.folder}"
        finding = Finding(found.outcome, found.measured, found.tolerance, found.why, command)
        return Verdict(self.id, self.section, self.title, self.statement, finding)


def claim(id_: str, section: str, title: str) -> Callable[[Callable[[RunFacts], Finding]], Claim]:
    """Makes a claim of the function that judges it, whose docstring says in our words what the paper says."""
    return lambda judge: Claim(id_, section, title, " ".join((judge.__doc__ or "").split()), judge)


def held(is_so: bool, measured: str, tolerance: str = "exact", why: str = "", command: str = "") -> Finding:
    """Reproduced or not, for what any run can show: a setting, a file, a layer."""
    return Finding(Outcome.REPRODUCED if is_so else Outcome.NOT_REPRODUCED, measured, tolerance, why, command)


def held_on_duke(
    facts: RunFacts, is_so: bool, measured: str, tolerance: str, why: str = "", command: str = "", manual: bool = True
) -> Finding:
    """Reproduced or not if the run can speak of the paper's data (manual: and of its labels); else it needs data."""
    if facts.settles or (facts.is_duke and not manual):
        return held(is_so, measured, tolerance, why, command)
    needed = DUKE_COMMAND if manual or not facts.is_duke else command
    reason = facts.why_unsettled
    said = f"Does not settle it: {reason}." + (f" {why}" if why else "")
    return Finding(Outcome.NEEDS_DATA, measured, tolerance, said, needed)


def by_definition(is_so: bool, measured: str, tolerance: str = "exact", why: str = "", command: str = "") -> Finding:
    """Follows from the definition if the identity holds; contradicted if the numbers break it."""
    return Finding(Outcome.BY_DEFINITION if is_so else Outcome.CONTRADICTED, measured, tolerance, why, command)


def lacking(facts: RunFacts, what: str, tolerance: str = "exact") -> Finding:
    """Needs an input that the run folder lacks; its command makes it."""
    missing = facts.lacking(what)
    return Finding(Outcome.NEEDS_DATA, f"nothing measured: no {what}", tolerance, command=missing.command)


DUKE_COMMAND = "python -m retseg.train experiment=duke_segnet data.root=FOLDER_WITH_MANUAL_LABELS"


def worst(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcome of several parts: one contradiction or failure decides, then what is missing."""
    order = (Outcome.CONTRADICTED, Outcome.NOT_REPRODUCED, Outcome.NEEDS_DATA, Outcome.REPRODUCED)
    return min(outcomes, key=order.index)


def number(value: float | None, digits: int = 4) -> str:
    """A number in words."""
    return "absent" if value is None or value != value else f"{value:.{digits}f}"


def tiny(value: float) -> str:
    """A difference that should be next to nothing."""
    return f"{value:.0e}" if value else "0"


def numbers(values: Sequence[float | None], digits: int = 2) -> str:
    """Numbers in a row."""
    return " ".join(number(value, digits) for value in values)
