"""What the quality gate of `retseg predict` finds, and how often it cries wolf.

Run `python -m benchmarks.quality_gate` (before the network, on phantom scans), with `--duke FOLDER` on real scans too,
and with `--run RUN ...` also after the network: surfaces and distance, on the held-out scans of finished runs.

Faults are planted by `retseg.inference.planted_faults`, a good scan each. A hit is a scan with the level check or fail;
"by" names the rules that spoke, and how often. False alarms are those of clean scans. The limits are constants of the
package, chosen on phantom scans of seed 0 and with the ranges of all 110 Duke scans in view: figures of the phantom
(other seeds here) are blind, those of Duke scans are not, whichever half of the subjects is looked at.
After the network the reference is fitted on the run's training scans and everything reported on held-out subjects. The
limits on surfaces come from labels; those on confidence and steps were chosen with predictions of such runs in view.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch

from retseg.bscan import Array, BScan, Spacing
from retseg.commands.scored_run import choose_scans, open_run
from retseg.data.readers.volume import RawBScan
from retseg.data.source import ScanSource
from retseg.data.sources.duke import DukeSource
from retseg.data.sources.phantom import PhantomSource
from retseg.evaluation.inference import Frame, evaluating, network_input, windowed
from retseg.geometry.decoding import likeliest_surfaces, rows_on_grid
from retseg.inference.answer import column_confidence
from retseg.inference.planted_faults import KINDS, SEVERITIES, plant, plant_en_face
from retseg.inference.predicted import Finding, worst
from retseg.inference.quality_image import look_at_image
from retseg.inference.quality_surfaces import look_at_surfaces
from retseg.inference.training_distance import fit_reference, look_at_distance, training_features

Findings = tuple[Finding, ...]
CLEAN = "clean"


class Counts:
    """Verdicts and rules by kind."""

    def __init__(self) -> None:
        self.levels: dict[str, Counter[str]] = {}
        self.rules: dict[str, Counter[str]] = {}

    def add(self, kind: str, findings: Findings) -> None:
        """Count a scan."""
        self.levels.setdefault(kind, Counter())[worst(findings)] += 1
        self.rules.setdefault(kind, Counter()).update({finding.rule for finding in findings})

    def print(self, title: str) -> None:
        """A line a kind, and how many gross faults were found altogether."""
        print(f"\n{title}\n{'':<30}{'scans':>6}{'check':>7}{'fail':>7}{'found':>7}   by")
        gross = [0, 0]
        for kind, levels in self.levels.items():
            num, check, fail = levels.total(), levels["check"], levels["fail"]
            rules = ", ".join(f"{rule} {count / num:.0%}" for rule, count in self.rules[kind].most_common(4))
            print(f"{kind:<30}{num:>6}{check / num:>7.0%}{fail / num:>7.0%}{(check + fail) / num:>7.0%}   {rules}")
            if kind != CLEAN and not kind.endswith(SEVERITIES[0]):
                gross = [gross[0] + check + fail, gross[1] + num]
        if gross[1]:
            print(f"gross faults found: {gross[0]} of {gross[1]}, {gross[0] / gross[1]:.1%}")


def planted(scans: Sequence[BScan], seed: int) -> list[tuple[str, BScan, RawBScan]]:
    """Clean scans, then each kind in each severity: its name, the scan it comes from, and the pixels."""
    rng = np.random.default_rng(seed)
    found = [(CLEAN, scan, RawBScan(scan.image)) for scan in scans]
    for kind in KINDS:
        for severity in SEVERITIES:
            found += [(f"{kind}, {severity}", scan, plant(scan.image, kind, rng, severity)) for scan in scans]
    return found


def en_face(seed: int, num_subjects: int = 3) -> list[tuple[str, RawBScan]]:
    """En-face pictures of dense phantom volumes, their B-scans moved to one depth and one brightness."""
    source = PhantomSource(num_subjects=num_subjects, bscans_per_subject=97, bscan_spacing_um=60, seed=seed)
    rng, found = np.random.default_rng(seed), []
    for number in range(1, num_subjects + 1):
        planes = []
        for key in source.keys:
            if key.subject == f"s{number:02d}":
                scan = source.read(key)
                assert scan.surface_rows is not None
                image = np.roll(scan.image, 150 - round(float(scan.surface_rows[-1].mean())), axis=0)
                planes.append(image * (55 / image.mean()))
        volume = np.stack(planes)
        found.append(("en-face projection", plant_en_face(volume, rng, True)))
        found += [("en-face slice", plant_en_face(volume, rng, False)) for _ in range(4)]
    return found


def print_before(name: str, source: ScanSource, every: int, is_phantom: bool) -> None:
    """Rules on pixels: the odd subjects' clean scans, then everything on the even ones."""
    counts, seconds = Counts(), []
    scans = [source.read(key) for key in source.keys if key.grader <= 1]
    odd = [scan for scan in scans if int(scan.key.subject[1:]) % 2]
    even = [scan for scan in scans if not int(scan.key.subject[1:]) % 2]
    chosen_on = Counter(worst(look_at_image(RawBScan(scan.image), scan.spacing)) for scan in odd)
    for scan in even:
        started = perf_counter()
        counts.add(CLEAN, look_at_image(RawBScan(scan.image), scan.spacing))
        seconds.append(perf_counter() - started)
    for kind, scan, raw in planted(even[::every], seed=5):
        if kind != CLEAN:
            counts.add(kind, look_at_image(raw, scan.spacing))
    for kind, raw in en_face(seed=5) if is_phantom else ():
        counts.add(kind, look_at_image(raw, Spacing()))
    counts.print(f"before the network, {name}, subjects of even number, {even[0].shape} px")
    print(f"clean scans of odd number: {dict(chosen_on)}; {1000 * median(seconds):.2f} ms a scan, median")


def _looked_at(net: torch.nn.Module, frame: Frame, scan: BScan) -> tuple[Array, Array, Array]:
    """Surface rows (S, W) on the scan, confidence (W,) with nan outside the window, and features (F,)."""
    part, place = windowed(scan, frame.window)
    seen = network_input(part, frame.size)
    with torch.inference_mode():
        probabilities = net(seen).softmax(dim=1)
        rows = likeliest_surfaces(probabilities)
        confidence = column_confidence(probabilities, rows)
    old = (probabilities.shape[2], probabilities.shape[3])
    native = rows_on_grid(rows[0].numpy(), old, (place.height, place.width), (0, place.left), scan.shape[1]) + place.top
    sure = rows_on_grid(confidence.numpy(), old, (old[0], place.width), (0, place.left), scan.shape[1])[0]
    return native, sure, training_features(seen[0, 0].numpy(), probabilities[0].numpy())


def print_after(folder: Path, every: int) -> None:
    """Surfaces and distance on a run's held-out scans; the reference comes from its training scans."""
    run = open_run(folder)
    train, held_out = choose_scans(run, "train", ()), choose_scans(run, None, ())
    surfaces, distances, either = Counts(), Counts(), Counts()

    def of_side(keys: Sequence[object], read: Callable[..., BScan]) -> list[BScan]:
        return [read(key) for key in keys if getattr(key, "grader", 0) <= 1]

    with evaluating(run.net):
        known = of_side(train.keys, train.source.read)
        reference = fit_reference(
            np.stack([_looked_at(run.net, train.frame, scan)[2] for scan in known]),
            [scan.key.subject for scan in known],
        )
        scans = of_side(held_out.keys, held_out.source.read)
        jobs = [(CLEAN, scan, RawBScan(scan.image)) for scan in scans]
        jobs += [job for job in planted(scans[::every], seed=6) if job[0] != CLEAN]
        for kind, scan, raw in jobs:
            shown = BScan(scan.key, raw.image, scan.surface_rows if raw.image.shape == scan.shape else None)
            rows, confidence, features = _looked_at(run.net, held_out.frame, shown)
            of_surfaces = look_at_surfaces(rows, confidence, shown.shape, scan.spacing, {})
            of_distance = look_at_distance(features, reference)
            surfaces.add(kind, of_surfaces)
            distances.add(kind, of_distance)
            either.add(kind, of_surfaces + of_distance)
    words = f"{folder.name}: held-out subjects, {held_out.stamp}"
    surfaces.print(f"surfaces, {words}")
    distances.print(f"distance, {words}; check {reference['check']:.2f}, fail {reference['fail']:.2f}")
    either.print(f"both together, {words}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duke", type=Path, help="folder of Subject_XX.mat files")
    parser.add_argument("--run", nargs="*", type=Path, default=[], help="finished run folders")
    parser.add_argument("--every", type=int, default=2, help="faults are planted in every n-th scan")
    options = parser.parse_args()
    print_before("phantom, seed 21", PhantomSource(seed=21), options.every, is_phantom=True)
    large = PhantomSource(seed=22, height=496, width=768, spacing_um=(3.87, 11.33))
    print_before("phantom, seed 22", large, options.every, is_phantom=False)
    if options.duke is not None:
        source = DukeSource(options.duke, graders=(1,), fluid=False)
        print_before("Duke scans", source, options.every, is_phantom=False)
    for folder in options.run:
        print_after(folder, options.every)


if __name__ == "__main__":
    main()
