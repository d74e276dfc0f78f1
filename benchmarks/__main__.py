"""`make bench`: every ratio that retseg promises, beside its limit, from one run on this machine (20 to 25 minutes)."""

from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks import (
    augmentation,
    decoding,
    engines,
    evaluation,
    gradcam,
    prediction,
    random_phantom,
    sources,
    training_step,
)


def main() -> None:
    console = Console()
    table = Table(title=f"torch {torch.__version__}, {torch.get_num_threads()} threads, medians", title_justify="left")
    for column in ("what", "setting", "found", "limit", ""):
        table.add_column(column, justify="right" if column in ("found", "limit") else "left")

    def row(what: str, setting: str, found: float, limit: float, at_least: bool = False) -> None:
        kept = found >= limit if at_least else found <= limit
        table.add_row(
            what, setting, f"{found:.3f}", f"{'>=' if at_least else '<='} {limit}", "kept" if kept else "MISSED"
        )

    for width in (16, 64):
        setting = f"width {width}, batch 4"
        console.print(f"training step, {setting} ...")
        found = training_step.measure(width, steps=8 if width == 16 else 3, rounds=7 if width == 16 else 5)
        row("Lightning step / bare PyTorch step", setting, found["Lightning step / bare step"], 1.02)
        row("data / epoch", setting, found["data / epoch"], 0.01)
        row("loss and metrics / step", setting, found["loss and metrics / step"], 0.03)
    for width in (16, 64):
        setting = f"width {width}, 256 x 256"
        console.print(f"Grad-CAM, {setting} ...")
        for what, ratio, limit, at_least in gradcam.promised(gradcam.measure(width)):
            row(what, setting, ratio, limit, at_least)
        peaks = gradcam.measure_memory(width, scans=2)
        peak = peaks[gradcam.OURS_DEEP] / peaks["training step"]
        row("peak memory, 7 layers / training step", setting, peak, gradcam.MEMORY_LIMIT)
    console.print("sources ...")
    seconds = sources.measure()
    row("opening 10 converted subjects, s", "110 scans", seconds["seconds to open 10 converted subjects"], 0.2)
    row("making 110 phantom scans, s", "216 x 500", seconds["seconds to make 110 phantom scans"], 30)
    console.print("augmentation and random phantoms ...")
    costs = augmentation.measure()
    share = costs[augmentation.EVERYTHING] / costs["training step"]
    row("augmentation, everything on / training step", "SegNet, width 16, batch 8", share, augmentation.LIMIT)
    share = random_phantom.measure()[random_phantom.KEPT]
    row(random_phantom.KEPT, "unet_fast, batch 4", share, random_phantom.LIMIT)
    console.print("evaluation, width 32 ...")
    found = evaluation.measure()
    row(
        "retseg evaluate / its forward passes",
        "width 32, 110 scans, everything on",
        found[evaluation.RATIO],
        evaluation.LIMIT,
    )
    tell_prediction(console, row)
    console.print(table)


def tell_prediction(console: Console, row: Callable[..., None]) -> None:
    """What `retseg predict` costs."""
    console.print("decoding, width 64 ...")
    costs = decoding.measure()
    for name, seconds in costs.items():
        if name not in (decoding.FORWARD, decoding.ARGMAX):
            share = float(np.median(seconds / costs[decoding.FORWARD]))
            row(f"{name} / forward pass", "width 64, 256 x 256", share, decoding.LIMIT)
    console.print("engines, width 32 ...")
    seconds, _ = engines.measure(width=32)
    for name, mine in seconds.items():
        if name != engines.EAGER:
            ratio = float(np.median(mine[:, 0] / seconds[engines.EAGER][:, 0]))
            console.print(f"{name} / plain PyTorch: {ratio:.3f} (the fastest is what retseg predict takes)")
    console.print("prediction of 200 scans, width 32 ...")
    found = prediction.measure(rounds=2)
    for name, limit in prediction.LIMITS.items():
        row(f"retseg predict, {name}", "width 32, 200 scans", found[name], limit)
    console.print("memory of prediction ...")
    row(prediction.MEMORY, "width 4", prediction.measure_memory()[prediction.MEMORY], prediction.MEMORY_LIMIT)


if __name__ == "__main__":
    main()
