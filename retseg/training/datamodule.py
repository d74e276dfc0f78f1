"""Batches of B-scans for a trainer: which scans train and validate, in which order, from which source."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from lightning import LightningDataModule
from lightning.pytorch.overrides.distributed import UnrepeatedDistributedSampler
from torch.utils.data import DataLoader

from retseg.bscan import BScan
from retseg.data.dataset import TARGETS, Batch, BScanDataset, Item, ScanCache, collate
from retseg.data.source import ScanSource
from retseg.data.splits import Split, Splitter
from retseg.data.transforms import Crop
from retseg.errors import InputError
from retseg.training.shares import SharedBatches

CACHE_BYTES = 2 * 1024**3
"""Scans as they are kept with cache=auto: 6,500 of 256 x 256."""

MOST_CHECKED = 64
"""Training and validation scans each that are read before the first step of a set too large to be read whole."""

MOST_SCORED = 2000
"""Training scans on which the best checkpoint is scored when training has ended."""


class ResumableLoader(DataLoader[Item]):
    """A loader that goes on in the middle of an epoch: its state is the number of batches handed out."""

    _done = 0
    _skip = 0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # DataLoader names its own iterator class
        """Batches of an epoch; the first epoch after `load_state_dict` starts behind those already handed out."""
        skip, self._skip = self._skip, 0
        self._done = skip
        for number, batch in enumerate(super().__iter__()):
            if number >= skip:
                self._done += 1
                yield batch

    def state_dict(self) -> dict[str, Any]:
        """Batches handed out in this epoch, 0 when it is over."""
        return {"done": self._done % len(self)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Start the next epoch behind the batches of a saved state."""
        self._skip = state["done"]


class OctDataModule(LightningDataModule):
    """Batches of `source`, split by `split`, cropped by `crop`, resized to `size` (H, W).

    size None keeps every scan as it is; scans of unlike size in a batch are padded, the padding not annotated.
    targets: what batches hold beside the mask, of "surface_rows" and "fluid", see `Batch`.
    cache: scans are kept once they have been prepared; "auto": those of the first CACHE_BYTES a process, shared among
    its loader workers, false: none. What is not kept is read at every visit.
    The training order is a permutation drawn from (seed, epoch) alone, whatever the number of workers.
    """

    def __init__(
        self,
        source: ScanSource,
        split: Splitter,
        batch_size: int = 32,
        size: tuple[int, int] | None = (256, 256),
        crop: Crop | None = None,
        num_workers: int = 0,
        seed: int = 0,
        cache: Literal["auto"] | bool = True,
        targets: Sequence[str] = (),
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise InputError(f"data.batch_size: {batch_size}, expected 1 or more")
        if num_workers < 0:
            raise InputError(f"data.num_workers: {num_workers}, expected 0 or more")
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise InputError(f"data.size: {list(size)}, expected two numbers of pixels, height and width, or null")
        if cache not in ("auto", True, False):
            raise InputError(f"data.cache: {cache!r}, expected auto, true or false")
        for target in targets:
            if target not in TARGETS:
                raise InputError(f"data.targets: {target!r} is none of {', '.join(TARGETS)}; choose among them")
        self.targets = tuple(targets)
        self.source, self.batch_size, self.num_workers, self.seed = source, batch_size, num_workers, seed
        self.split: Split = split(source.keys)
        image_size = None if size is None else (size[0], size[1])
        # Each worker fills one of its own.
        most_bytes = {"auto": CACHE_BYTES // max(num_workers, 1), True: sys.maxsize, False: 0}[cache]
        kept = ScanCache(most_bytes)
        self.train_dataset = BScanDataset(source, self.split.train, image_size, crop, kept, self.targets)
        self.val_dataset = BScanDataset(source, self.split.val, image_size, crop, kept, self.targets)

    def read_all(self, observe: Callable[[BScan], None] = lambda _: None) -> None:
        """Read and check every scan before the first step; observe sees each, once, as its source gives it.

        Scans that are kept for a test are read too, for observe alone: no batch holds them.
        InputError: data.targets asks for fluid, and nobody looked for any in the scans that train.
        """
        self._read(1, 1, observe)
        for key in self.split.test:
            observe(self.source.read(key))

    def read_some(self) -> int:
        """Read and check at most MOST_CHECKED scans each that train and validate, evenly spaced; their number."""
        steps = [-(-len(keys) // MOST_CHECKED) for keys in (self.split.train, self.split.val)]
        return self._read(steps[0], steps[1], lambda _: None)

    def _read(self, train_step: int, val_step: int, observe: Callable[[BScan], None]) -> int:
        num_looked = 0

        def counted(scan: BScan) -> None:
            nonlocal num_looked
            num_looked += scan.fluid is not None
            observe(scan)

        train, val = range(0, len(self.train_dataset), train_step), range(0, len(self.val_dataset), val_step)
        for index in train:
            self.train_dataset.read(index, counted)
        if "fluid" in self.targets and num_looked == 0:
            some = "" if train_step == 1 else f", of {len(train)} looked at,"
            raise InputError(
                f"data.targets: {self.source.name} says of no scan that trains{some} where fluid is; switch fluid on "
                "in the source (data.source.fluid=true, where it has that option), or leave it out of data.targets"
            )
        for index in val:
            self.val_dataset.read(index, observe)
        return len(train) + len(val)

    @property
    def num_scans(self) -> int:
        """Scans of the split, those kept for a test included."""
        return len(self.split.train) + len(self.split.val) + len(self.split.test)

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled batches of the training scans; under several processes those of this one, see `SharedBatches`."""
        sampler = SharedBatches(self.train_dataset, self.batch_size, self._world_size, self._rank, self.seed)
        return ResumableLoader(self.train_dataset, sampler=sampler, **self._loader_settings)

    def val_dataloader(self) -> DataLoader[Item]:
        """Batches of the validation scans in their order; under several devices no scan comes twice."""
        sampler: UnrepeatedDistributedSampler = UnrepeatedDistributedSampler(
            self.val_dataset, num_replicas=self._world_size, rank=self._rank, shuffle=False
        )
        return DataLoader(self.val_dataset, sampler=sampler, **self._loader_settings)

    def scoring_loaders(self) -> tuple[DataLoader[Item], DataLoader[Item]]:
        """Training and validation scans for scores at the end, all in this process, in batches as large as a step's.

        Of more than MOST_SCORED training scans so many are taken, evenly spaced among the sorted keys.
        """
        num_train = len(self.train_dataset)
        order = SharedBatches(self.train_dataset, self.batch_size, 1, 0, self.seed)
        step = -(-num_train // MOST_SCORED)
        places = [place for place in order if place % step == 0]
        settings = self._loader_settings | {"batch_size": self.batch_size * self._world_size}
        train: DataLoader[Item] = DataLoader(self.train_dataset, sampler=places, **settings)
        return train, DataLoader(self.val_dataset, **settings)

    @property
    def _loader_settings(self) -> dict[str, Any]:
        return {
            "batch_size": self.batch_size,
            "collate_fn": collate,
            "num_workers": self.num_workers,
            "persistent_workers": self.num_workers > 0,
        }

    @property
    def _world_size(self) -> int:
        return self.trainer.world_size if self.trainer else 1

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer else 0
