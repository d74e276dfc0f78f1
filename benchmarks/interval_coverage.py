"""Do intervals of thickness hold the truth, and does the review queue find the worst scans? On subjects never seen.

Run `python -m benchmarks.interval_coverage RUN [RUN ...] [--views 4] [--subjects 10]` with finished runs on the phantom
(a minute on one core). The first run predicts alone and in several views; two or more runs are one ensemble, too. Each
way is calibrated as `retseg calibrate` does it, on what its runs held out; where that is fewer than 3 subjects, on 5
fresh ones (said). Coverage is counted on phantom subjects of another seed, whole volumes: columns, means of scans, and
ETDRS sector means around the middle of the map. Brackets: 95 % of 2000 bootstrap draws of subjects. Half-widths are
means, in um.

The queue: the same volumes, half of their scans made worse (noise, low contrast, both), through the quality gate after
the network. Mean absolute error of the surfaces of the first fifth of the queue, of a random fifth, and of the fifth
that is worst in truth; Spearman's rank correlation of uncertainty and true error, for all scans and the unspoiled.

`--duke FOLDER --run RUN` counts on the held-out scans of a run on Duke data instead, each subject by factors of the
others. Where labels are silver, another network's, that says how far intervals hold those, no more.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from retseg.bscan import Array, BScan, ScanKey
from retseg.commands.calibration import calibrated_predictor, held_out_scans, predicted_scores
from retseg.commands.open_network import open_scan_network
from retseg.commands.scored_run import ALL, ScoredScans, open_run
from retseg.data.source import ScanSource
from retseg.data.sources.phantom import PhantomSource
from retseg.errors import InputError
from retseg.evaluation.inference import Frame
from retseg.evaluation.parallel import in_order
from retseg.geometry.etdrs import sector_thickness
from retseg.geometry.thickness import SLABS, mean_thickness, thickness_profile
from retseg.geometry.volume_map import BScanDistance, place_bscans, thickness_map
from retseg.inference.answer import Answer
from retseg.inference.calibration import FEWEST_SUBJECTS, Calibrated, calibrate, to_json
from retseg.inference.intervals import KINDS, Intervals, find_intervals
from retseg.inference.members import mode_of
from retseg.inference.network import ScanNetwork
from retseg.inference.predicted import worst
from retseg.inference.predictor import ScanPredictor
from retseg.inference.quality_surfaces import look_at_surfaces
from retseg.inference.review import HALF_WIDTH, SPREAD, mean_half_width_px, review_queue
from retseg.inference.training_distance import fit_reference, look_at_distance
from retseg.metrics.statistics import interval, resample_weights

LEVEL = 0.9
CALIBRATION_SEED, FRESH_SEED, QUEUE_SEED = 4001, 4002, 4003
MEANS = ("column", "scan mean", "ETDRS sector")


@dataclass(frozen=True)
class Way:
    """Networks that look in several views, their intervals, and the training reference."""

    name: str
    predictor: ScanPredictor
    intervals: Intervals
    training: dict[str, object]
    source: str

    def answer(self, image: Array, scan: BScan) -> Answer:
        """Of an image with the scan's pixel size."""
        return self.predictor.answer(image, scan.spacing)


def calibrated_way(name: str, runs: Sequence[Path], networks: Sequence[ScanNetwork], views: int) -> Way:
    """As `retseg calibrate` makes it, but in memory."""
    scans, source = calibration_scans(runs)
    predictor = calibrated_predictor(networks, views)
    scores, features = predicted_scores(predictor, networks, scans, quiet=True)
    mode = mode_of(networks, views)
    entry = to_json(calibrate(scores, LEVEL), mode, scans.source.name, scans.source.label_origin, source)
    intervals, _ = find_intervals({"intervals": [entry]}, mode, LEVEL)
    assert intervals is not None
    training = fit_reference(features[0], [key.subject for key in scans.keys])
    return Way(name, predictor, intervals, training, source)


def calibration_scans(runs: Sequence[Path]) -> tuple[ScoredScans, str]:
    """What all runs held out, or fresh phantom subjects; and which, in words."""
    try:
        scans = held_out_scans([open_run(run) for run in runs], None, ())
    except InputError:
        scans = None
    if scans is not None and len({key.subject for key in scans.keys}) >= FEWEST_SUBJECTS:
        return scans, f"{len(scans.keys)} held-out scans of {len({key.subject for key in scans.keys})} subjects"
    fresh = PhantomSource(seed=CALIBRATION_SEED, num_subjects=5)
    return ScoredScans(fresh, fresh.keys, Frame(), ALL, "", ()), f"{len(fresh.keys)} fresh scans of 5 subjects"


def subject_coverage(way: Way, source: PhantomSource, subject: str) -> tuple[Array, Array]:
    """Share inside and mean half-width in um, both (3, L), of one volume: columns, scan means, ETDRS sectors."""
    scans = [source.read(key) for key in source.keys if key.subject == subject]
    answers = [way.answer(scan.image, scan) for scan in scans]
    spacing, intervals = source.spacing, way.intervals
    found = [thickness_profile(answer.rows, spacing) for answer in answers]
    truth = [thickness_profile(scan.surface_rows, spacing) for scan in scans]
    errors = np.stack([one.values - other.values for one, other in zip(found, truth, strict=True)])
    half = np.stack([intervals.half_widths(answer.sd, spacing) for answer in answers])
    inside = [_share(np.abs(errors), half, (0, 2))]
    means = np.stack(
        [mean_thickness(one)[0] - mean_thickness(other)[0] for one, other in zip(found, truth, strict=True)]
    )
    half_of_means = np.stack([intervals.scan_half_widths(answer.rows, answer.sd, spacing) for answer in answers])
    inside.append(_share(np.abs(means), half_of_means, (0,)))
    distance = BScanDistance(source.bscan_spacing_um, "phantom")
    grid = place_bscans(range(len(scans)), scans[0].shape[1], spacing, distance, scans[0].eye)
    sectors, true_sectors = (sector_thickness(thickness_map(one, grid), (0, 0)).mean for one in (found, truth))
    half_of_sectors = intervals.sector_half_widths([answer.sd for answer in answers], spacing, grid, (0, 0))
    inside.append(_share(np.abs(sectors - true_sectors), half_of_sectors, (1,)))
    return np.stack([one[0] for one in inside]), np.stack([one[1] for one in inside])


def _share(error: Array, half: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Share inside and mean half-width over axes, of what is known."""
    known = np.isfinite(error) & np.isfinite(half)
    count = known.sum(axis=axes)
    return ((error <= half) & known).sum(axis=axes) / count, np.where(known, half, 0).sum(axis=axes) / count


def print_coverage(way: Way, source: PhantomSource) -> None:
    """A table: coverage of each slab and of all, with half-widths."""
    subjects = sorted({key.subject for key in source.keys})
    found = list(in_order(lambda subject: subject_coverage(way, source, subject), subjects))
    inside, half = np.stack([one[0] for one in found]), np.stack([one[1] for one in found])
    draws = resample_weights(len(subjects))
    draws = draws / draws.sum(axis=1, keepdims=True)
    print(f"\n{way.name}; calibrated on {way.source}")
    print(f"{'':16}" + "".join(f"{slab.name:>13}" for slab in SLABS) + f"{'all':>8}")
    for number, name in enumerate(MEANS):
        low, high = interval(draws @ inside[:, number].mean(axis=1))
        cells = "".join(f"{share:>13.1%}" for share in inside[:, number].mean(axis=0))
        print(f"{name:16}{cells}{inside[:, number].mean():>8.1%} [{low:.1%}, {high:.1%}]")
        print(f"{'  half-width':16}" + "".join(f"{width:>13.2f}" for width in half[:, number].mean(axis=0)))


def spoiled(image: Array, rng: np.random.Generator) -> tuple[Array, bool]:
    """Every second image with noise (sd 10 to 40 gray levels), less contrast (0.2 to 0.7 of it), or both."""
    kind, noise, contrast = rng.integers(6), rng.uniform(10, 40), rng.uniform(0.2, 0.7)
    worse = image.astype(np.float64)
    if kind in (1, 2):
        worse = worse.mean() + contrast * (worse - worse.mean())
    if kind in (0, 1):
        worse = worse + rng.normal(0, noise / (2 if kind == 1 else 1), image.shape)
    return np.clip(np.rint(worse), 0, 255).astype(np.uint8), bool(kind <= 2)


def queued(way: Way, source: ScanSource, key: ScanKey) -> tuple[dict[str, object], float, bool]:
    """A scan's row, its true error in um (nan: nothing found), and whether it was spoiled."""
    scan = source.read(key)
    rng = np.random.default_rng([QUEUE_SEED, int(key.subject[1:]), key.bscan])
    image, is_spoiled = spoiled(scan.image, rng)
    answer = way.answer(image, scan)
    findings = look_at_surfaces(answer.rows, answer.confidence, scan.shape, scan.spacing, way.training)
    findings += look_at_distance(answer.features, way.training)
    error, known = np.abs(answer.rows - scan.surface_rows), np.isfinite(answer.rows).all(axis=0)
    row = {
        "scan": key.name,
        "volume": key.subject,
        "verdict": worst(findings),
        "reasons": "; ".join(finding.reason for finding in findings),
        "confidence": float(answer.confidence[known].mean()) if known.any() else None,
        SPREAD: float(answer.sd[:, known].mean()) if known.any() else None,
        HALF_WIDTH: mean_half_width_px(way.intervals, answer.sd),
        "axial_um": scan.spacing.axial_um,
    }
    assert scan.spacing.axial_um is not None
    return row, float(error[:, known].mean() * scan.spacing.axial_um) if known.any() else np.nan, is_spoiled


def print_queue(way: Way, source: PhantomSource) -> None:
    """What the first fifth of the queue holds."""
    found = [one for one in in_order(lambda key: queued(way, source, key), source.keys) if np.isfinite(one[1])]
    rows, errors = [one[0] for one in found], {str(one[0]["scan"]): one[1] for one in found}
    num_first = len(rows) // 5
    queue = review_queue(rows)
    first = np.mean([errors[review.scan] for review in queue[:num_first]])
    best = np.mean(sorted(errors.values())[-num_first:])
    print(f"\n{way.name}: queue of {len(rows)} scans, {sum(one[2] for one in found)} spoiled")
    verdicts = [sum(row["verdict"] == level for row in rows) for level in ("fail", "check", "pass")]
    print(f"fail, check, pass: {verdicts}; scans without any surface left out: {len(source.keys) - len(rows)}")
    print(
        f"mean error of surfaces: first fifth {first:.1f} um, random fifth {np.mean(list(errors.values())):.1f} um, ",
        end="",
    )
    print(f"worst fifth {best:.1f} um")
    for which, among in (("all", (True, False)), ("unspoiled", (False,))):
        mine = {str(one[0]["scan"]) for one in found if one[2] in among}
        pairs = [(review.uncertainty, errors[review.scan]) for review in queue if review.scan in mine]
        print(
            f"Spearman, {which} ({len(pairs)} scans): uncertainty {spearmanr(*zip(*pairs, strict=True))[0]:.2f}", end=""
        )
        unsure = [(-float(str(row["confidence"])), errors[str(row["scan"])]) for row in rows if row["scan"] in mine]
        ranks = [(-review.rank, errors[review.scan]) for review in queue if review.scan in mine]
        print(f", 1 - confidence {spearmanr(*zip(*unsure, strict=True))[0]:.2f}", end="")
        print(f", place in the queue {spearmanr(*zip(*ranks, strict=True))[0]:.2f}")


def print_left_out(calibrated: Calibrated, scans: ScoredScans, name: str) -> None:
    """Coverage of subjects left out."""
    origin = scans.source.label_origin
    subjects = ", ".join(calibrated.subjects)
    print(
        f"\n{name}: {len(scans.keys)} scans of {scans.source.name}, labels {origin}, each of {subjects} by the others"
    )
    print(f"{'':16}" + "".join(f"{slab.name:>13}" for slab in SLABS) + f"{'all':>8}  lowest subject")
    for kind in KINDS:
        shares = calibrated.coverage[kind]
        cells = "".join(f"{share:>13.1%}" for share in shares.mean(axis=1))
        print(f"{kind:16}{cells}{shares.mean():>8.1%}  {shares.mean(axis=0).min():.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="*", help="finished runs on the phantom")
    parser.add_argument("--views", type=int, default=4, help="views of the first run")
    parser.add_argument("--subjects", type=int, default=10, help="fresh subjects, 11 B-scans each")
    parser.add_argument("--seed", type=int, default=FRESH_SEED, help="of the fresh subjects")
    parser.add_argument("--duke", type=Path, help="Duke data, with --run")
    parser.add_argument("--run", type=Path, action="append", default=[], help="finished run on Duke data; repeat")
    options = parser.parse_args()
    torch.set_num_threads(min(torch.get_num_threads(), 2))
    if options.runs:
        networks = [open_scan_network(run) for run in options.runs]
        ways = [
            calibrated_way("one network", options.runs[:1], networks[:1], 1),
            calibrated_way(f"one network, {options.views} views", options.runs[:1], networks[:1], options.views),
        ]
        if len(networks) > 1:
            ways.append(calibrated_way(f"ensemble of {len(networks)}", options.runs, networks, 1))
        fresh = PhantomSource(seed=options.seed, num_subjects=options.subjects)
        print(f"{LEVEL:.0%} intervals, {len(fresh.keys)} scans of {options.subjects} subjects, seed {options.seed}")
        for way in ways:
            print_coverage(way, fresh)
        for way in ways:
            print_queue(way, PhantomSource(seed=QUEUE_SEED, num_subjects=options.subjects))
    if options.duke:
        for run in options.run:
            scans = held_out_scans([open_run(run)], None, (f"root={options.duke}",))
            networks = [open_scan_network(run)]
            scores, _ = predicted_scores(calibrated_predictor(networks, 1), networks, scans, quiet=True)
            print_left_out(calibrate(scores, LEVEL), scans, str(run))


if __name__ == "__main__":
    main()
