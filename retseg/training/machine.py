"""The machine as far as it decides sums: processor, threads, libraries of linear algebra, GPUs, deterministic modes."""

import os
import platform
from pathlib import Path
from typing import Any

import torch

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "MKL_CBWR",
    "KMP_AFFINITY",
    "ONEDNN_MAX_CPU_ISA",
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_TF32_OVERRIDE",
    "PYTHONHASHSEED",
)
"""Environment variables that decide how sums are split, or which instructions make them."""

_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def cpu_facts() -> dict[str, Any]:
    """Model, cores of the machine, cores that this process may use, and the instructions that PyTorch uses."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "model": _cpu_model(),
        "cores": os.cpu_count(),
        "usable_cores": usable,
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def thread_facts() -> dict[str, Any]:
    """Threads of PyTorch, within and between operations, and the variables that are set."""
    return {
        "torch": torch.get_num_threads(),
        "torch_between_operations": torch.get_num_interop_threads(),
        "variables": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
    }


def blas_facts() -> dict[str, dict[str, Any]]:
    """Libraries of linear algebra and of threads that are loaded, by name and version: kind, threads, instructions."""
    from threadpoolctl import threadpool_info

    return {
        f"{one['internal_api']} {one['version'] or ''}".strip(): {
            "kind": one["user_api"],
            "threads": one["num_threads"],
            "instructions": one.get("architecture"),
        }
        for one in sorted(threadpool_info(), key=lambda one: str(one["filepath"]))
    }


def determinism_facts() -> dict[str, Any]:
    """Modes of PyTorch that decide whether the same sums are made in the same order."""
    return {
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
    }


def gpu_names() -> list[str]:
    """Names of the GPUs that PyTorch sees."""
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def gpu_facts() -> dict[str, Any]:
    """GPUs with memory and capability, the CUDA and cuDNN that PyTorch was built with, the driver; None for absent."""
    devices = []
    for index in range(torch.cuda.device_count()):
        found = torch.cuda.get_device_properties(index)
        capability = f"{found.major}.{found.minor}"
        devices.append({"name": found.name, "memory_bytes": found.total_memory, "capability": capability})
    cudnn = torch.backends.cudnn.version() if devices else None  # type: ignore[no-untyped-call]
    return {
        "devices": devices,
        "cuda": torch.version.cuda,
        "cudnn": cudnn,
        "driver": _driver(),
    }


def _driver() -> str | None:
    """The first line of what the driver's own file says; Linux alone has one."""
    try:
        return _NVIDIA_DRIVER.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError):
        return None
