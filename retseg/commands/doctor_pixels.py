"""What only the pixels of many images tell: their sizes, and copies among them."""

from collections import Counter
from collections.abc import Iterator

from retseg.bscan import Array
from retseg.commands.doctor_findings import Finding, first_of, note, ok


class SeenPixels:
    """Images (H, W) that were read, by name: one that has the very pixels of another is a copy of it."""

    def __init__(self) -> None:
        self.shapes: Counter[tuple[int, ...]] = Counter()
        self._first: dict[str, str] = {}
        self._copies: list[Finding] = []

    def add(self, name: str, image: Array) -> None:
        """Take an image into account; one that comes again under its own name is no copy."""
        from retseg.data.fingerprint import pixels_sha256

        self.shapes[image.shape] += 1
        before = self._first.setdefault(pixels_sha256(image), name)
        if before != name:
            self._copies.append(note("copies", f"{name} has the very pixels of {before}; leave one out"))

    def sizes(self) -> Iterator[Finding]:
        """One line, if anything was read."""
        listed = [(count, " x ".join(map(str, shape))) for shape, count in self.shapes.most_common(5)]
        if len(listed) == 1:
            yield ok("sizes", f"all {listed[0][1]} px")
        elif listed:
            told = ", ".join(f"{count} of {shape}" for count, shape in listed)
            yield note("sizes", f"{len(self.shapes)} sizes (rows x columns): {told}; data.size makes them one")

    def copies(self) -> Iterator[Finding]:
        """A line each, at most so many."""
        yield from first_of(self._copies, "copies")
