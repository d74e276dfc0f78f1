"""Sums of an epoch that is stopped midway: its checkpoint keeps them, so that its row of metrics.csv is whole."""

import warnings
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torchmetrics import Metric

from retseg.training.shares import everyones

KEY = "epoch_so_far"
"""In a checkpoint that was written in mid-epoch: {metric: {state: (W, ...)}}, a row of each of W processes."""

Sums = Mapping[str, Mapping[str, Tensor]]


def sums_so_far(metrics: Mapping[str, Metric]) -> dict[str, dict[str, Tensor]]:
    """States of metrics, (W, ...) from W processes, all of which have to ask."""
    return {
        name: {state: everyones(value) for state, value in metric.metric_state.items()}  # type: ignore[arg-type]
        for name, metric in metrics.items()
    }


def take_up(metrics: Mapping[str, Metric], sums: Sums, rank: int, num_processes: int) -> None:
    """Add such sums to metrics whose states are sums: its own to each process; of more processes to some of fewer."""
    for name, states in sums.items():
        num_rows = min(len(rows) for rows in states.values())
        for row in range(rank, num_rows, num_processes):
            metric = metrics[name]
            metric.merge_state({state: rows[row].to(metric.device) for state, rows in states.items()})
            metric._update_count += 1  # it would warn that it has seen nothing, where all that is left is a stand-in


def is_mid_epoch(checkpoint: Mapping[str, Any]) -> bool:
    """Whether Lightning wrote a checkpoint between two steps of an epoch."""
    progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    return not progress["is_last_batch"] and progress["current"]["ready"] > 0


def warn_of_lost_sums(epoch: int) -> None:
    """Say what a checkpoint of an older retseg does not hold. epoch: counted from 1."""
    text = (
        f"metrics.csv: the training columns of epoch {epoch} will be of the steps after the stop alone, for the "
        "checkpoint is of an older retseg; weights and validation are the undisturbed ones"
    )
    warnings.warn_explicit(text, UserWarning, filename="retseg", lineno=0)
