"""What a reader counted on its way, file by file, said in one line each."""

from collections import Counter


class Tally:
    """Counts of one thing per file. Picklable."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}

    def add(self, what: str, file: str, count: int = 1) -> None:
        """Add a count of `what`, a sentence with {counts} or {files} in it. A count of 0 says nothing."""
        if count:
            self._counts.setdefault(what, Counter())[file] += count

    @property
    def lines(self) -> tuple[str, ...]:
        """One line a thing. {counts} becomes `12 (Subject_01.mat 5, Subject_03.mat 7)` or `500 (10 files, 50 each)`."""
        return tuple(
            what.format(counts=_total(counts), files=", ".join(counts)) for what, counts in self._counts.items()
        )


def _total(counts: Counter[str]) -> str:
    if len(counts) > 1 and len(set(counts.values())) == 1:
        return f"{counts.total()} ({len(counts)} files, {next(iter(counts.values()))} each)"
    return f"{counts.total()} ({', '.join(f'{file} {count}' for file, count in counts.items())})"
