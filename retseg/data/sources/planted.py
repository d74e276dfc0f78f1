"""Phantoms with planted evidence: what tells two classes apart is known by construction, pixel by pixel.

The pixels of `PhantomSource` stay as they are. The band from ISM/ISE to BM, whose two layers together are 15 Duke
pixels thick, gets one class, ISE or OS-RPE, by a coin that is drawn apart from every pixel; then something bright is
planted where the coin says ISE. So nothing but the planted pixels can tell the two classes apart: with
strength_gray=0, the ablated twin, the image does not depend on the coins at all, and no network beats chance, which
is a mean Dice of 0.5 over the two classes at most. With is_flipped all coins are turned over, pixels and labels
alike: a network that uses the planted pixels follows. Tissue, fluid and the surfaces but for ISE/OS are the phantom's.
"""

from collections.abc import Sequence, Set
from dataclasses import replace
from typing import Protocol

import numpy as np

from retseg.anatomy import CLASS_NAMES
from retseg.bscan import Array, BScan, ScanKey
from retseg.data.source import ScanSource
from retseg.data.sources.phantom import LARGEST_VALUE, PhantomSource
from retseg.data.sources.phantom_anatomy import BOTTOM_MARGIN
from retseg.errors import InputError

SHOWN_CLASS, HIDDEN_CLASS = 6, 7
"""ISE where the planted thing is there, OS-RPE where it is missing."""
PLANTED_CLASSES = (SHOWN_CLASS, HIDDEN_CLASS)
BAND_TOP, BAND_MIDDLE, BAND_BOTTOM = 5, 6, 7
"""Surfaces of the band: ISM/ISE, ISE/OS, BM."""

SEGMENT_SHARE = (0.08, 0.20)
"""Width of a segment with one coin, as a share of the scan's columns: shortest and longest."""

# Beside ANATOMY, APPEARANCE and SECOND_GRADER of the phantom: coins never share its random numbers.
COINS, DECOYS = 13, 14


class PlantedSource(ScanSource, Protocol):
    """A source that knows where the evidence for its planted classes lies."""

    def evidence(self, key: ScanKey, class_id: int) -> Array:
        """Pixels (H, W) bool, on the scan's own grid, that alone tell a planted class in this scan."""
        ...


class PlantedLineSource:
    """A phantom whose band is ISE above a bright line `offset_px` rows below BM, and OS-RPE where there is none.

    The scan's columns fall into segments of 8 to 20 % of its width; each has its own coin. The line is
    `thickness_px` rows of `strength_gray` gray levels more than the phantom has there.
    The phantom must have one grader, and room below BM for the line. Depends on (seed, phantom's seed, subject,
    bscan) and the options alone.
    """

    name = "phantom with a planted line"
    label_origin = "exact"

    def __init__(
        self,
        phantom: PhantomSource,
        offset_px: int = 20,
        thickness_px: int = 3,
        strength_gray: float = 90.0,
        seed: int = 0,
        is_flipped: bool = False,
    ) -> None:
        _check(phantom, strength_gray, seed)
        room_px = int(BOTTOM_MARGIN * phantom.grid.height)
        if offset_px < 1 or thickness_px < 1 or offset_px + thickness_px > room_px:
            raise InputError(
                f"planted line: offset_px {offset_px} and thickness_px {thickness_px}, expected 1 or more each and "
                f"{room_px} together, the rows that {phantom.grid.height} leave below BM; lower offset_px"
            )
        self.phantom, self.offset_px, self.thickness_px = phantom, offset_px, thickness_px
        self.strength_gray, self.seed, self.is_flipped = strength_gray, seed, is_flipped
        self._known_keys = frozenset(phantom.keys)

    @property
    def keys(self) -> tuple[ScanKey, ...]:
        """The phantom's."""
        return self.phantom.keys

    @property
    def notices(self) -> tuple[str, ...]:
        """That the labels of the band are planted."""
        what = f"a bright line {self.offset_px} px below BM" if self.strength_gray else "nothing (ablated)"
        return _notices(what)

    def read(self, key: ScanKey) -> BScan:
        """The B-scan of a key, with planted labels and line. Raises InputError for a key that is not one of `keys`."""
        scan = self.phantom.read(key)
        is_shown = self._coins(key)
        return _planted(scan, is_shown, self._line(scan) & is_shown, self.strength_gray)

    def evidence(self, key: ScanKey, class_id: int) -> Array:
        """The line (H, W) bool; for OS-RPE the place below its columns where the line is missing."""
        scan, is_shown = self.phantom.read(key), self._coins(key)
        return self._line(scan) & (is_shown if _is_shown_class(class_id) else ~is_shown)

    def _coins(self, key: ScanKey) -> Array:
        """Columns (W,) bool that are ISE."""
        rng = np.random.default_rng([self.seed, *_number(self.phantom, self._known_keys, key), COINS])
        width = self.phantom.grid.width
        shortest, longest = (max(1, round(share * width)) for share in SEGMENT_SHARE)
        lengths = rng.integers(shortest, longest + 1, 1 + width // shortest)
        return np.repeat((rng.random(len(lengths)) < 0.5) != self.is_flipped, lengths)[:width]

    def _line(self, scan: BScan) -> Array:
        """The line (H, W) bool under every column, whatever the coins say."""
        assert scan.surface_rows is not None
        top = np.rint(scan.surface_rows[BAND_BOTTOM]) + self.offset_px
        depth = np.arange(scan.shape[0])[:, None]
        return np.asarray((depth >= top) & (depth < top + self.thickness_px))


class PlantedCornerSource:
    """A shortcut: the band is ISE in the half of the scans with a bright mark in the top left corner, else OS-RPE.

    One coin a scan. The mark is `mark_px` (rows, columns), of `strength_gray` gray levels more than the phantom has
    there. Half of the scans, by another coin, have the same mark in the bottom right corner, which says nothing:
    it keeps the network from asking for any mark at all. Against the darker vitreous the mark that counts has the
    sharper edges, so a map of the image's edges still prefers it.
    The phantom must have one grader. Depends on (seed,
    phantom's seed, subject, bscan) and the options alone.
    """

    name = "phantom with a planted corner"
    label_origin = "exact"

    def __init__(
        self,
        phantom: PhantomSource,
        mark_px: Sequence[int] = (27, 60),
        strength_gray: float = 150.0,
        seed: int = 0,
        is_flipped: bool = False,
    ) -> None:
        _check(phantom, strength_gray, seed)
        shape = phantom.grid.height, phantom.grid.width
        if len(mark_px) != 2 or not all(1 <= px <= size // 4 for px, size in zip(mark_px, shape, strict=True)):
            raise InputError(
                f"planted corner: mark_px is {list(mark_px)}, expected rows and columns, 1 to a quarter of {shape}"
            )
        self.phantom, self.mark_px = phantom, (int(mark_px[0]), int(mark_px[1]))
        self.strength_gray, self.seed, self.is_flipped = strength_gray, seed, is_flipped
        self._known_keys = frozenset(phantom.keys)

    @property
    def keys(self) -> tuple[ScanKey, ...]:
        """The phantom's."""
        return self.phantom.keys

    @property
    def notices(self) -> tuple[str, ...]:
        """That the labels of the band are planted."""
        return _notices("a mark in the top left corner" if self.strength_gray else "nothing (ablated)")

    def read(self, key: ScanKey) -> BScan:
        """The B-scan of a key, with planted labels and mark. Raises InputError for a key that is not one of `keys`."""
        scan = self.phantom.read(key)
        is_shown = self._coin(key)
        bright = (self._corner() & is_shown) | self.decoy(key)
        return _planted(scan, np.full(scan.shape[1], is_shown), bright, self.strength_gray)

    def evidence(self, key: ScanKey, class_id: int) -> Array:
        """The mark (H, W) bool, or the place where it is missing; nothing where the scan has not that class."""
        return self._corner() & (self._coin(key) == _is_shown_class(class_id))

    def decoy(self, key: ScanKey) -> Array:
        """The mark (H, W) bool that says nothing, where the scan has it; never turned over."""
        rng = np.random.default_rng([self.seed, *_number(self.phantom, self._known_keys, key), DECOYS])
        return self._corner()[::-1, ::-1] & bool(rng.random() < 0.5)

    def _coin(self, key: ScanKey) -> bool:
        """Whether the scan has the mark, and ISE."""
        rng = np.random.default_rng([self.seed, *_number(self.phantom, self._known_keys, key), COINS])
        return bool((rng.random() < 0.5) != self.is_flipped)

    def _corner(self) -> Array:
        """Place of the mark (H, W) bool."""
        corner = np.zeros((self.phantom.grid.height, self.phantom.grid.width), bool)
        corner[: self.mark_px[0], : self.mark_px[1]] = True
        return corner


def _check(phantom: PhantomSource, strength_gray: float, seed: int) -> None:
    """Refuse what both kinds of planted evidence cannot have."""
    if phantom.num_graders != 1:
        raise InputError("planted: the phantom has 2 graders, expected 1; set num_graders=1")
    if not 0 <= strength_gray <= 255:
        raise InputError(f"planted: strength_gray is {strength_gray}, expected 0 (ablated) to 255 gray levels")
    if not 0 <= seed <= LARGEST_VALUE:
        raise InputError(f"planted: seed is {seed}, expected 0 to {LARGEST_VALUE}")


def _number(phantom: PhantomSource, known: Set[ScanKey], key: ScanKey) -> tuple[int, int, int]:
    """What the coins of a scan depend on beside the seed: phantom's seed, subject, bscan. InputError: no such scan."""
    if key not in known:
        raise InputError(
            f"planted: no scan {key.name}; the phantom has {phantom.keys[0].name}..{phantom.keys[-1].name}"
        )
    return phantom.seed, int(key.subject[1:]), key.bscan


def _is_shown_class(class_id: int) -> bool:
    """Whether a planted class is told by the presence of the planted thing, not by its absence."""
    if class_id not in PLANTED_CLASSES:
        names = " and ".join(f"{class_id} ({CLASS_NAMES[class_id]})" for class_id in PLANTED_CLASSES)
        raise InputError(f"planted: no evidence is planted for class {class_id}; ask for {names}")
    return class_id == SHOWN_CLASS


def _planted(scan: BScan, is_shown: Array, planted: Array, strength_gray: float) -> BScan:
    """The scan with its band ISE in the columns (W,) that are shown, and brighter where planted (H, W).

    The class that a column lacks is a layer without thickness: its surfaces coincide, and none cross.
    """
    assert scan.surface_rows is not None
    rows = scan.surface_rows.copy()
    rows[BAND_MIDDLE] = np.where(is_shown, rows[BAND_BOTTOM], rows[BAND_TOP])
    brighter = np.clip(scan.image + np.float32(strength_gray), 0, 255)
    image = np.where(planted, brighter, scan.image).astype(scan.image.dtype)
    return replace(scan, image=image, surface_rows=rows)


def _notices(what: str) -> tuple[str, ...]:
    shown, hidden = (CLASS_NAMES[class_id] for class_id in PLANTED_CLASSES)
    return (f"labels of {shown} and {hidden} are coins, not anatomy; what tells them apart is {what}",)
