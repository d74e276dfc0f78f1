"""Scans as the network sees them, held in memory once they have been read."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset
from typing_extensions import NotRequired  # in typing from Python 3.11 on

from retseg.anatomy import IGNORE, NUM_CLASSES, NUM_SURFACES
from retseg.bscan import BScan, ScanKey
from retseg.data.fluid_labels import fluid_labels
from retseg.data.source import ScanSource
from retseg.data.transforms import Crop, normalise, resize
from retseg.errors import InputError
from retseg.geometry.surfaces import paint_mask, trace_surfaces

Array = npt.NDArray[Any]


TARGETS = ("surface_rows", "fluid")
"""What batches can hold beside the mask, where data.targets asks for it."""


class StandIn(int):
    """The place of a scan that only gives a process something to do: it must count in no sum."""


class Item(TypedDict):
    """One scan: image (1, H, W) float32 in 0..1, mask (H, W) int64, spacing_um (2,) axial, lateral (nan: unknown).

    Where asked for: surface_rows (S, W) float32 and fluid (H, W) int64, see `Batch`.
    """

    image: Tensor
    mask: Tensor
    spacing_um: Tensor
    subject: str
    name: str
    surface_rows: NotRequired[Tensor]
    fluid: NotRequired[Tensor]
    is_stand_in: NotRequired[bool]


class Batch(TypedDict):
    """N scans: image (N, 1, H, W), mask (N, H, W), spacing_um (N, 2), and who they are.

    surface_rows (N, S, W): sub-pixel rows on the batch's grid (row r is the upper edge of pixel r), nan where unknown;
    a surface beyond the image keeps its row, below 0 or above H. Their scans' own where the source knows them, else
    traced from the mask before it is resized.
    fluid (N, H, W): 1 fluid, 0 none, IGNORE where nobody looked.
    is_stand_in: there where the one scan counts in no sum, see `StandIn`.
    """

    image: Tensor
    mask: Tensor
    spacing_um: Tensor
    subject: list[str]
    name: list[str]
    surface_rows: NotRequired[Tensor]
    fluid: NotRequired[Tensor]
    is_stand_in: NotRequired[bool]


class _Prepared(NamedTuple):
    """Arrays of one scan as they are kept: labels in as few bytes as they need."""

    image: Array
    mask: Array
    spacing_um: Array
    surface_rows: Array | None
    fluid: Array | None


class ScanCache:
    """Prepared scans that are kept, by name, up to most_bytes in all: what comes when it is full is not kept."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes, self.num_bytes = most_bytes, 0
        self._scans: dict[ScanKey, _Prepared] = {}

    def get(self, key: ScanKey) -> _Prepared | None:
        """The prepared scan of a key, if it is kept."""
        return self._scans.get(key)

    def keep(self, key: ScanKey, prepared: _Prepared) -> None:
        """Keep a scan if there is room."""
        num_bytes = sum(array.nbytes for array in prepared if array is not None)
        if key not in self._scans and self.num_bytes + num_bytes <= self.most_bytes:
            self._scans[key] = prepared
            self.num_bytes += num_bytes


class BScanDataset(Dataset[Item]):
    """Items for a list of keys: read, cropped, painted, resized to `size` (None: as it is), normalised.

    targets: which of `TARGETS` an item holds beside its mask.
    Each scan is prepared once and kept (image float32, mask int8: 330 kB at 256 x 256), so that an epoch costs next
    to nothing. cache: where scans are kept; True keeps all, False none: they are prepared at every visit.
    """

    def __init__(
        self,
        source: ScanSource,
        keys: Sequence[ScanKey],
        size: tuple[int, int] | None = None,
        crop: Crop | None = None,
        cache: ScanCache | bool = True,
        targets: Sequence[str] = (),
    ) -> None:
        self.source, self.keys, self.size, self.crop = source, tuple(keys), size, crop
        self.targets = tuple(targets)
        self.cache = cache if isinstance(cache, ScanCache) else ScanCache(sys.maxsize if cache else 0)

    def __len__(self) -> int:
        """Number of scans."""
        return len(self.keys)

    def __getitem__(self, index: int) -> Item:
        """The scan at a position of `keys`."""
        prepared = self.cache.get(self.keys[index]) or self._prepare(index)
        item: Item = {
            "image": torch.from_numpy(prepared.image)[None],
            "mask": torch.from_numpy(prepared.mask).long(),
            "spacing_um": torch.from_numpy(prepared.spacing_um),
            "subject": self.keys[index].subject,
            "name": self.keys[index].name,
        }
        if prepared.surface_rows is not None:
            item["surface_rows"] = torch.from_numpy(prepared.surface_rows)
        if prepared.fluid is not None:
            item["fluid"] = torch.from_numpy(prepared.fluid).long()
        if isinstance(index, StandIn):
            item["is_stand_in"] = True
        return item

    def read(self, index: int, observe: Callable[[BScan], None]) -> None:
        """Read and check the scan at a position, and keep it if cache; observe sees it as the source gives it."""
        self._prepare(index, observe)

    def scan(self, index: int, observe: Callable[[BScan], None] | None = None) -> BScan:
        """The scan at a position, cropped and resized, with its mask painted: what `__getitem__` makes tensors of."""
        scan = self.source.read(self.keys[index])
        if observe is not None:
            observe(scan)
        if self.crop is not None:
            scan = self.crop(scan)
        scan = with_mask(scan)
        if "surface_rows" in self.targets:
            scan = with_surfaces(scan)
        return scan if self.size is None else resize(scan, *self.size)

    def _prepare(self, index: int, observe: Callable[[BScan], None] | None = None) -> _Prepared:
        scan = self.scan(index, observe)
        assert scan.mask is not None
        check_labels(scan)
        spacing = [scan.spacing.axial_um, scan.spacing.lateral_um]
        spacing_um = np.array([np.nan if um is None else um for um in spacing], np.float32)
        prepared = _Prepared(
            np.ascontiguousarray(normalise(scan.image)),
            np.ascontiguousarray(scan.mask),
            spacing_um,
            np.ascontiguousarray(scan.surface_rows, np.float32) if "surface_rows" in self.targets else None,
            fluid_labels(scan) if "fluid" in self.targets else None,
        )
        self.cache.keep(self.keys[index], prepared)
        return prepared


def with_mask(scan: BScan) -> BScan:
    """The scan with its mask painted from its surfaces, at its own resolution, unless the source gave a mask."""
    if scan.mask is not None:
        return scan
    if scan.surface_rows is None:
        raise InputError(f"{scan.key.name}: no surfaces and no mask; leave the scan out or annotate it")
    return replace(scan, mask=paint_mask(scan.surface_rows, scan.shape[0]))


def with_surfaces(scan: BScan) -> BScan:
    """The scan, whose mask is painted, with surfaces traced from it unless the source gave some."""
    if scan.surface_rows is not None:
        return scan
    assert scan.mask is not None
    return replace(scan, surface_rows=trace_surfaces(scan.mask))


def check_labels(scan: BScan) -> None:
    """InputError unless every label of the mask is a class or IGNORE."""
    assert scan.mask is not None
    low, high = int(scan.mask.min()), int(scan.mask.max())
    if low < IGNORE or high >= NUM_CLASSES:
        wrong = low if low < IGNORE else high
        raise InputError(
            f"{scan.key.name}: label {wrong}, expected 0..{NUM_CLASSES - 1}, or {IGNORE} (not annotated); fix the mask"
        )


def collate(items: list[Item]) -> Batch:
    """A batch of items; scans of unlike size are padded below and to the right, the padding not annotated."""
    height = max(item["image"].shape[-2] for item in items)
    width = max(item["image"].shape[-1] for item in items)

    def padded(planes: list[Tensor], value: float, below: int = height) -> Tensor:
        pads = [(0, width - plane.shape[-1], 0, below - plane.shape[-2]) for plane in planes]
        return torch.stack([F.pad(p, pad, value=value) if any(pad) else p for p, pad in zip(planes, pads, strict=True)])

    batch: Batch = {
        "image": padded([item["image"] for item in items], 0.0),
        "mask": padded([item["mask"] for item in items], IGNORE),
        "spacing_um": torch.stack([item["spacing_um"] for item in items]),
        "subject": [item["subject"] for item in items],
        "name": [item["name"] for item in items],
    }
    if "surface_rows" in items[0]:
        batch["surface_rows"] = padded([item["surface_rows"] for item in items], torch.nan, below=NUM_SURFACES)
    if "fluid" in items[0]:
        batch["fluid"] = padded([item["fluid"] for item in items], IGNORE)
    if "is_stand_in" in items[0]:
        batch["is_stand_in"] = True
    return batch
