"""What the ordered decoders cost and gain over plain argmax.

Run `python -m benchmarks.decoding` for the cost (a minute on one core), `python -m benchmarks.decoding RUN` for what
they gain on the held-out scans of a finished run (half a minute).

Cost. Forward pass of SegNet at full width and each decoder, from logits of a noisy phantom scan on the same grid to
surface rows, on one thread, taking turns; medians over rounds of ratios within a round, the first round warms up.

Gain. Each scan is predicted once. Argmax is what `retseg evaluate` scores: classes on the scan's own grid, and the
surfaces traced in them. The others decode on the network's grid, and rows come to the scan's by `rows_on_grid`; those
called native decode probabilities that were resized (bilinear) to it first. Surface errors are mean absolute ones, in
um, pooled over scans and the columns where truth and every decoder know all surfaces; Dice is pooled over scans, of the
mask that the rows paint (columns without surfaces are background). Brackets: 95 % of 2000 bootstrap draws of subjects,
of the difference to argmax in the same draw.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from retseg.anatomy import IGNORE, NUM_CLASSES, NUM_SURFACES, SURFACE_NAMES
from retseg.bscan import Array
from retseg.commands.scored_run import choose_scans, open_run
from retseg.data.sources.phantom import PhantomSource
from retseg.evaluation.inference import evaluating, native_classes, network_input, windowed
from retseg.evaluation.labelling import Labelling
from retseg.geometry.decoding import expected_surfaces, likeliest_surfaces, rows_on_grid
from retseg.geometry.surfaces import paint_mask, trace_surfaces
from retseg.metrics.statistics import interval, resample_weights
from retseg.models.segnet import SegNet

Decoder = Callable[[Tensor], Tensor]
Seconds = dict[str, Array]
FORWARD, ARGMAX = "forward pass", "argmax"
LIMIT = 0.05


def decoders(smoothness: Sequence[float]) -> dict[str, Decoder]:
    """Each from probabilities (N, C, H, W) to rows (N, S, W), by name."""
    smooth = {
        f"likeliest, smoothness {value:g}": lambda probabilities, value=value: likeliest_surfaces(probabilities, value)
        for value in smoothness
    }
    return {
        "expectation": expected_surfaces,
        "likeliest, whole rows": lambda probabilities: likeliest_surfaces(probabilities, is_subpixel=False),
        "likeliest": likeliest_surfaces,
        **smooth,
    }


def phantom_logits(size: int, noise: float = 1.5) -> Tensor:
    """Logits (1, C, size, size) of a phantom scan: 4 for the true class, and normal noise, smooth over 3 pixels."""
    source = PhantomSource(height=size, width=size)
    rows = source.read(source.keys[0]).surface_rows
    assert rows is not None
    is_class = torch.from_numpy(paint_mask(rows, size)[None] == np.arange(NUM_CLASSES)[:, None, None])
    drawn = torch.randn(NUM_CLASSES, size, size, generator=torch.Generator().manual_seed(0))
    return (4.0 * is_class + noise * 3 * F.avg_pool2d(drawn, 3, 1, 1))[None]


def measure(
    width: int = 64, size: int = 256, rounds: int = 5, smoothness: Sequence[float] = (1.0,)
) -> dict[str, Array]:
    """Seconds (rounds,) of a forward pass and of every decoder, by name; on one thread."""
    net, image, logits = SegNet(width=width).eval(), torch.rand(1, 1, size, size), phantom_logits(size)
    contenders: dict[str, Callable[[], object]] = {
        FORWARD: lambda: net(image),
        ARGMAX: lambda: trace_surfaces(native_classes(logits, (size, size))),
    }
    for name, decode in decoders(smoothness).items():
        contenders[name] = lambda decode=decode: decode(logits.softmax(dim=1))
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        for turn in range(rounds + 1):
            for name, run in list(contenders.items())[:: 1 if turn % 2 else -1]:
                started = perf_counter()
                run()
                seconds[name].append(perf_counter() - started)
    torch.set_num_threads(threads)
    return {name: np.array(mine[1:]) for name, mine in seconds.items()}


class Sums:
    """What one decoder did on K subjects: absolute errors in um and their numbers (K, S), confusion (K, C, C)."""

    def __init__(self, num_subjects: int) -> None:
        self.errors_um = np.zeros((num_subjects, NUM_SURFACES))
        self.num_columns = np.zeros((num_subjects, NUM_SURFACES))
        self.confusion = np.zeros((num_subjects, NUM_CLASSES, NUM_CLASSES))
        self.num_missing = 0
        self.seconds: list[float] = []

    def add(self, subject: int, rows: Array, mask: Array, truth: Labelling, columns: Array, axial_um: float) -> None:
        """Add a scan: surface rows (S, W), mask (H, W); errors in columns (W,)."""
        errors_px = np.abs(rows - truth.surface_rows)[:, columns]
        self.errors_um[subject] += axial_um * errors_px.sum(axis=1)
        self.num_columns[subject] += columns.sum()
        self.num_missing += int((np.isfinite(truth.surface_rows).all(axis=0) & ~np.isfinite(rows).all(axis=0)).sum())
        known = truth.mask != IGNORE
        pairs = truth.mask[known].astype(int) * NUM_CLASSES + mask[known]
        self.confusion[subject] += np.bincount(pairs, minlength=NUM_CLASSES**2).reshape(NUM_CLASSES, NUM_CLASSES)

    def scores(self, weights: Array) -> tuple[Array, Array, Array]:
        """Errors in um per surface (B, S) and of all (B,), and mean Dice of the layers (B,), of weights (B, K)."""
        confusion = np.einsum("bk,kij->bij", weights, self.confusion)
        hits = np.einsum("bii->bi", confusion)
        dice = 2 * hits / (confusion.sum(axis=1) + confusion.sum(axis=2))
        errors_um, num_columns = weights @ self.errors_um, weights @ self.num_columns
        return errors_um / num_columns, errors_um.sum(axis=1) / num_columns.sum(axis=1), dice[:, 1:].mean(axis=1)


def compare(folder: Path, smoothness: Sequence[float]) -> tuple[str, dict[str, Sums]]:
    """The sums of every decoder on the scans that a run is judged by, and what they are, in words."""
    run = open_run(folder)
    scans = choose_scans(run, None, ())
    keys = [key for key in scans.keys if key.grader <= 1]
    subjects = sorted({key.subject for key in keys})
    named = decoders(smoothness)
    native = {f"{name}, native": named[name] for name in ("expectation", "likeliest")}
    sums = {name: Sums(len(subjects)) for name in (ARGMAX, *named, *native)}
    with torch.no_grad(), evaluating(run.net):
        for key in keys:
            scan, place = windowed(scans.source.read(key), scans.frame.window)
            truth = Labelling.of_scan(scan)
            if scans.frame.columns is not None:
                own = np.arange(place.left, place.left + place.width)
                truth = truth.within((own >= scans.frame.columns[0]) & (own < scans.frame.columns[1]))
            logits = run.net(network_input(scan, scans.frame.size))
            found: dict[str, tuple[Array, Array]] = {}
            for name in sums:
                started = perf_counter()
                found[name] = _found(logits, scan.shape, (named | native).get(name), name in native)
                sums[name].seconds.append(perf_counter() - started)
            known = [
                np.isfinite(rows).all(axis=0) for rows in (truth.surface_rows, *(one[0] for one in found.values()))
            ]
            assert scan.spacing.axial_um is not None, key.name
            for name, (rows, mask) in found.items():
                number = subjects.index(key.subject)
                sums[name].add(number, rows, mask, truth, np.all(known, axis=0), scan.spacing.axial_um)
    words = f"{folder.name}: {len(keys)} held-out scans of {len(subjects)} subjects, {scans.stamp}"
    return words, sums


def _found(logits: Tensor, shape: tuple[int, int], decode: Decoder | None, is_native: bool) -> tuple[Array, Array]:
    """Surface rows (S, W) and mask (H, W) on a scan's grid, from logits (1, C, h, w)."""
    if decode is None:
        mask = native_classes(logits, shape)
        return trace_surfaces(mask), mask
    probabilities = logits.softmax(dim=1)
    if is_native:
        probabilities = F.interpolate(probabilities, size=shape, mode="bilinear", align_corners=False)
    old_shape = (probabilities.shape[2], probabilities.shape[3])
    rows = rows_on_grid(decode(probabilities)[0].numpy(), old_shape, shape)
    mask = paint_mask(rows, shape[0])
    return rows, np.where(mask == IGNORE, 0, mask)


def print_cost(width: int, size: int, rounds: int, smoothness: Sequence[float]) -> None:
    seconds = measure(width, size, rounds, smoothness)
    print(f"SegNet, width {width}, {size} x {size}, torch {torch.__version__}, 1 thread, medians of {rounds} rounds")
    print(f"{'':<30}{'ms':>9}{'/ forward':>11}   limit {LIMIT:.0%}")
    for name, mine in seconds.items():
        ratio = float(np.median(mine / seconds[FORWARD]))
        verdict = "" if name in (FORWARD, ARGMAX) else "kept" if ratio <= LIMIT else "MISSED"
        print(f"{name:<30}{1000 * median(mine):>9.1f}{ratio:>11.2%}   {verdict}")


def print_gain(folder: Path, smoothness: Sequence[float]) -> None:
    words, sums = compare(folder, smoothness)
    print(words)
    num_subjects = len(sums[ARGMAX].errors_um)
    whole, draws = np.ones((1, num_subjects)), resample_weights(num_subjects)
    print(f"{'mean absolute error, um':<30}{'all':>7}{'less than argmax':>24}", end="")
    print("".join(f"{name:>10}" for name in SURFACE_NAMES))
    base = sums[ARGMAX].scores(whole), sums[ARGMAX].scores(draws)
    for name, mine in sums.items():
        by_surface, mean, _ = mine.scores(whole)
        low, high = interval(base[1][1] - mine.scores(draws)[1])
        gain = f"{base[0][1][0] - mean[0]:.2f} [{low:.2f}, {high:.2f}]"
        print(f"{name:<30}{mean[0]:>7.2f}{gain:>24}" + "".join(f"{one:>10.2f}" for one in by_surface[0]))
    print(f"{'mean Dice of the layers':<30}{'all':>7}{'more than argmax':>27}{'no surfaces':>13}{'ms a scan':>11}")
    for name, mine in sums.items():
        dice = mine.scores(whole)[2]
        low, high = interval(mine.scores(draws)[2] - base[1][2])
        gain = f"{dice[0] - base[0][2][0]:.4f} [{low:.4f}, {high:.4f}]"
        milliseconds = 1000 * median(mine.seconds)
        print(f"{name:<30}{dice[0]:>7.4f}{gain:>27}{mine.num_missing:>9} col{milliseconds:>11.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="*", type=Path, help="finished run folders; none: measure the cost")
    parser.add_argument("--smoothness", nargs="+", type=float, default=[1.0], help="nats a row of step")
    parser.add_argument("--width", type=int, default=64, help="channels of the first block")
    parser.add_argument("--size", type=int, default=256, help="rows and columns")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender")
    options = parser.parse_args()
    for folder in options.run:
        print_gain(folder, options.smoothness)
    if not options.run:
        print_cost(options.width, options.size, options.rounds, options.smoothness)


if __name__ == "__main__":
    main()
