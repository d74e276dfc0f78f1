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

    def lines(self, num_files: int) -> tuple[str, ...]:
        """One line a thing; num_files is how many files were read.

        {counts} becomes `12 (Subject_01.mat 5, Subject_03.mat 7)`, or `500 (50 in each file)`; {files} their names.
        """
        return tuple(
            what.format(counts=_total(counts, num_files), files=_names(counts, num_files))
            for what, counts in self._counts.items()
        )


def _total(counts: Counter[str], num_files: int) -> str:
    if len(counts) == num_files > 1 and len(set(counts.values())) == 1:
        return f"{counts.total()} ({next(iter(counts.values()))} in each file)"
    return f"{counts.total()} ({', '.join(f'{file} {count}' for file, count in counts.items())})"


def _names(counts: Counter[str], num_files: int) -> str:
    return f"all {num_files} files" if len(counts) == num_files > 1 else ", ".join(counts)
