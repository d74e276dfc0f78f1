"""Every scan with another scan's labels: what a network learns from them says nothing of the image (a sanity check)."""

from dataclasses import replace

import numpy as np

from retseg.bscan import BScan, ScanKey
from retseg.data.source import ScanSource
from retseg.errors import InputError


class ShuffledLabels:
    """A source whose scans keep their pixels and carry the labels of another scan of the source, drawn by seed.

    The partners form one cycle, so no scan keeps its own labels; both must have the same shape. What remains is where
    layers lie on average: labels in place of the classes that Adebayo et al. 2018 (arXiv 1810.03292) permute.
    """

    label_origin = "shuffled"

    def __init__(self, source: ScanSource, seed: int = 0) -> None:
        if len(source.keys) < 2:
            raise InputError(f"{source.name}: {len(source.keys)} scan, expected at least 2 to shuffle labels between")
        self.source, self.name = source, f"{source.name}, shuffled labels"
        order = np.random.default_rng(seed).permutation(len(source.keys))
        self.partner: dict[ScanKey, ScanKey] = {
            source.keys[own]: source.keys[other] for own, other in zip(order, np.roll(order, 1), strict=True)
        }
        """Whose labels a scan carries."""

    @property
    def keys(self) -> tuple[ScanKey, ...]:
        """Those of the source."""
        return self.source.keys

    @property
    def notices(self) -> tuple[str, ...]:
        """Those of the source, and what was done to it."""
        return (*self.source.notices, "every scan carries another scan's labels: scores on them mean nothing")

    def read(self, key: ScanKey) -> BScan:
        """The scan with its partner's labels. InputError where their shapes differ."""
        own, other = self.source.read(key), self.source.read(self.partner[key])
        if own.shape != other.shape:
            raise InputError(
                f"{key.name}: {own.shape} pixels, and the scan whose labels it would get ({other.key.name}) has "
                f"{other.shape}; labels can be shuffled between scans of one size"
            )
        return replace(own, surface_rows=other.surface_rows, mask=other.mask, fluid=other.fluid)
