"""Verdicts for machines: JSON with everything, CSV for a spreadsheet."""

import csv
import io
import json
from collections.abc import Sequence

from retseg.reproduction.claim import Verdict

COLUMNS = ("id", "section", "title", "verdict", "statement", "measured", "tolerance", "why", "command")


def verdicts_as_json(verdicts: Sequence[Verdict]) -> str:
    """A list of objects, keys as COLUMNS."""
    rows = [dict(zip(COLUMNS, _row(verdict), strict=True)) for verdict in verdicts]
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def verdicts_as_csv(verdicts: Sequence[Verdict]) -> str:
    """One row a verdict under COLUMNS."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([COLUMNS, *map(_row, verdicts)])
    return buffer.getvalue()


def _row(verdict: Verdict) -> tuple[str, ...]:
    found = verdict.finding
    identity = (verdict.id, verdict.section, verdict.title, verdict.outcome.value, verdict.statement)
    return (*identity, found.measured, found.tolerance, found.why, found.command)
