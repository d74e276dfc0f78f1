"""A run of several processes (one a device): too few scans for them, and one of them lost.

data.batch_size is each process's own: W processes step on W times as many scans, as one process with W times the batch.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from lightning import Trainer

from retseg.errors import InputError, one_line
from retseg.training.datamodule import OctDataModule

LOST = ("gloo", "nccl", "connection closed by peer", "connection reset by peer", "broken pipe", "socket timeout")
"""Words in what PyTorch says where another process no longer answers."""


def refuse_too_few_scans(trainer: Trainer, data: OctDataModule) -> None:
    """InputError where a process would have no scan at all."""
    for side, num_scans in (("training", len(data.split.train)), ("validation", len(data.split.val))):
        if num_scans < trainer.world_size:
            raise InputError(
                f"trainer.devices: {trainer.world_size} processes for {num_scans} {side} scans, expected at least one "
                f"scan for each; take at most {num_scans} devices"
            )


@contextmanager
def lost_process_told(trainer: Trainer, run_dir: Path) -> Iterator[None]:
    """InputError in the place of what PyTorch says where another process of the run has gone.

    A process that has died is noticed at the next step; one that hangs after 30 minutes (PyTorch's timeout).
    """
    try:
        yield
    except RuntimeError as error:
        reason = one_line(error)
        is_lost = isinstance(error, torch.distributed.DistError) or any(word in reason.lower() for word in LOST)
        if trainer.world_size == 1 or not is_lost:
            raise
        raise InputError(
            f"process {trainer.global_rank} of {trainer.world_size}: another process of this run has gone "
            f"({reason:.120}); see what it said, then go on with resume={run_dir}"
        ) from error
