"""What a run ran on: environment.json, and the hash of its weights."""

import hashlib
import os
import platform
import sys
from importlib.metadata import version
from typing import Any

import torch
from torch import nn

PACKAGES = ("torch", "lightning", "torchmetrics", "hydra-core", "numpy", "scipy", "h5py", "grad-cam", "wandb")


def describe_environment() -> dict[str, Any]:
    """Versions, machine, devices and command line, in plain types."""
    from retseg import __version__

    return {
        "retseg": __version__,
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version(name) for name in PACKAGES},
        "cpu_count": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def is_main_process() -> bool:
    """Whether this is the first of a run's processes, the one that prints and writes (Lightning sets the variables)."""
    return all(int(os.environ.get(name, "0")) == 0 for name in ("LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def weights_sha256(net: nn.Module) -> str:
    """Hash over names, shapes and bytes of all parameters and buffers: equal if and only if the weights are."""
    digest = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
