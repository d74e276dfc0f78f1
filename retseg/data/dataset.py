"""Scans as the network sees them, held in memory once they have been read."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from retseg.anatomy import IGNORE, NUM_CLASSES
from retseg.bscan import BScan, ScanKey
from retseg.data.source import ScanSource
from retseg.data.transforms import Crop, normalise, resize
from retseg.errors import InputError
from retseg.geometry.surfaces import paint_mask

Array = npt.NDArray[Any]


class Item(TypedDict):
    """One scan: image (1, H, W) float32 in 0..1, mask (H, W) int64, spacing_um (2,) axial, lateral (nan: unknown)."""

    image: Tensor
    mask: Tensor
    spacing_um: Tensor
    subject: str
    name: str


class Batch(TypedDict):
    """N scans: image (N, 1, H, W), mask (N, H, W), spacing_um (N, 2), and who they are."""

    image: Tensor
    mask: Tensor
    spacing_um: Tensor
    subject: list[str]
    name: list[str]


class BScanDataset(Dataset[Item]):
    """Items for a list of keys: read, cropped, painted, resized to `size` (None: as it is), normalised.

    Each scan is prepared once and kept (image float32, mask int8: 330 kB at 256 x 256), so that an epoch costs next
    to nothing; cache=False prepares it at every visit instead.
    """

    def __init__(
        self,
        source: ScanSource,
        keys: Sequence[ScanKey],
        size: tuple[int, int] | None = None,
        crop: Crop | None = None,
        cache: bool = True,
    ) -> None:
        self.source, self.keys, self.size, self.crop, self.cache = source, tuple(keys), size, crop, cache
        self._prepared: dict[int, tuple[Array, Array, Array]] = {}

    def __len__(self) -> int:
        """Number of scans."""
        return len(self.keys)

    def __getitem__(self, index: int) -> Item:
        """The scan at a position of `keys`."""
        image, mask, spacing_um = self._prepared.get(index) or self._prepare(index)
        return {
            "image": torch.from_numpy(image)[None],
            "mask": torch.from_numpy(mask).long(),
            "spacing_um": torch.from_numpy(spacing_um),
            "subject": self.keys[index].subject,
            "name": self.keys[index].name,
        }

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
        return scan if self.size is None else resize(scan, *self.size)

    def _prepare(self, index: int, observe: Callable[[BScan], None] | None = None) -> tuple[Array, Array, Array]:
        scan = self.scan(index, observe)
        assert scan.mask is not None
        check_labels(scan)
        spacing = [scan.spacing.axial_um, scan.spacing.lateral_um]
        spacing_um = np.array([np.nan if um is None else um for um in spacing], np.float32)
        prepared = np.ascontiguousarray(normalise(scan.image)), np.ascontiguousarray(scan.mask), spacing_um
        if self.cache:
            self._prepared[index] = prepared
        return prepared


def with_mask(scan: BScan) -> BScan:
    """The scan with its mask painted from its surfaces, at its own resolution, unless the source gave a mask."""
    if scan.mask is not None:
        return scan
    if scan.surface_rows is None:
        raise InputError(f"{scan.key.name}: no surfaces and no mask; leave the scan out or annotate it")
    return replace(scan, mask=paint_mask(scan.surface_rows, scan.shape[0]))


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

    def padded(plane: Tensor, value: float) -> Tensor:
        pad = (0, width - plane.shape[-1], 0, height - plane.shape[-2])
        return F.pad(plane, pad, value=value) if any(pad) else plane

    return {
        "image": torch.stack([padded(item["image"], 0.0) for item in items]),
        "mask": torch.stack([padded(item["mask"], IGNORE) for item in items]),
        "spacing_um": torch.stack([item["spacing_um"] for item in items]),
        "subject": [item["subject"] for item in items],
        "name": [item["name"] for item in items],
    }
