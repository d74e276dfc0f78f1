"""A large made-up set in the files of `retseg data convert`: a few phantom scans, each time shifted, under fresh noise.

No two scans are copies of each other to the audit: what a B-scan's fine texture is made of is its own noise.
"""

import json
from pathlib import Path

import h5py
import numpy as np
from scipy.ndimage import uniform_filter1d

from retseg import __version__
from retseg.anatomy import CLASS_NAMES, SURFACE_NAMES
from retseg.data.sources.hdf5_index import write_index
from retseg.data.sources.hdf5_subject import FORMAT, FORMAT_VERSION, SCAN_DTYPE
from retseg.data.sources.phantom import PhantomSource

PER_SUBJECT = 100
NUM_BASES = 20
NOISE_GRAY = 18


def write_large_set(folder: Path, num_scans: int, height: int = 64, width: int = 96, seed: int = 0) -> int:
    """Write subjects of PER_SUBJECT B-scans each, num_scans in all; their bytes on the disk."""
    folder.mkdir(parents=True)
    phantom = PhantomSource(num_subjects=2, bscans_per_subject=NUM_BASES // 2, height=height, width=width)
    bases = [phantom.read(key) for key in phantom.keys]
    images = np.stack([uniform_filter1d(base.image.astype(np.float32), 15, axis=1) for base in bases])
    rows = np.stack([base.surface_rows for base in bases if base.surface_rows is not None])
    rng = np.random.default_rng(seed)
    for number, start in enumerate(range(0, num_scans, PER_SUBJECT)):
        count = min(PER_SUBJECT, num_scans - start)
        picks, shifts = rng.integers(0, len(bases), count), rng.integers(0, width, count)
        columns = (np.arange(width) + shifts[:, None]) % width
        noise = NOISE_GRAY * rng.standard_normal((count, height, width), np.float32)
        moved = np.take_along_axis(images[picks], columns[:, None], axis=2)
        stacks = {
            "images": np.clip(moved + noise, 0, 255).astype(np.uint8),
            "surface_rows": np.take_along_axis(rows[picks], columns[:, None], axis=2).astype(np.float32),
        }
        _write_subject(folder / f"p{number:05d}.h5", stacks)
    write_index(folder)
    return sum(path.stat().st_size for path in folder.iterdir())


def _write_subject(path: Path, stacks: dict[str, np.ndarray]) -> None:
    count = len(stacks["images"])
    table = np.zeros(count, SCAN_DTYPE)
    table["grader"], table["bscan"] = 1, np.arange(count)
    table["images"] = table["surface_rows"] = np.arange(count)
    table["masks"] = table["fluids"] = -1
    table["axial_um"], table["lateral_um"] = 13.0, 59.0
    about = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "retseg_version": __version__,
        "subject": path.stem,
        "source_name": "large phantom",
        "label_origin": "exact",
        "surface_names": SURFACE_NAMES,
        "class_names": CLASS_NAMES,
        "spacing_sources": ["phantom"],
        "notices": [],
    }
    with h5py.File(path, "w") as file:
        file.create_dataset("scans", data=table)
        for name, stack in stacks.items():
            chunks = (1, *stack.shape[1:])
            file.create_dataset(name, data=stack, chunks=chunks, compression="gzip", compression_opts=1, shuffle=True)
        file.attrs["about"] = np.bytes_(json.dumps(about).encode())
