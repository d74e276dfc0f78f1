"""Training a run again, as it was trained."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from retseg.build import build_data
from retseg.commands.repeat import start_account
from retseg.commands.repeat_config import repeat_config
from retseg.commands.training import train
from retseg.errors import InputError
from retseg.evaluation.json_files import read_object


def train_again(run: Path, output: Path, data: Sequence[str], num_epochs: int | None) -> None:
    """Train a run's configuration in another folder, from its first step, with as many threads.

    InputError, before anything is written, where its data is gone.
    """
    config = repeat_config(run, output, data, num_epochs)
    try:
        build_data(config)
    except InputError as error:
        raise InputError(
            f"{run}: its data cannot be opened ({error}); say where it lies now with --data NAME=VALUE"
        ) from error
    start_account(run, output, num_epochs)
    with _threads_of(read_object(run / "environment.json")):
        train(config)


@contextmanager
def _threads_of(environment: Mapping[str, Any]) -> Iterator[None]:
    """As many threads of PyTorch and of BLAS as a run had, as far as its environment.json says."""
    before, threads = torch.get_num_threads(), environment.get("torch_threads")
    libraries = environment.get("blas") or {}
    blas = {one["threads"] for one in libraries.values() if one["kind"] == "blas"} if libraries else set()
    limit = blas.pop() if len(blas) == 1 else None  # None: left as it is
    try:
        if isinstance(threads, int) and threads > 0:
            torch.set_num_threads(threads)
        with threadpool_limits(limit, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)
