"""Threads, GPUs, the current folder, shared memory, and whether the shipped network answers as it should."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from retseg.commands.doctor_findings import Finding, note, ok, problem

SHARED_MEMORY = Path("/dev/shm")
NVIDIA_DEVICE = Path("/dev/nvidia0")
LEAST_SHARED_BYTES = 2**28
"""Of shared memory for the batches of loader workers; containers often get a quarter of it."""

FREE_BYTES, LEAST_FREE_BYTES = 2**31, 2**27
"""Free on the disk below which a note is due, and below which a run would soon end."""

SHARES = (0.5774, 0.0360, 0.0838, 0.0464, 0.0407, 0.1458, 0.0399, 0.0300)
"""Share of pixels that the shipped network gives each class (C,), on the phantom's first scan of 216 x 500."""

SHARES_OFF = 0.002
"""By which a share may be off: other processors and versions sum in other orders."""

LEAST_RIGHT = 0.93
"""Share of that scan's pixels that get their true class, at least (0.948 where the shares were taken)."""


def check_threads() -> Iterator[Finding]:
    """Threads against cores."""
    import torch

    from retseg.training.machine import cpu_facts

    facts, threads = cpu_facts(), torch.get_num_threads()
    usable = facts["usable_cores"]
    told = f"PyTorch uses {threads} of {usable} cores ({facts['model']}, {facts['instructions']})"
    if threads > usable:
        yield note("threads", f"{told}: more threads than cores are slow, set OMP_NUM_THREADS={usable}")
    else:
        yield ok("threads", told)


def check_gpus() -> Iterator[Finding]:
    """GPUs that PyTorch sees, or why it sees none."""
    import torch

    from retseg.training.machine import gpu_facts

    facts = gpu_facts()
    for device in facts["devices"]:
        yield ok("GPU", f"{device['name']}, {device['memory_bytes'] / 2**30:.0f} GiB, CUDA {facts['cuda']}")
    if facts["devices"]:
        return
    if NVIDIA_DEVICE.exists():
        why = f"PyTorch {torch.__version__} is built for CUDA {facts['cuda']}, driver: {facts['driver'] or 'unknown'}"
        yield problem("GPU", f"there is one that PyTorch does not see ({why}); update the driver or PyTorch")
    elif torch.backends.mps.is_available():
        yield ok("GPU", "Apple's (trainer.accelerator=mps)")
    else:
        yield ok("GPU", "none: training and prediction run on the processor")


def check_folder(folder: Path, what: str = "folder") -> Iterator[Finding]:
    """Whether a folder can be written, and what is free on its disk."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        yield problem(what, f"{folder} cannot be written ({error.strerror}); go to another folder, or see its rights")
    yield disk(folder, what)


def disk(folder: Path, what: str) -> Finding:
    """What is free on the disk of a folder."""
    free = shutil.disk_usage(folder).free
    told = f"{free / 2**30:.1f} GiB free for {folder}"
    if free < LEAST_FREE_BYTES:
        return problem(what, f"{told}: too little for a run; make room")
    return note(what, f"{told}: little, make room") if free < FREE_BYTES else ok(what, told)


def check_shared_memory() -> Iterator[Finding]:
    """Room for the batches that loader workers hand over."""
    if not SHARED_MEMORY.is_dir():
        return
    size = shutil.disk_usage(SHARED_MEMORY).total
    told = f"{size / 2**20:.0f} MiB in {SHARED_MEMORY}"
    if size < LEAST_SHARED_BYTES:
        yield note("shared memory", f"{told}: little for loader workers; keep data.num_workers=0, or give more")
    else:
        yield ok("shared memory", told)


def check_shipped_network() -> Iterator[Finding]:
    """The network that comes with retseg on a made-up scan, against the answer that it gave where retseg was made."""
    import torch

    from retseg.commands.open_network import open_scan_network
    from retseg.data.dataset import with_mask
    from retseg.data.sources.phantom import PhantomSource
    from retseg.data.transforms import normalise
    from retseg.inference.shipped import shipped_weights

    source = PhantomSource(num_subjects=1, bscans_per_subject=1)
    scan = with_mask(source.read(source.keys[0]))
    network = open_scan_network(shipped_weights())
    with torch.no_grad():
        classes = network.forward(torch.from_numpy(normalise(scan.image))[None, None]).argmax(1)[0].numpy()
    shares = [float((classes == number).mean()) for number in range(len(SHARES))]
    off = max(abs(share - stored) for share, stored in zip(shares, SHARES, strict=True))
    right = float((classes == scan.mask).mean())
    if off > SHARES_OFF or right < LEAST_RIGHT:
        told = (
            f"answers a made-up scan otherwise than it should (shares of classes off by {off:.4f}, {right:.1%} right)"
        )
        yield problem("shipped network", f"{told}; install retseg again: pip install --force-reinstall retseg")
    else:
        yield ok("shipped network", f"answers a made-up scan as it should: {right:.1%} of pixels right")
