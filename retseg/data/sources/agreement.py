"""Two annotations of a scan as one: what both say is kept, the rest is unknown. For labels of which some are wrong."""

from collections import defaultdict
from dataclasses import replace

import numpy as np

from retseg.anatomy import IGNORE
from retseg.bscan import Array, BScan, ScanKey
from retseg.data.source import ScanSource
from retseg.errors import InputError
from retseg.geometry.surfaces import paint_mask


class AgreedLabels:
    """A source whose scans carry what all their annotations agree on, under the key of the first one.

    A pixel has a class where all masks give it that one, else it is IGNORE: losses and scores leave it out. A surface
    is the mean of its rows in columns where they differ by at most max_rows px, else unknown. Fluid is the first one's.
    Scans with one annotation keep it.
    """

    def __init__(self, source: ScanSource, max_rows: float = 2.0) -> None:
        if max_rows < 0:
            raise InputError(f"data.source.max_rows: {max_rows}, expected 0 px (the very same rows) or more")
        self.source, self.max_rows = source, max_rows
        self.name, self.label_origin = source.name, source.label_origin
        annotations: dict[str, list[ScanKey]] = defaultdict(list)
        for key in source.keys:
            annotations[key.scan_name].append(key)
        self._annotations = {keys[0]: tuple(keys) for keys in annotations.values()}
        if all(len(keys) == 1 for keys in self._annotations.values()):
            raise InputError(f"{source.name}: no scan has two annotations; use data.source.source.graders=[1,2]")

    @property
    def keys(self) -> tuple[ScanKey, ...]:
        """One a scan, sorted."""
        return tuple(sorted(self._annotations))

    @property
    def notices(self) -> tuple[str, ...]:
        """Those of the source, and how many scans had more than one annotation."""
        num = sum(len(keys) > 1 for keys in self._annotations.values())
        return (*self.source.notices, f"{num} of {len(self.keys)} scans carry what their annotations agree on")

    def read(self, key: ScanKey) -> BScan:
        """The scan with the labels that its annotations agree on. InputError where they agree on nothing."""
        scans = [self.source.read(annotation) for annotation in self._annotations[key]]
        if len(scans) == 1:
            return scans[0]
        mask = agreed_mask([_mask(scan) for scan in scans])
        if (mask == IGNORE).all():
            names = " and ".join(scan.key.name for scan in scans)
            raise InputError(f"{key.scan_name}: {names} agree on no pixel; leave the scan out or look at its labels")
        rows = [scan.surface_rows for scan in scans if scan.surface_rows is not None]
        surface_rows = agreed_rows(rows, self.max_rows) if len(rows) == len(scans) else None
        return replace(scans[0], mask=mask, surface_rows=surface_rows)


def agreed_mask(masks: list[Array]) -> Array:
    """Class ids (H, W) that all masks give, IGNORE elsewhere."""
    first = masks[0]
    is_agreed = np.all([mask == first for mask in masks[1:]], axis=0)
    return np.where(is_agreed, first, IGNORE).astype(np.int8)


def agreed_rows(rows: list[Array], max_rows: float) -> Array:
    """Mean of surface rows (S, W) float32 where the lowest and highest differ by at most max_rows, nan elsewhere."""
    stacked = np.stack(rows)
    is_agreed = stacked.max(axis=0) - stacked.min(axis=0) <= max_rows  # nan is no agreement
    return np.where(is_agreed, stacked.mean(axis=0), np.nan).astype(np.float32)


def _mask(scan: BScan) -> Array:
    if scan.mask is not None:
        return scan.mask
    if scan.surface_rows is None:
        raise InputError(f"{scan.key.name}: no surfaces and no mask; leave the scan out or annotate it")
    return paint_mask(scan.surface_rows, scan.shape[0])
