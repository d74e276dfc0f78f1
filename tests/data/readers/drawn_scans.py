"""A small scan, neither mask nor constant: 40 rows, 60 columns, gray levels 0..199; what is found of it."""

from pathlib import Path

import numpy as np

from retseg.data.readers.find import Found, find_scans
from retseg.data.readers.options import ReadOptions
from retseg.data.readers.volume import RawBScan, ScanVolume

ROWS, COLUMNS = 40, 60


def drawn(number: int = 0) -> np.ndarray:
    """(40, 60) uint8, another for each number."""
    return ((np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) * 7 + 13 * number) % 200).astype(np.uint8)


def stacked(num_bscans: int) -> np.ndarray:
    """(B, 40, 60) uint8."""
    return np.stack([drawn(number) for number in range(num_bscans)])


def find(*paths: Path, **options: object) -> Found:
    return find_scans(paths, ReadOptions(**options))


def only(*paths: Path, **options: object) -> ScanVolume:
    """The one volume below paths, without a failure."""
    found = find(*paths, **options)
    assert found.failures == ()
    (volume,) = found.volumes
    return volume


def pixels(*paths: Path, **options: object) -> RawBScan:
    """The only B-scan below paths."""
    volume = only(*paths, **options)
    (number,) = volume.numbers
    return volume.read(number)


def line(*paths: Path, **options: object) -> str:
    """The one line of the only failure."""
    found = find(*paths, **options)
    ((_, text),) = found.failures
    assert "\n" not in text
    return text
