"""Surface errors of `retseg predict` on the held-out scans of finished runs, each scan given whole, without its window.

Run `python -m benchmarks.whole_scans RUN [RUN ...] [--views 4]`. Two or more runs of one data set are also tried as an
ensemble, on the scans that all of them held out. Errors are mean absolute ones in um, pooled over scans and the columns
where labels and every way of predicting know all surfaces. Argmax is what `retseg evaluate` scores: the run's own
window, the likeliest class of each pixel. Brackets: 95 % of 2000 bootstrap draws of subjects, of the mean.
Silver labels are another network's: errors against them say how far two networks agree.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from retseg.anatomy import SURFACE_NAMES
from retseg.bscan import Array, ScanKey
from retseg.commands.open_network import open_scan_network
from retseg.commands.scored_run import ScoredScans, choose_scans, open_run
from retseg.data.dataset import with_mask
from retseg.evaluation.inference import native_classes, network_input, windowed
from retseg.evaluation.labelling import Labelling
from retseg.evaluation.parallel import in_order
from retseg.inference.members import members_of
from retseg.inference.network import ScanNetwork
from retseg.inference.predictor import ScanPredictor
from retseg.metrics.statistics import interval, resample_weights

NUM_DRAWS = 2000
Way = Callable[[ScanKey], Array]


def argmax(network: ScanNetwork, scans: ScoredScans) -> Way:
    """Rows (S, W) of a whole scan as `retseg evaluate` traces them, nan outside its window."""

    def rows(key: ScanKey) -> Array:
        whole = scans.source.read(key)
        part, place = windowed(whole, scans.frame.window)
        with torch.inference_mode():
            logits = network.forward(network_input(part, scans.frame.size))
        found = np.full((len(SURFACE_NAMES), whole.shape[1]), np.nan)
        traced = Labelling.from_mask(native_classes(logits, part.shape)).surface_rows
        found[:, place.left : place.left + place.width] = traced + place.top
        return found

    return rows


def predicted(networks: Sequence[ScanNetwork], views: int, scans: ScoredScans) -> Way:
    """Rows (S, W) of a whole scan as `retseg predict` finds them."""
    predictor = ScanPredictor(members_of(networks, views, 0))

    def rows(key: ScanKey) -> Array:
        scan = scans.source.read(key)
        return predictor.answer(np.clip(np.rint(scan.image), 0, 255).astype(np.uint8), scan.spacing).rows

    return rows


def compare(runs: Sequence[Path], views: int) -> None:
    """Print the errors of every way on the scans that all runs held out."""
    opened = [open_run(run) for run in runs]
    networks = [open_scan_network(run) for run in runs]
    scans = choose_scans(opened[0], None, ())
    held_out = [set(choose_scans(run, None, ()).keys) for run in opened]
    keys = sorted(set.intersection(*held_out))
    ways = {"argmax, its own window": argmax(networks[0], scans)}
    ways["predict"] = predicted(networks[:1], 1, scans)
    ways[f"predict --views {views}"] = predicted(networks[:1], views, scans)
    if len(networks) > 1:
        ways[f"predict, {len(networks)} runs"] = predicted(networks, 1, scans)

    def errors_um(key: ScanKey) -> Array:
        scan = scans.source.read(key)
        truth = Labelling.of_scan(with_mask(scan)).surface_rows
        assert scan.spacing.axial_um is not None
        found = np.stack([way(key) for way in ways.values()])
        found[:, :, ~np.isfinite(np.concatenate([found, truth[None]])).all(axis=(0, 1))] = np.nan
        return np.abs(found - truth) * scan.spacing.axial_um

    errors = list(in_order(errors_um, keys))
    title = f"{len(keys)} scans of {len({key.subject for key in keys})} subjects, {scans.source.label_origin} labels"
    print(f"{', '.join(str(run) for run in runs)}: {title}")
    print(f"{'mean absolute error, um':28}" + "".join(f"{name:>9}" for name in SURFACE_NAMES) + "     mean")
    for number, name in enumerate(ways):
        tell(name, [error[number] for error in errors], [key.subject for key in keys])


def tell(name: str, errors: Sequence[Array], subjects: Sequence[str]) -> None:
    """Print a line: each surface, the mean of all, and its interval by subject."""
    names = sorted(set(subjects))
    total, count = np.zeros((len(names), len(SURFACE_NAMES))), np.zeros((len(names), len(SURFACE_NAMES)))
    for error, subject in zip(errors, subjects, strict=True):
        total[names.index(subject)] += np.nansum(error, axis=1)
        count[names.index(subject)] += np.isfinite(error).sum(axis=1)
    mean = total.sum(axis=0) / count.sum(axis=0)
    weights = resample_weights(len(names), NUM_DRAWS)
    low, high = interval(((weights @ total) / (weights @ count)).mean(axis=1))
    print(f"{name:28}" + "".join(f"{value:9.2f}" for value in mean) + f"{mean.mean():9.2f} [{low:.2f}, {high:.2f}]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--views", type=int, default=4)
    options = parser.parse_args()
    compare(options.runs, options.views)


if __name__ == "__main__":
    main()
