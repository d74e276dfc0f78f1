"""A bar with the time left, for commands that go through scans one by one."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")


@contextmanager
def progress(what: str, total: int, quiet: bool = False) -> Iterator[Callable[[], None]]:
    """A bar with the time left, on a terminal's standard error; call what it gives after each scan."""
    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)


def told(items: Iterable[T], advance: Callable[[], None]) -> Iterator[T]:
    """The items; `advance` is told after each."""
    for item in items:
        yield item
        advance()


def each(items: Iterable[T], use: Callable[[T], None]) -> Iterator[T]:
    """The items, each used before it is given on."""
    for item in items:
        use(item)
        yield item
