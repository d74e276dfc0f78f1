"""What `retseg calibrate` does: predict held-out scans whole, fit, and write RUN/reference.json."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from retseg.bscan import Array, ScanKey
from retseg.commands.open_network import REFERENCE, open_scan_network
from retseg.commands.progress import progress
from retseg.commands.scored_run import ALL, ScoredRun, ScoredScans, choose_scans, open_run
from retseg.data.dataset import with_mask
from retseg.errors import InputError
from retseg.evaluation.atomic import check_writable
from retseg.evaluation.json_files import read_object, write_object
from retseg.evaluation.labelling import Labelling
from retseg.evaluation.parallel import in_order
from retseg.inference.calibration import Calibrated, ScanScores, calibrate, score_scan, to_json, with_entry
from retseg.inference.members import Mode, members_of, mode_of
from retseg.inference.network import ScanNetwork
from retseg.inference.predictor import Member, ScanPredictor
from retseg.inference.training_distance import fit_reference, training_features


@dataclass(frozen=True, slots=True)
class Call:
    """The words of a call of `retseg calibrate`, as its help explains them."""

    runs: tuple[Path, ...]
    levels: tuple[float, ...]
    views: int = 1
    dropout: int = 0
    smoothness: float = 0.0
    side: str | None = None
    data: tuple[str, ...] = ()
    quiet: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a calibration found: one result a level, the scores that it comes from, and what a reader should know."""

    mode: Mode
    scans: ScoredScans
    scores: tuple[ScanScores, ...]
    calibrated: tuple[Calibrated, ...]
    notices: tuple[str, ...]
    written: tuple[Path, ...]


def calibrate_runs(call: Call) -> Found:
    """Carry out a call. InputError where runs or data are not there, or say too little."""
    runs = [open_run(folder) for folder in call.runs]
    for run in runs:
        check_writable(run.folder, f"{REFERENCE} is written there: copy the run, and calibrate the copy")
    networks = [open_scan_network(folder) for folder in call.runs]
    mode = mode_of(networks, call.views, call.dropout, call.smoothness)
    predictor = calibrated_predictor(networks, call.views, call.dropout, call.smoothness)
    scans = held_out_scans(runs, call.side, call.data)
    _refuse_too_little(scans, call.levels)
    scores, features = predicted_scores(predictor, networks, scans, call.quiet)
    calibrated = tuple(calibrate(scores, level) for level in call.levels)
    entries = [to_json(one, mode, scans.source.name, scans.source.label_origin, _which(scans)) for one in calibrated]
    subjects = [key.subject for key in scans.keys]
    references = [fit_reference(mine, subjects) for mine in features]
    written = [_write(run, entries, reference) for run, reference in zip(runs, references, strict=True)]
    return Found(mode, scans, tuple(scores), calibrated, _notices(runs, scans, scores), tuple(written))


def held_out_scans(runs: Sequence[ScoredRun], side: str | None, data: Sequence[str]) -> ScoredScans:
    """Scans that all runs held out, each B-scan once (its first grader). side None: validation, or all other data.

    InputError where there are none, and where runs learned from different data.
    """
    names = {run.metrics["data"]["name"] for run in runs}
    if len(names) > 1:
        raise InputError(f"runs of different data ({', '.join(sorted(names))}) are no ensemble; calibrate each alone")
    first = _scans_of(runs[0], side, data)
    common = {key.name for key in first.keys}
    for run in runs[1:]:
        common &= {key.name for key in _scans_of(run, side, data).keys}
    by_scan: dict[str, ScanKey] = {}
    for key in sorted(first.keys):
        if key.name in common:
            by_scan.setdefault(key.scan_name, key)
    if not by_scan:
        raise InputError(
            f"{', '.join(str(run.folder) for run in runs)}: no {first.side} scan is held out by all of them; "
            "give other labelled scans with --data"
        )
    return replace(first, keys=tuple(sorted(by_scan.values(), key=lambda key: key.name)))


def _scans_of(run: ScoredRun, side: str | None, data: Sequence[str]) -> ScoredScans:
    if side is None and not data:
        return choose_scans(run, "val", ())
    found = choose_scans(run, side, data)
    is_another_side = side is None and found.side not in (ALL, "val")
    return choose_scans(run, "val", data) if is_another_side and run.split.get("val") else found


def _refuse_too_little(scans: ScoredScans, levels: Sequence[float]) -> None:
    """InputError before anything is predicted: by the same rules as afterwards, on scores that say nothing."""
    nothing = np.full((1, 1), np.nan)
    empty = ScanScores("", nothing, nothing, nothing, nothing[0], nothing[0], "px", 0, 0)
    for level in levels:
        calibrate([replace(empty, subject=key.subject) for key in scans.keys], level)


def calibrated_predictor(
    networks: Sequence[ScanNetwork], num_views: int, num_dropout: int = 0, smoothness: float = 0.0
) -> ScanPredictor:
    """The predictor of a mode, with features. InputError where these networks have no such views or samples."""
    members = members_of(networks, num_views, num_dropout)
    return ScanPredictor(members, smoothness=smoothness, features=training_features)


def predicted_scores(
    predictor: ScanPredictor, networks: Sequence[ScanNetwork], scans: ScoredScans, quiet: bool = False
) -> tuple[list[ScanScores], list[Array]]:
    """Scores of each scan, predicted whole, and features (N, F) of all scans for each network by itself."""
    others = [ScanPredictor((Member(network),), features=training_features) for network in networks[1:]]

    def work(key: ScanKey) -> tuple[ScanScores, list[Array]]:
        scan = scans.source.read(key)
        truth = Labelling.of_scan(with_mask(scan)).surface_rows
        image = np.clip(np.rint(scan.image), 0, 255).astype(np.uint8)
        answer = predictor.answer(image, scan.spacing)
        seen = [answer, *(other.answer(image, scan.spacing) for other in others)]
        features = [np.median(one.features, axis=0) for one in seen]
        return score_scan(key.subject, answer.rows, answer.sd, truth, scan.spacing), features

    scores, features = [], []
    with progress("predicting held-out scans", len(scans.keys), quiet) as advance:
        for score, mine in in_order(work, scans.keys):
            scores.append(score)
            features.append(mine)
            advance()
    return scores, [np.stack(mine) for mine in zip(*features, strict=True)]


def _which(scans: ScoredScans) -> str:
    return f"all scans of {scans.source.name}" if scans.side == ALL else f"{scans.side} scans of the run's split"


def _notices(runs: Sequence[ScoredRun], scans: ScoredScans, scores: Sequence[ScanScores]) -> tuple[str, ...]:
    said = []
    if scans.side == "val" and any(run.is_chosen_on_val for run in runs):
        said.append("the checkpoint was chosen on these validation scans: intervals are that much too narrow")
    if scans.source.label_origin not in ("manual", "exact"):
        said.append(
            f"labels are {scans.source.label_origin}: intervals are about these labels, not about what a person draws"
        )
    annotated, missing = (sum(getattr(score, name) for score in scores) for name in ("num_annotated", "num_missing"))
    if missing:
        said.append(
            f"{missing / annotated:.1%} of annotated columns have no prediction: intervals know nothing of them"
        )
    if any(np.isnan(score.scans).all() for score in scores):
        said.append("scans without any measured column are left out of scan means")
    if not any(score.areas.size for score in scores):
        said.append("no area is 1 mm wide, or the lateral size of pixels is not known: no intervals for sectors")
    return tuple(said)


def _write(run: ScoredRun, entries: Sequence[dict[str, Any]], training: Mapping[str, Any]) -> Path:
    """Put entries and the training reference into reference.json, beside what is there of the same weights."""
    path = run.folder / REFERENCE
    before = read_object(path) if path.is_file() else {}
    try:
        kept = [entry for entry in before.get("intervals", []) if run.weights in entry["mode"]["sha256s"]]
        for entry in entries:
            kept = with_entry(kept, entry)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: is damaged ({error!r}); delete it and calibrate again") from error
    content = {"format": 1, "weights_sha256": run.weights, "intervals": kept, "training": dict(training)}
    write_object(path, content)
    return path
