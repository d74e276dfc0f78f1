"""Fluid of finished runs under the published protocols, beside what others printed for them.

    python -m benchmarks.duke_fluid RUN [RUN ...] [--views 1 2 4]

Runs of one split are rows of one table (experiment=duke_fluid with split=he2019, ynet; the runs of
split=leave_one_subject_out are one row, every subject scored by the run that held it out). "window": as `retseg
evaluate` scores, the run's own window, one look. "whole scan": as `retseg predict` sees it, whole B-scans in so many
views, scored in all columns that were annotated; several runs of he2019 or ynet are also tried as an ensemble. Truth is
grader 1's. Threshold 0.5. Brackets: 95 % bootstrap of subjects. "grid alone" is the most that any network could get on
the grid of the first run: the truth itself, brought there and back, of the scans that trained.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from retseg.bscan import Array, BScan, ScanKey
from retseg.commands.open_network import open_scan_network
from retseg.commands.scored_run import ScoredRun, choose_scans, open_run
from retseg.data.fluid_labels import fluid_labels
from retseg.data.transforms import resize_mask
from retseg.evaluation.fluid_protocols import published
from retseg.evaluation.fluid_record import THRESHOLD, FluidCase, measure_fluid
from retseg.evaluation.fluid_scores import EMPTY_IS_1, FLUID, FluidScan, fluid_scores
from retseg.evaluation.inference import Predictor, windowed
from retseg.evaluation.parallel import in_order
from retseg.evaluation.scores import Score
from retseg.inference.members import members_of
from retseg.inference.predictor import ScanPredictor

LEAVE_ONE_OUT = "leave_one_subject_out"
SHOWN = (
    ("dice", FLUID, "pooled"),
    ("dice", FLUID, "mean_over_scans"),
    ("dice", FLUID, EMPTY_IS_1),
    ("volume_absolute", FLUID, "mean_over_subjects"),
    ("lesion_recall_covered", "lesions", "pooled"),
    ("lesion_precision_covered", "lesions", "pooled"),
)
HEADS = ("Dice pooled", "Dice, scans", "empty as 1", "|volume| mm3", "lesions hit", "found right")
DISTANCE_UM = 123.0
CaseOf = Callable[[ScanKey], FluidScan]


def in_window(run: ScoredRun) -> tuple[tuple[ScanKey, ...], CaseOf]:
    """The run's held-out scans, and each as `retseg evaluate` scores it."""
    scans = choose_scans(run, None, ())
    predictor = Predictor(run.net, scans.source, scans.frame)

    def measured(key: ScanKey) -> FluidScan:
        case = predictor.case(key)
        return _scan(key, case.fluid, scans.source.read(key))

    return scans.keys, measured


def on_whole_scans(runs: Sequence[ScoredRun], views: int) -> tuple[tuple[ScanKey, ...], CaseOf]:
    """The runs' held-out scans, and each as `retseg predict` sees it, by all runs together."""
    scans = choose_scans(runs[0], None, ())
    predictor = ScanPredictor(members_of([open_scan_network(run.folder) for run in runs], views))

    def measured(key: ScanKey) -> FluidScan:
        scan = scans.source.read(key)
        found = predictor.answer(np.clip(np.rint(scan.image), 0, 255).astype(np.uint8), scan.spacing).fluid
        assert found is not None
        return _scan(key, FluidCase(found >= THRESHOLD, fluid_labels(scan)), scan)

    return scans.keys, measured


def _scan(key: ScanKey, case: FluidCase | None, scan: BScan) -> FluidScan:
    record = measure_fluid(case, scan.spacing)
    assert record is not None, f"{key.name}: nobody looked for fluid; data.source.fluid=true"
    return FluidScan(key.name, key.subject, f"g{key.grader}", record)


def row(parts: Sequence[tuple[tuple[ScanKey, ...], CaseOf]]) -> str:
    """Cells of a row from one part, or from several runs that held out other scans each."""
    scans = [scan for keys, case_of in parts for scan in in_order(case_of, keys)]
    scores = {(s.score, s.of, s.average): s for s in fluid_scores(scans, DISTANCE_UM)}
    return "".join(f"{_cell(scores[key]):>22}" for key in SHOWN)


def _cell(score: Score) -> str:
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"


def grid_limit(run: ScoredRun) -> str:
    """Pooled Dice of the truth of the scans that trained, resized to the network's grid and back."""
    scans = choose_scans(run, "train", ())

    def counts(key: ScanKey) -> Array:
        scan = windowed(scans.source.read(key), scans.frame.window)[0]
        truth = fluid_labels(scan)
        seen = resize_mask(truth, *(scans.frame.size or scan.shape))
        back = F.interpolate(torch.from_numpy(seen)[None, None].float(), size=scan.shape, mode="bilinear")[0, 0]
        record = measure_fluid(FluidCase(back.numpy() >= THRESHOLD, truth), scan.spacing)
        assert record is not None
        return record.counts

    hits, false_alarms, misses = sum(counts(key) for key in scans.keys)
    return f"{2 * hits / (2 * hits + false_alarms + misses):>12.3f}"


def tables(runs: Sequence[ScoredRun], views: Sequence[int]) -> Iterator[str]:
    """Lines of all tables."""
    rules = dict.fromkeys(str(run.split["rule"]) for run in runs)
    for rule in rules:
        own = [run for run in runs if run.split["rule"] == rule]
        yield f"\nsplit={rule}, {own[0].judged_by} subjects, fluid of grader 1"
        yield f"{'':<44}" + "".join(f"{head:>22}" for head in HEADS)
        groups = [own] if rule == LEAVE_ONE_OUT else [[run] for run in own]
        for group in groups:
            name = f"{len(group)} runs" if len(group) > 1 else group[0].folder.name
            yield f"{name[:24] + ', window':<44}" + row([in_window(run) for run in group])
            for number in views:
                label = f"{name[:24]}, whole scan, views {number}"
                yield f"{label:<44}" + row([on_whole_scans([run], number) for run in group])
        if len(own) > 1 and rule != LEAVE_ONE_OUT:
            yield f"{f'all {len(own)} as an ensemble, views {views[-1]}':<44}" + row([on_whole_scans(own, views[-1])])
        yield f"{'grid alone (training scans)':<44}" + grid_limit(own[0])
        for entry in published(str(own[0].metrics["data"]["name"]), rule, own[0].judged_by):
            yield f"{'printed: ' + entry.method:<44}{entry.dice:>12.2f}   ({entry.scored})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--views", type=int, nargs="+", default=[1, 4])
    options = parser.parse_args()
    for line in tables([open_run(folder) for folder in options.runs], options.views):
        print(line, flush=True)


if __name__ == "__main__":
    main()
