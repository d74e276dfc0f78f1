"""What `retseg doctor` finds: ok, a note, or a problem, each in one line; a check that fails is a finding too."""

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from retseg.errors import InputError, one_line

MOST_LINES = 20
"""Findings of one kind that are told one by one."""


class State(str, Enum):
    """How a finding is to be taken: a problem makes exit code 1."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """what: the thing looked at, in a word or two. told: one line; of a problem, with what to do."""

    state: State
    what: str
    told: str


@dataclass(frozen=True, slots=True)
class Section:
    """Findings under one heading."""

    title: str
    findings: tuple[Finding, ...]


Check = Callable[[], Iterable[Finding]]


def ok(what: str, told: str) -> Finding:
    """As it should be."""
    return Finding(State.OK, what, told)


def note(what: str, told: str) -> Finding:
    """Worth knowing, nothing is broken."""
    return Finding(State.NOTE, what, told)


def problem(what: str, told: str) -> Finding:
    """Broken, and what to do."""
    return Finding(State.PROBLEM, what, told)


def section(title: str, checks: Iterable[tuple[str, Check]]) -> Section:
    """Findings of named checks, each run to its end whatever the others do."""
    return Section(title, tuple(finding for what, check in checks for finding in guarded(what, check)))


def lazily(module: str, name: str, *arguments: Any) -> Check:
    """A check of a module that is imported when the check is run, so that what breaks there is a finding."""

    def check() -> Iterable[Finding]:
        found: Iterable[Finding] = getattr(importlib.import_module(module), name)(*arguments)
        return found

    return check


def guarded(what: str, check: Check) -> Iterator[Finding]:
    """Findings of a check; what it raises is a problem: InputError by its own line, any other with its type."""
    try:
        yield from check()
    except InputError as error:
        yield problem(what, one_line(error))
    except (Exception, SystemExit) as error:  # of any kind: a broken package raises what it likes
        yield problem(what, f"{type(error).__name__}: {one_line(error)}; see the installation, `retseg doctor`")


def first_of(findings: list[Finding], noun: str) -> Iterator[Finding]:
    """At most MOST_LINES of findings of one kind, then how many more there are; noun: what each is of."""
    yield from findings[:MOST_LINES]
    left = len(findings) - MOST_LINES
    if left > 0:
        yield Finding(findings[0].state, "more", f"{left} more {noun}")


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
