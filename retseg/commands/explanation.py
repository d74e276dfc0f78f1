"""The work of `retseg explain`: scan by scan through the network, then files, figures and tables."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from retseg.commands.explained_scans import ExplainedScans, SeenScan
from retseg.commands.explained_score import WantedScore
from retseg.commands.explanation_figures import Tried, draw_maps, draw_overlays, draw_trial
from retseg.commands.explanation_files import clear_earlier, write_maps, write_tables, write_trial
from retseg.commands.explanation_report import print_explanation, print_trial
from retseg.commands.progress import progress
from retseg.commands.scored_run import ScoredRun
from retseg.errors import InputError
from retseg.evaluation.atomic import make_folder
from retseg.explain.any_method import explain_by_any
from retseg.explain.engine import Explanation
from retseg.explain.methods import METHODS
from retseg.explain.records import JudgedMaps, MapRecord, judge_maps
from retseg.explain.score import Score
from retseg.explain.summary import summarise
from retseg.explain.trial import Trial, TriedScan, pooled, try_scan, verdicts


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What is asked of `retseg explain`. num_checked: scans a subject that are tested; 0: no tests."""

    layers: Sequence[str]
    methods: Sequence[str]
    score: WantedScore
    num_drawn: int = 3
    overlays: bool = False
    num_checked: int = 0
    random_labels: nn.Module | None = None
    other_seed: nn.Module | None = None
    quiet: bool = False

    def __post_init__(self) -> None:
        """Refuse to test slow methods: each test explains hundreds of times."""
        slow = [method for method in self.methods if method not in METHODS]
        if self.num_checked and slow:
            raise InputError(f"--check with {', '.join(slow)}: only fast methods can be tested; {', '.join(METHODS)}")

    @property
    def trial(self) -> Trial:
        """Its tests."""
        return Trial(self.layers, self.methods, random_labels=self.random_labels, other_seed=self.other_seed)


def explain_scans(run: ScoredRun, scans: ExplainedScans, wanted: Wanted, folder: Path) -> None:
    """Explain, write, draw and print."""
    clear_earlier(folder)
    make_folder(folder / "maps")
    records: list[MapRecord] = []
    drawn = set(_evenly(range(len(scans.names)), wanted.num_drawn))
    words = ""
    with progress("explaining", len(scans.names), wanted.quiet) as advance:
        for index in range(len(scans.names)):
            scan = scans.read(index)
            found, judged = _explained(run.net, scan, wanted)
            records += judged.records
            words = found.score.describe()
            write_maps(folder / "maps" / f"{scan.name}.npz", found, scan)
            if index in drawn:
                draw_maps(folder / "figures", found, judged, scan, scans.stamp)
                if wanted.overlays:
                    draw_overlays(folder / "figures" / "overlays", found, judged, scan)
            advance()
    summaries = summarise(records)
    write_tables(folder, run, scans, records, summaries, words)
    if not wanted.quiet:
        print_explanation(scans, summaries, words)
    if wanted.num_checked:
        _check(run, scans, wanted, folder, records)
    if not wanted.quiet:
        print(f"written to {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")


def _explained(net: nn.Module, scan: SeenScan, wanted: Wanted) -> tuple[Explanation, JudgedMaps]:
    """Maps of one scan, and what is known of each."""
    score = wanted.score.on(scan, lambda: _predicted(net, scan))
    found = explain_by_any(net, scan.image, wanted.layers, wanted.methods, score)
    mask = None if scan.mask is None else scan.mask[None]
    return found, judge_maps(found, [scan.name], [scan.subject], mask, _spacing_um(scan))


def _spacing_um(scan: SeenScan) -> Tensor:
    """Height and width (1, 2) of the network's pixels in um, nan where unknown."""
    sizes = [scan.spacing.axial_um, scan.spacing.lateral_um]
    return torch.tensor([[np.nan if um is None else um for um in sizes]])


def _predicted(net: nn.Module, scan: SeenScan) -> Tensor:
    """Predicted class ids (H, W)."""
    with torch.no_grad():
        logits: Tensor = net(scan.image)
    return logits.argmax(1)[0]


def _check(run: ScoredRun, scans: ExplainedScans, wanted: Wanted, folder: Path, records: Sequence[MapRecord]) -> None:
    """All tests on some scans of every subject, and the verdicts."""
    trial, chosen = wanted.trial, _of_each_subject(scans, wanted.num_checked)
    subjects = [scans.keys[index].subject for index in chosen]
    tried: list[TriedScan] = []
    with progress("testing maps", len(chosen), wanted.quiet) as advance:
        for index in chosen:
            tried.append(_try(run.net, scans.read(index), wanted.score, trial, index))
            advance()
    together = pooled(tried)
    found = verdicts(trial, together, subjects)
    summaries = summarise(records)
    write_trial(folder, trial, together, subjects, found, summaries)
    draw_trial(folder / "figures", Tried(trial, together, subjects, found, summaries, scans.stamp))
    if not wanted.quiet:
        print_trial(found, summaries, len(chosen), len(set(subjects)))


def _try(net: nn.Module, scan: SeenScan, wanted: WantedScore, trial: Trial, number: int) -> TriedScan:
    """All tests on one scan."""

    def score_on(labels: Tensor | None) -> Score:
        seen = scan if labels is None else replace(scan, mask=labels[0])
        return wanted.on(seen, lambda: _predicted(net, scan))

    mask = None if scan.mask is None else scan.mask[None]
    second = None if scan.second is None else scan.second[None]
    return try_scan(trial, net, scan.image, score_on, mask, second, scan.spacing.axial_um, number)


def _of_each_subject(scans: ExplainedScans, number: int) -> list[int]:
    """Positions of at most `number` scans of every subject, evenly spaced."""
    by_subject: dict[str, list[int]] = {}
    for index, key in enumerate(scans.keys):
        by_subject.setdefault(key.subject, []).append(index)
    return sorted(index for own in by_subject.values() for index in _evenly(own, number))


def _evenly(items: Sequence[int], number: int) -> list[int]:
    """The middles of `number` equal parts, or all."""
    number = min(number, len(items))
    return [items[(2 * part + 1) * len(items) // (2 * number)] for part in range(number)]
