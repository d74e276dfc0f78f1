"""What a run ran on: environment.json, and the hash of its weights."""

import hashlib
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from torch import nn

from retseg.evaluation.json_files import read_object, write_object
from retseg.training.installed import code_facts, package_versions
from retseg.training.machine import (
    blas_facts,
    cpu_facts,
    determinism_facts,
    gpu_facts,
    gpu_names,
    thread_facts,
)

OF_A_START = ("started", "command", "starts")
"""Facts that two starts never share."""


def describe_environment(seed: int | None = None) -> dict[str, Any]:
    """Versions, machine, modes, devices, code, seed, command line and time, in plain types."""
    from retseg import __version__

    packages, below = package_versions()
    cpu, threads = cpu_facts(), thread_facts()
    return {
        "retseg": __version__,
        "command": sys.argv,
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seed": seed,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "packages_below": below,
        "cpu_count": cpu["cores"],
        "torch_threads": threads["torch"],
        "gpus": gpu_names(),
        "cpu": cpu,
        "threads": threads,
        "blas": blas_facts(),
        "determinism": determinism_facts(),
        "gpu": gpu_facts(),
        "code": code_facts(),
    }


def record_start(path: Path, seed: int) -> None:
    """Write environment.json, or add a start to the one that is there: facts stay those of the first start.

    `starts` has an entry a start: when, the command, and what differed from the first: {fact: [first, now]}.
    """
    now = describe_environment(seed)
    start = {"started": now["started"], "command": now["command"]}
    if path.is_file():
        content = dict(read_object(path))
        # Files of before have no starts, and know less: what they do not know cannot differ.
        starts = content.get("starts") or [{**start, "started": None, "command": content.get("command"), "differs": {}}]
        content["starts"] = [*starts, {**start, "differs": differences(content, now)}]
    else:
        content = {**now, "starts": [{**start, "differs": {}}]}
    write_object(path, content)


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Facts in which two environments differ: {dotted name: [first, second]}; an absent package or variable is None.

    What only one of the two knows (a file of before has fewer facts, and named few packages) is left out.
    """
    shared = [name for name in first if name in second and name not in OF_A_START]
    ours, theirs = (dict(_facts({name: side[name] for name in shared})) for side in (first, second))
    names = sorted({*ours, *theirs})
    if "packages_below" not in shared:
        names = [name for name in names if not name.startswith("packages.") or (name in ours and name in theirs)]
    return {name: [ours.get(name), theirs.get(name)] for name in names if ours.get(name) != theirs.get(name)}


def _facts(node: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """Every single fact with its dotted name; a list is one."""
    for name, value in node.items():
        if isinstance(value, dict):
            yield from _facts(value, f"{place}{name}.")
        else:
            yield f"{place}{name}", value


def is_main_process() -> bool:
    """Whether this is the first of a run's processes, the one that prints and writes (Lightning sets the variables)."""
    return all(int(os.environ.get(name, "0")) == 0 for name in ("LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def weights_sha256(net: nn.Module) -> str:
    """Hash over names, shapes and bytes of all parameters and buffers: equal if and only if the weights are."""
    return tensors_sha256(net.state_dict())


def tensors_sha256(tensors: Mapping[str, torch.Tensor]) -> str:
    """The same of a network's tensors by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
