"""What `retseg predict` does: open networks and scans, predict, write, and leave an account of it."""

import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from retseg.bscan import Eye
from retseg.commands.open_network import open_scan_network
from retseg.commands.prediction_account import Account, open_account
from retseg.commands.prediction_report import tell_dry_run, tell_end, tell_scan, tell_start
from retseg.commands.progress import progress
from retseg.data.readers.find import Found, find_scans
from retseg.data.readers.options import ReadOptions
from retseg.data.readers.volume import ScanVolume
from retseg.errors import InputError
from retseg.evaluation.matching import read_spacing
from retseg.geometry.volume_map import BScanDistance, Vertical
from retseg.inference.gate import GatedPredictor
from retseg.inference.intervals import Intervals, find_intervals
from retseg.inference.members import members_of, mode_of
from retseg.inference.network import ScanNetwork
from retseg.inference.outputs import Outputs, choose_outputs, fit_to_networks, read_place, working, write_volume
from retseg.inference.predictor import ScanPredictor
from retseg.inference.record import VolumeRecord, load_record, relative, save_record, scan_row, source_stamp
from retseg.inference.stream import DoneVolume, Failure, in_volumes

STOPPED = 130


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
    is_resumed: bool = False
    is_overwriting: bool = False
    quiet: bool = False
    verbose: bool = False


def predict_all(call: Call) -> int:
    """Carry out a call; its exit code. InputError where nothing can start."""
    if not call.networks:
        raise InputError("no network: name a run folder with --run, or exported weights with --weights")
    if call.output.resolve() in {path.resolve() for path in call.paths}:
        raise InputError(f"-o {call.output}: is also where scans are read from; choose another folder")
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
    account = open_account(call.output, predictor, outputs, call.is_resumed, call.is_overwriting)
    account.note(intervals.words if intervals is not None else why_none)
    for path, reason in found.failures:
        account.fail(str(path), reason)
    if not call.quiet:
        tell_start(found, predictor)
    try:
        with _stopping_on_sigterm():
            _predict(call, found.volumes, _Plan(predictor, outputs, intervals), account)
    except KeyboardInterrupt:
        account.close("stopped")
        if not call.quiet:
            tell_end(account)
        return STOPPED
    account.close("finished")
    if not call.quiet:
        tell_end(account)
    return 1 if account.failures else 0


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


def _predict(call: Call, volumes: Sequence[ScanVolume], plan: _Plan, account: Account) -> None:
    """Predict what is not done yet, and write each volume when its last scan is there."""
    stamps = {volume.name: source_stamp(volume.path) for volume in volumes}
    waiting = []
    for volume in volumes:
        record = load_record(call.output, volume.name, stamps[volume.name]) if call.is_resumed else None
        if record is None:
            waiting.append(volume)
        else:
            account.skip(volume, record)
    work = working(plan.predictor, plan.outputs, call.output, plan.intervals)
    num_scans = sum(len(volume.numbers) for volume in waiting)
    # Volumes are written in a thread of their own, so that the network need not wait; in order, at most two behind.
    writing: deque[Future[None]] = deque()
    with ThreadPoolExecutor(1) as writer, progress("predicting", num_scans, call.quiet) as advance:
        for done in in_volumes(waiting, work, call.jobs, advance):
            writing.append(writer.submit(_finish, call, done, stamps[done.source.name], plan, account))
            if len(writing) > 2:
                writing.popleft().result()
        for written in writing:
            written.result()


def _finish(call: Call, done: DoneVolume, stamp: str, plan: _Plan, account: Account) -> None:
    """Write what a whole volume gets, its record last; a volume with failures has none, and is done again."""
    volume = done.predicted
    rows = tuple(
        scan_row(done.source, scan, took, plan.intervals) for scan, took in zip(volume.scans, done.seconds, strict=True)
    )
    files: tuple[Path, ...] = ()
    notices: tuple[str, ...] = ()
    failures = list(done.failures)
    try:
        if rows:
            files, notices = write_volume(volume, plan.outputs, call.output, plan.intervals)
    except InputError as error:
        failures.append(Failure(volume.name, str(error)))
    shown = plan.predictor.predictor.notices(volume.scans[0].image.shape, volume.spacing) if rows else ()
    record = VolumeRecord(
        name=volume.name,
        stamp=stamp,
        scans=rows,
        files=relative((*done.files, *files), call.output),
        notices=(*done.source.notices, *shown, *notices),
    )
    if not failures:
        save_record(call.output, record)
    account.add(record, failures)
    if call.verbose and not call.quiet:
        for row in rows:
            tell_scan(row)


@contextmanager
def _stopping_on_sigterm() -> Iterator[None]:
    """SIGTERM stops as Ctrl-C does: whole files, and an account of what is done."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
