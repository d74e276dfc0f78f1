"""How dear is Grad-CAM of all 8 classes? Against a bare forward pass, its arithmetic floor and pytorch-grad-cam.

Run `python -m benchmarks.gradcam [--width 64] [--size 256] [--rounds 8]`; one core is busy for about 5 minutes
at width 64 and for 1 at width 16 (`--width 16`); less on more cores.

Time. The contenders take turns in every round, back and forth, and the ratios are medians over rounds of ratios within
a round, so that a busy machine disturbs them alike; the first round warms up.
- 2 layers: the softmax and the last decoder layer (conv2d_20, conv2d_19). 7 layers: these, the second convolution of
  every decoder block, and the bottleneck (conv2d_17, 15, 13, 11, 9).
- Floor: a forward pass, recording a graph from the bottleneck on, and for each class one backward pass from the sum of
  its probability to the bottleneck, with all parameters frozen; no maps at all. retseg can go below it, because it
  leaves out what the floor's backward passes compute for skip connections that nobody asks about.
- pytorch-grad-cam computes one map a call, always from a whole forward and a whole backward pass: a round has one call,
  of another class and layer each, counted 16 and 56 times.

Memory. Peak resident memory of a process of its own (VmHWM, reset before; Linux), less what it held when network and
scans were there: Grad-CAM against one training step (forward and backward pass, Adam) of the same scans, 4 by default.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import SemanticSegmentationTarget
from torch import Tensor, nn

from retseg.anatomy import NUM_CLASSES
from retseg.explain.engine import explain
from retseg.explain.methods import METHODS
from retseg.losses import CrossEntropyDice
from retseg.models.segnet import SegNet, Upsample

LAST_LAYERS = ["conv2d_20", "conv2d_19"]
LAYERS = [*LAST_LAYERS, "conv2d_17", "conv2d_15", "conv2d_13", "conv2d_11", "conv2d_9"]
FORWARD = "bare forward pass"
FLOOR = "floor: forward, 8 backward passes to the bottleneck"
OURS = "retseg, 8 classes x 2 layers"
OURS_DEEP = "retseg, 8 classes x 7 layers"
OURS_ALL = f"retseg, 8 classes x 7 layers x {len(METHODS)} methods"
THEIRS = "pytorch-grad-cam, 16 maps"
THEIRS_DEEP = "pytorch-grad-cam, 56 maps"
BASES = (FORWARD, FLOOR, OURS, OURS_DEEP)

LIMITS = (
    (OURS, FORWARD, 1.15, False),
    (THEIRS, OURS, 30.0, True),
    (OURS_DEEP, FLOOR, 1.2, False),
    (THEIRS_DEEP, OURS_DEEP, 20.0, True),
)
"""Ratios that are promised: what, over what, limit, and whether it is a lower limit."""
MEMORY_LIMIT = 1.5

Row = dict[str, str | float]


def measure(width: int = 64, size: int = 256, rounds: int = 8, upsample: Upsample = "unpool") -> list[Row]:
    """One row per contender: name, median seconds, and the median ratios to each of BASES (`times ...`)."""
    torch.manual_seed(0)
    net, image = SegNet(width=width, upsample=upsample).eval(), torch.rand(1, 1, size, size)
    with_softmax = nn.Sequential(net, nn.Softmax(dim=1))
    modules = [with_softmax[1], *(net.get_submodule(net.layer_aliases[layer]) for layer in LAYERS[1:])]

    def forward(turn: int) -> None:
        with torch.no_grad():
            net(image)

    contenders: dict[str, Callable[[int], object]] = {
        FORWARD: forward,
        OURS: lambda turn: explain(net, image, LAST_LAYERS),
        FLOOR: lambda turn: _floor(net, image),
        OURS_DEEP: lambda turn: explain(net, image, LAYERS),
        OURS_ALL: lambda turn: explain(net, image, LAYERS, METHODS),
        THEIRS: lambda turn: _theirs(with_softmax, image, modules[turn % len(modules)], turn % NUM_CLASSES),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        # Back and forth, so that nobody always follows the same neighbour.
        for name, run in list(contenders.items())[:: 1 if turn % 2 else -1]:
            started = perf_counter()
            run(turn)
            seconds[name].append(perf_counter() - started)
    one_map = seconds.pop(THEIRS)
    seconds |= {THEIRS: [16 * one for one in one_map], THEIRS_DEEP: [56 * one for one in one_map]}
    rows = []
    for name, mine in seconds.items():
        row: Row = {"what": name, "seconds": median(mine[1:])}
        for other in BASES:
            row[f"times {other}"] = median(a / b for a, b in zip(mine[1:], seconds[other][1:], strict=True))
        rows.append(row)
    return rows


def promised(rows: list[Row]) -> list[tuple[str, float, float, bool]]:
    """What each promise of LIMITS came to: `what / over what`, ratio, limit, whether it is a lower limit."""
    by_name = {str(row["what"]): row for row in rows}
    return [
        (f"{what} / {base}", float(by_name[what][f"times {base}"]), limit, at_least)
        for what, base, limit, at_least in LIMITS
    ]


def _floor(net: nn.Module, image: Tensor) -> None:
    """What plain autograd needs that goes back class by class, with frozen parameters, thawed afterwards."""
    leaves: list[Tensor] = []

    def start(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        torch.set_grad_enabled(True)
        leaves.append(output.detach().requires_grad_())
        return leaves[0]

    hook = net.encoder5.relu2.register_forward_hook(start)  # type: ignore[union-attr]
    net.requires_grad_(False)
    with torch.no_grad():
        logits = net(image)
    hook.remove()
    totals = logits.softmax(1).sum((0, 2, 3))
    for class_id in range(NUM_CLASSES):
        torch.autograd.grad(totals[class_id], leaves, retain_graph=class_id + 1 < NUM_CLASSES)
    net.requires_grad_(True)


def _theirs(model: nn.Module, image: Tensor, layer: nn.Module, class_id: int) -> None:
    """One map of pytorch-grad-cam for the softmax score of one class over the whole image."""
    everywhere = np.ones(tuple(image.shape[2:]), np.float32)
    with GradCAM(model, [layer]) as cam:
        cam(image, [SemanticSegmentationTarget(class_id, everywhere)])


MEMORY = ("training step", OURS, OURS_DEEP, OURS_ALL)


def measure_memory(width: int = 64, size: int = 256, scans: int = 4) -> dict[str, float]:
    """Peak MiB above what network and scans hold, of each of MEMORY, in a process of its own."""
    found = {}
    for what in MEMORY:
        call = [sys.executable, "-m", "benchmarks.gradcam", "--memory-of", what]
        settings = ["--width", str(width), "--size", str(size), "--scans", str(scans)]
        found[what] = float(subprocess.run([*call, *settings], check=True, capture_output=True, text=True).stdout)
    return found


def _peak_mib(what: str, width: int, size: int, scans: int) -> float:
    """Peak MiB of this process above what it holds with the network and the scans."""
    net, image = SegNet(width=width), torch.rand(scans, 1, size, size)
    mask = torch.randint(0, NUM_CLASSES, (scans, size, size))
    loss, optimizer = CrossEntropyDice(), torch.optim.Adam(net.parameters())
    explain(net, image[:, :, :32, :32], LAYERS)  # what the first pass sets up once is not counted
    Path("/proc/self/clear_refs").write_text("5")
    held = _resident_mib("VmRSS")
    if what == "training step":
        loss(net(image), mask).backward()
        optimizer.step()
    else:
        explain(net, image, LAST_LAYERS if what == OURS else LAYERS, METHODS if what == OURS_ALL else ("gradcam",))
    return _resident_mib("VmHWM") - held


def _resident_mib(field: str) -> float:
    """VmRSS, the resident memory of this process now, or VmHWM, its peak since the reset."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64, help="channels of the first block")
    parser.add_argument("--size", type=int, default=256, help="rows and columns")
    parser.add_argument("--rounds", type=int, default=8, help="turns of each contender")
    parser.add_argument("--upsample", default="unpool", choices=["unpool", "transpose", "hybrid"])
    parser.add_argument("--scans", type=int, default=4, help="scans at once where memory is measured")
    parser.add_argument("--memory-of", choices=MEMORY, help="print the peak MiB of this one in this process, and end")
    options = parser.parse_args()
    if options.memory_of:
        print(_peak_mib(options.memory_of, options.width, options.size, options.scans))
        return
    rows = measure(options.width, options.size, options.rounds, options.upsample)
    print(f"SegNet {options.upsample}, width {options.width}, {options.size} x {options.size}, ", end="")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, medians of {options.rounds} rounds")
    print(f"{'':<52}{'seconds':>9}{'/ forward':>11}{'/ floor':>9}{'/ 2 layers':>12}{'/ 7 layers':>12}")
    for row in rows:
        ratios = [float(row[f"times {other}"]) for other in BASES]
        print(f"{row['what']:<52}{row['seconds']:>9.3f}{ratios[0]:>11.2f}{ratios[1]:>9.2f}", end="")
        print(f"{ratios[2]:>12.2f}{ratios[3]:>12.2f}")
    for what, found, limit, at_least in promised(rows):
        kept = found >= limit if at_least else found <= limit
        print(f"{what}: {found:.2f} ({'>=' if at_least else '<='} {limit}) {'kept' if kept else 'MISSED'}")
    peaks = measure_memory(options.width, options.size, options.scans)
    for what, mib in peaks.items():
        ratio = mib / peaks["training step"]
        verdict = "kept" if ratio <= MEMORY_LIMIT else "MISSED"
        print(f"peak memory, {options.scans} scans, {what}: {mib:.0f} MiB, {ratio:.2f} of a training step, ", end="")
        print(f"limit {MEMORY_LIMIT}, {verdict}")


if __name__ == "__main__":
    main()
