"""What `retseg predict` costs beside its forward passes, and what memory it takes.

Run `python -m benchmarks.prediction [--width 32] [--scans 200] [--rounds 3]`, or with `--memory` for the memory.

Time: folders of 50 phantom B-scans each as PNG files of 216 x 500, read as volumes, and a network that was never
trained. A round is the forward passes alone (the very windows, in memory, side by side as prediction runs them), then
the command with masks, surfaces and tables, then with every output. Medians of ratios within a round; the first
round warms up. What is written is synced to the disk, so a slow disk counts.

Memory: peak resident memory of the command as a process of its own, over 50 and over 2,000 PNG files (50 phantom scans,
linked under other names), at a narrow width.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch
from PIL import Image

from benchmarks.evaluation import make_run
from retseg.bscan import BScan, ScanKey, Spacing
from retseg.commands.open_network import open_scan_network
from retseg.commands.prediction import Call, predict_all
from retseg.data.sources.phantom import PhantomSource
from retseg.evaluation.inference import network_input
from retseg.evaluation.parallel import in_order

TABLES, EVERYTHING = "masks, surfaces, tables / forward passes", "every output / forward passes"
LIMITS = {TABLES: 1.3, EVERYTHING: 2.0}
MEMORY, MEMORY_LIMIT = "peak memory, 2000 scans / 50 scans", 1.1
BSCANS = 50


def write_scans(folder: Path, num_scans: int) -> list[np.ndarray]:
    """Phantom B-scans as PNG files, BSCANS in each of several folders; the images."""
    phantom = PhantomSource(num_subjects=max(num_scans // BSCANS, 2), bscans_per_subject=BSCANS)
    images = []
    for key in sorted(phantom.keys, key=lambda key: (key.subject, key.bscan))[:num_scans]:
        image = np.clip(np.rint(phantom.read(ScanKey(key.grader, key.subject, key.bscan)).image), 0, 255)
        images.append(image.astype(np.uint8))
        (folder / key.subject).mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[-1]).save(folder / key.subject / f"b{key.bscan:02d}.png")
    return images


def measure(width: int = 32, num_scans: int = 200, rounds: int = 3) -> dict[str, float]:
    """Medians over rounds of the ratios in LIMITS, and the seconds of the forward passes."""
    ratios: dict[str, list[float]] = {TABLES: [], EVERYTHING: [], "seconds of forward passes": []}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run = make_run(folder, width, 20)
        images = write_scans(folder / "scans", num_scans)
        network = open_scan_network(run)
        size = network.card.size
        assert size is not None
        pixels = Spacing(3.87, 11.33, "user")
        call = Call(
            paths=(folder / "scans",), output=folder / "out", networks=(run,), spacing="3.87,11.33",
            bscan_distance=123.0, is_stack=True, is_overwriting=True, is_forced=True, quiet=True,
        )  # fmt: skip
        seen = [network_input(_scan(image, pixels), size) for image in images]

        def one(image: torch.Tensor) -> None:
            with torch.inference_mode():  # of each thread its own
                network.forward(image)

        def forward() -> None:
            list(in_order(one, seen, os.cpu_count()))

        for number in range(rounds):
            alone = _seconds(forward)
            tables = _seconds(lambda: predict_all(replace(call, save=("mask", "surfaces", "thickness", "tables"))))
            whole = _seconds(lambda: predict_all(replace(call, save=("all",))))
            if number or rounds == 1:
                ratios[TABLES].append(tables / alone)
                ratios[EVERYTHING].append(whole / alone)
                ratios["seconds of forward passes"].append(alone)
    return {name: median(values) for name, values in ratios.items()}


def measure_memory(width: int = 4) -> dict[str, float]:
    """Peak resident MiB of the command over 50 and over 2000 scans, and their ratio."""
    peaks = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run = make_run(folder, width, 20)
        write_scans(folder / "first", 50)
        files = sorted((folder / "first").rglob("*.png"))
        for count in (50, 2000):
            scans = folder / f"scans_{count}"
            scans.mkdir()
            for number in range(count):
                (scans / f"{number:04d}.png").hardlink_to(files[number % len(files)])
            peaks[f"MiB, {count} scans"] = _peak_mib(scans, run, folder / f"out_{count}")
    few, many = peaks.values()
    return {**peaks, MEMORY: many / few}


def _peak_mib(scans: Path, run: Path, output: Path) -> float:
    code = (
        "import json, resource, sys; from pathlib import Path;"
        "from retseg.commands.prediction import Call, predict_all;"
        "scans, run, out = map(Path, sys.argv[1:]);"
        "predict_all(Call((scans,), out, (run,), spacing='3.87,11.33', is_forced=True, quiet=True));"
        "print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))"
    )
    command = [sys.executable, "-c", code, str(scans), str(run), str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])) / 1024


def _scan(image: np.ndarray, spacing: Spacing) -> BScan:
    return BScan(ScanKey(0, "", 0), image, spacing=spacing)


def _seconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--scans", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    found = measure_memory() if options.memory else measure(options.width, options.scans, options.rounds)
    for name, value in found.items():
        limit = LIMITS.get(name, MEMORY_LIMIT if name == MEMORY else None)
        print(f"{name}: {value:.3f}" + (f" (limit {limit})" if limit else ""))


if __name__ == "__main__":
    main()
