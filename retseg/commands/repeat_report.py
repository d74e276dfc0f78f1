"""What `retseg repeat` prints: what came out the same, where two runs part, and what differs around them."""

from pathlib import Path

from rich import box
from rich.table import Table

from retseg.commands.evaluation_report import report_console
from retseg.commands.repeat_comparison import Comparison, words

WITHOUT_A_CAUSE = (
    "nothing that was recorded differs: look at environment.json of both; on GPUs some operations are not deterministic"
)


def tell_repeat(run: Path, output: Path, comparison: Comparison) -> None:
    """Tables and the verdict."""
    console = report_console()
    table = _table(f"{run}, and trained again in {output}", ("what", "same", "run", "repeat"))
    for check in comparison.checks:
        table.add_row(check.what, "yes" if check.is_same else "NO", words(check.run), words(check.repeat))
    console.print()
    console.print(table)
    if comparison.is_same:
        console.print("came out the same, bit for bit", style="bold")
    else:
        console.print(f"came out different{_where(comparison)}", style="bold")
    if comparison.environment:
        table = _table("What differs in environment.json and in the data", ("fact", "run", "repeat"))
        for name, (ours, theirs) in comparison.environment.items():
            table.add_row(name, words(ours), words(theirs))
        console.print(table)
    elif not comparison.is_same:
        console.print(WITHOUT_A_CAUSE)
    console.print(f"written to {output / 'repeat.json'}")


def _where(comparison: Comparison) -> str:
    first, largest = comparison.first, comparison.largest
    if first is None:
        return ", though no value of metrics.csv that both have differs"
    told = (
        f": first in epoch {first.epoch}, {first.metric} {first.run or 'absent'} there, {first.repeat or 'absent'} here"
    )
    if largest is None:
        return told
    return f"{told}; largest difference {largest.size:.3g} ({largest.metric}, epoch {largest.epoch})"


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
