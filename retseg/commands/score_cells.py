"""Cells and tables of scores on the screen: a number, an interval beside it, a ceiling with where a score stands."""

from rich import box
from rich.table import Table

from retseg.evaluation.scores import Score


def score_table(title: str) -> Table:
    """A table without columns yet."""
    return Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False
    )


def with_interval(row: Score, digits: int) -> str:
    """A score, and its interval where it has one."""
    if row.low != row.low:
        return number(row.value, digits)
    return f"{row.value:.{digits}f} [{row.low:.{digits}f}, {row.high:.{digits}f}]"


def ceiling_cell(row: Score, digits: int) -> str:
    """The ceiling of a score, and where the score stands to it."""
    return "-" if row.ceiling != row.ceiling else f"{row.ceiling:.{digits}f} {row.standing}".rstrip()


def number(value: float, digits: int) -> str:
    """A number; nan is a dash."""
    return "-" if value != value else f"{value:.{digits}f}"


def counted(count: int, what: str) -> str:
    """E.g. "3 scans"."""
    return f"{count} {what}{'' if count == 1 else 's'}"
