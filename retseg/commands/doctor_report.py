"""What `retseg doctor` prints: findings under their headings, in columns, problems told last again as a count."""

import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from retseg.commands.doctor_findings import Section, State

WIDTH = 118
"""Characters of a line where the output is no terminal."""

STYLES = {State.OK: "green", State.NOTE: "yellow", State.PROBLEM: "bold red"}


def num_problems(sections: Sequence[Section]) -> int:
    """Findings that are problems."""
    return sum(finding.state is State.PROBLEM for part in sections for finding in part.findings)


def tell_findings(sections: Sequence[Section]) -> None:
    """A heading a section, a line a finding, and the count."""
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, width=WIDTH)
    width = max((len(finding.what) for part in sections for finding in part.findings), default=0)
    for part in sections:
        console.print(part.title, style="bold")
        table = Table.grid(padding=(0, 2))
        table.add_column(min_width=9, no_wrap=True)
        table.add_column(min_width=min(width, 24), max_width=40, overflow="fold")
        table.add_column(overflow="fold")
        for finding in part.findings:
            state = Text(f"  {finding.state.value}", style=STYLES[finding.state])
            table.add_row(state, Text(finding.what), Text(finding.told))
        console.print(table)
        console.print()
    counts = {state: sum(one.state is state for part in sections for one in part.findings) for state in State}
    console.print(f"{counts[State.OK]} ok, {counts[State.NOTE]} to note, {counts[State.PROBLEM]} to mend")


def findings_as_json(sections: Sequence[Section]) -> str:
    """All findings as one object."""
    parts = [
        {
            "title": part.title,
            "findings": [{"state": one.state.value, "what": one.what, "told": one.told} for one in part.findings],
        }
        for part in sections
    ]
    return json.dumps({"problems": num_problems(sections), "sections": parts}, indent=1)
