"""What every source of B-scans offers: a list of keys without pixels, and a scan for a key."""

from typing import Protocol

from retseg.bscan import BScan, ScanKey


class ScanSource(Protocol):
    """A set of B-scans. Opening one reads no pixels; `read` does.

    Implementations are in `retseg.data.sources`, one file each, and are picklable (loader workers get a copy).
    """

    name: str
    """What scores on these scans must be called, e.g. "Duke DME", "phantom"."""

    label_origin: str
    """Who drew the labels: "manual", "silver" (another network's), "exact" (a phantom's), "unknown"."""

    @property
    def keys(self) -> tuple[ScanKey, ...]:
        """All annotated B-scans, sorted."""
        ...

    @property
    def notices(self) -> tuple[str, ...]:
        """One line for each thing that the reader counted: scans left out, surfaces that cross, gaps."""
        ...

    def read(self, key: ScanKey) -> BScan:
        """The B-scan of a key. Raises InputError where the file breaks a rule."""
        ...
