"""Training a run again, as it was trained."""

from collections.abc import Sequence
from pathlib import Path

import torch

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
    threads = read_object(run / "environment.json").get("torch_threads")
    before = torch.get_num_threads()
    start_account(run, output, num_epochs)
    try:
        if isinstance(threads, int) and threads > 0:
            torch.set_num_threads(threads)
        train(config)
    finally:
        torch.set_num_threads(before)
