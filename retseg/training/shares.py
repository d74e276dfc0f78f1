"""Which training scans each of several processes takes, what its share of a step is, and what they agree on.

W processes with batches of B step as one process with batches of W x B does: the same scans, each once an epoch. The
last batch of an epoch may be short: its scans are dealt out, and who gets none takes a stand-in without weight.
"""

from collections.abc import Iterator, Sized

import torch
from torch import Tensor, distributed
from torch.utils.data import DistributedSampler
from torchmetrics.utilities.distributed import gather_all_tensors

from retseg.data.dataset import StandIn


class SharedBatches(DistributedSampler[int]):
    """Places of one process's scans in an epoch; over all processes each place comes once, beside stand-ins.

    The order is a permutation drawn from (seed, epoch) alone, the same whatever the number of processes.
    """

    def __init__(self, dataset: Sized, batch_size: int, num_replicas: int, rank: int, seed: int) -> None:
        super().__init__(dataset, num_replicas, rank, shuffle=True, seed=seed)  # type: ignore[arg-type]
        num_scans = len(dataset)
        num_last = num_scans % (batch_size * num_replicas)
        self._has_stand_in = 0 < num_last <= rank
        self.num_samples = len(range(rank, num_scans, num_replicas)) + self._has_stand_in

    def __iter__(self) -> Iterator[int]:
        """Places, batch after batch."""
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(len(self.dataset), generator=generator).tolist()  # type: ignore[arg-type]
        yield from order[self.rank :: self.num_replicas]
        if self._has_stand_in:
            yield StandIn(order[0])


def share_of_step(num_scans: int, device: torch.device) -> float | Tensor:
    """What a process with num_scans of a step's scans multiplies its mean loss by; 1 where it is alone.

    PyTorch takes the mean of all processes' gradients: W n / N makes it the mean over all N scans.
    """
    if num_processes() == 1:
        return 1.0
    total = torch.tensor(float(num_scans), device=device)
    distributed.all_reduce(total)
    return num_processes() * num_scans / total


def highest(number: int, device: torch.device) -> int:
    """The highest of the numbers that the processes give; its own where a process is alone."""
    if num_processes() == 1:
        return number
    found = torch.tensor(number, device=device)
    distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return int(found)


def everyones(value: Tensor) -> Tensor:
    """(W, ...) from a tensor (...) of each of W processes, in their order."""
    return torch.stack([value] if num_processes() == 1 else gather_all_tensors(value))


def num_processes() -> int:
    """Processes of this run."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1
