"""What `retseg predict` does: open networks and scans, predict, write, and leave an account of it."""

import sys
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from retseg.bscan import Eye
from retseg.commands.open_network import open_scan_network
from retseg.commands.prediction_account import Account, made_by, open_account
from retseg.commands.prediction_report import tell_dry_run, tell_end, tell_scan, tell_start, tell_stopped
from retseg.commands.progress import progress
from retseg.commands.run_lock import PREDICTION, folder_locked
from retseg.commands.stop_signals import Stopped, raising_stopped
from retseg.data.readers.find import Found, find_scans
from retseg.data.readers.options import ReadOptions
from retseg.data.readers.volume import ScanVolume
from retseg.errors import InputError, ShortMemoryError
from retseg.evaluation.atomic import FullDiskError, make_folder
from retseg.evaluation.matching import read_spacing
from retseg.geometry.volume_map import BScanDistance, Vertical
from retseg.inference.gate import GatedPredictor
from retseg.inference.intervals import Intervals, find_intervals
from retseg.inference.kept_scans import KeptScans
from retseg.inference.members import members_of, mode_of
from retseg.inference.network import ScanNetwork
from retseg.inference.outputs import Outputs, choose_outputs, fit_to_networks, read_place, working, write_volume
from retseg.inference.predictor import ScanPredictor
from retseg.inference.record import VolumeRecord, load_record, relative, save_record, scan_row, source_stamp
from retseg.inference.stream import DoneVolume, Failure, in_volumes


@dataclass(frozen=True, slots=True)
class Call:
    """The words of a call of `retseg predict`, as its help explains them."""

    paths: tuple[Path, ...]
    output: Path
    networks: tuple[Path, ...]
    save: tuple[str, ...] | None = None
    spacing: str | None = None
    bscan_distance: float | None = None
    max_gap: float | None = None
    eye: Eye | None = None
    first_bscan: Vertical | None = None
    fovea: str | None = None
    is_stack: bool = False
    array_key: str | None = None
    views: int = 1
    dropout: int = 0
    smoothness: float = 0.0
    is_forced: bool = False
    jobs: int | None = None
    is_dry: bool = False
    is_overwriting: bool = False
    quiet: bool = False
    verbose: bool = False


def predict_all(call: Call) -> int:
    """Carry out a call, or go on with one that was stopped; its exit code. InputError where nothing can start."""
    if not call.networks:
        raise InputError("no network: name a run folder with --run, or exported weights with --weights")
    if call.output.resolve() in {path.resolve() for path in call.paths}:
        raise InputError(f"-o {call.output}: is also where scans are read from; choose another folder")
    try:
        with raising_stopped():
            return _predict_all(call)
    except Stopped as stopped:
        sys.stderr.write("retseg: stopped before the first scan; the same command starts again\n")
        return stopped.code


def _predict_all(call: Call) -> int:
    outputs = choose_outputs(call.save, None if call.fovea is None else read_place(call.fovea))
    found = _find(call)
    networks = tuple(open_scan_network(path) for path in call.networks)
    outputs = fit_to_networks(outputs, call.save, networks)
    predictor = _predictor(call, networks, outputs)
    mode = mode_of(networks, call.views, call.dropout, call.smoothness)
    intervals, why_none = find_intervals(networks[0].card.reference, mode)
    if call.is_dry:
        tell_dry_run(call.output, found, predictor, outputs)
        return 0
    made = made_by(predictor, outputs, _said(call))
    make_folder(call.output)
    with folder_locked(call.output, PREDICTION):
        account = open_account(call.output, made, [volume.name for volume in found.volumes], call.is_overwriting)
        for note in (*outputs.notices, intervals.words if intervals is not None else why_none):
            account.note(note)
        for path, reason in found.failures:
            account.fail(str(path), reason)
        kept = KeptScans(call.output, {volume.name: source_stamp(volume.path) for volume in found.volumes})
        return _do(call, found, _Work(found.volumes, _Plan(predictor, outputs, intervals), kept, account))


def _said(call: Call) -> dict[str, Any]:
    """What the user said of the scans and of how networks look, as plain JSON."""
    return {
        "dropout": call.dropout,
        "spacing": call.spacing,
        "bscan_distance": call.bscan_distance,
        "max_gap": call.max_gap,
        "eye": call.eye,
        "first_bscan": call.first_bscan,
        "stack": call.is_stack,
        "key": call.array_key,
    }


def _find(call: Call) -> Found:
    """The scans of a call, with what the user says of them."""
    distance = call.bscan_distance
    if distance is not None and distance <= 0:
        raise InputError(f"--bscan-distance {distance:g}: expected a positive distance in um")
    options = ReadOptions(
        spacing=None if call.spacing is None else read_spacing(call.spacing),
        distance=None if distance is None else BScanDistance(distance, "user", call.max_gap),
        eye=call.eye,
        first_bscan=call.first_bscan,
        is_stack=call.is_stack,
        array_key=call.array_key,
    )
    found = find_scans(call.paths, options)
    return replace(found, volumes=tuple(_with_gap(volume, call.max_gap) for volume in found.volumes))


def _with_gap(volume: ScanVolume, max_gap_um: float | None) -> ScanVolume:
    if max_gap_um is None or volume.distance is None:
        return volume
    return replace(volume, distance=replace(volume.distance, max_gap_um=max_gap_um))


def _predictor(call: Call, networks: Sequence[ScanNetwork], outputs: Outputs) -> GatedPredictor:
    from retseg.inference.training_distance import training_features

    predictor = ScanPredictor(
        members_of(networks, call.views, call.dropout),
        smoothness=call.smoothness,
        keep_probabilities=outputs.probabilities,
        features=training_features,
    )
    return GatedPredictor(predictor, networks[0].card.reference.get("training", {}), call.is_forced)


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """How scans are predicted and what is written of them."""

    predictor: GatedPredictor
    outputs: Outputs
    intervals: Intervals | None


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """What a call has to do, and what of it is done."""

    volumes: Sequence[ScanVolume]
    plan: _Plan
    kept: KeptScans
    account: Account

    def waiting(self) -> list[ScanVolume]:
        """Volumes that are not done; those that are go into the account."""
        waiting = []
        for volume in self.volumes:
            record = load_record(self.kept.root, volume.name, self.kept.stamps[volume.name])
            if record is None:
                waiting.append(volume)
            else:
                self.account.skip(record)
                self.kept.forget(volume)
        return waiting

    @property
    def num_done(self) -> int:
        """B-scans that need no network any more: of finished volumes, and those that are kept of others."""
        unfinished = [volume for volume in self.volumes if volume.name not in self.account.volumes]
        return self.account.num_scans + sum(len(self.kept.numbers(volume)) for volume in unfinished)


def _do(call: Call, found: Found, work: _Work) -> int:
    """Predict and leave an account of it, whole also where it is stopped or the disk is full; the exit code."""
    account = work.account
    try:
        waiting = work.waiting()
        if not call.quiet:
            tell_start(found, work.plan.predictor, work.num_done)
        _predict(call, waiting, work)
        work.kept.tidy()
        account.close("finished")
    except Stopped as stopped:
        account.close("stopped")
        tell_stopped(work.num_done, found, call.is_overwriting)
        return stopped.code
    except (FullDiskError, ShortMemoryError, MemoryError):
        with suppress(FullDiskError, MemoryError):
            account.close("stopped")
        raise
    if not call.quiet:
        tell_end(account)
    return 1 if account.failures else 0


def _predict(call: Call, waiting: Sequence[ScanVolume], work: _Work) -> None:
    """Predict what is not done yet, and write each volume when its last scan is there."""
    each = working(work.plan.predictor, work.plan.outputs, work.kept, work.plan.intervals)
    num_scans = sum(len(volume.numbers) for volume in waiting)
    # Volumes are written in a thread of their own, so that the network need not wait; in order, at most two behind.
    writing: deque[Future[None]] = deque()
    with (
        ThreadPoolExecutor(1) as writer,
        progress("predicting", num_scans, call.quiet) as advance,
        closing(in_volumes(waiting, each, call.jobs, advance)) as all_done,
    ):
        for done in all_done:
            writing.append(writer.submit(_finish, call, done, work))
            if len(writing) > 2:
                writing.popleft().result()
        for written in writing:
            written.result()


def _finish(call: Call, done: DoneVolume, work: _Work) -> None:
    """Write what a whole volume gets, its record last; a volume with failures has none, and is done again."""
    volume, plan = done.predicted, work.plan
    rows = tuple(
        scan_row(done.source, scan, took, plan.intervals) for scan, took in zip(volume.scans, done.seconds, strict=True)
    )
    files: tuple[Path, ...] = ()
    notices: tuple[str, ...] = ()
    failures = list(done.failures)
    try:
        if rows:
            files, notices = write_volume(volume, plan.outputs, call.output, plan.intervals)
    except FullDiskError:
        raise
    except InputError as error:
        failures.append(Failure(volume.name, str(error)))
    shown = plan.predictor.predictor.notices(volume.scans[0].image.shape, volume.spacing) if rows else ()
    record = VolumeRecord(
        name=volume.name,
        stamp=work.kept.stamps[volume.name],
        scans=rows,
        files=relative((*done.files, *files), call.output),
        notices=(*done.source.notices, *shown, *notices),
    )
    if not failures:
        save_record(call.output, record)
        work.kept.forget(done.source)
    work.account.add(record, failures)
    if call.verbose and not call.quiet:
        for row in rows:
            tell_scan(row)
