"""Inputs on which an exported network is compared with the run that it came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from torch import Tensor

from retseg.bscan import BScan, ScanKey
from retseg.build import build_frame
from retseg.commands.scored_run import ScoredRun, choose_scans
from retseg.data.readers.find import find_scans
from retseg.data.source import ScanSource
from retseg.data.sources.phantom import PhantomSource
from retseg.errors import InputError
from retseg.evaluation.inference import Frame, network_input, windowed

T = TypeVar("T")

NUM_SCANS = 9
"""Three batches of three."""


@dataclass(frozen=True, slots=True, eq=False)
class ExportInputs:
    """images: each (1, 1, H, W) float32 in 0..1 as the network sees it. words: what they are; notice: what to mind."""

    images: tuple[Tensor, ...]
    words: str
    notice: str = ""


def inputs_of(run: ScoredRun, paths: Sequence[Path]) -> ExportInputs:
    """Scans in files that were named, else scans of the run's held-out side, else of the phantom, with a notice."""
    frame = build_frame(run.config)
    if paths:
        return _of_files(paths, frame)
    try:
        return _of_run(run, frame)
    except InputError as error:
        images = _of_source(PhantomSource(), PhantomSource().keys, frame)
        notice = f"compared on phantom scans alone, not on real ones ({error}); name real ones with --inputs"
        return ExportInputs(images, f"{len(images)} phantom scans", notice)


def _of_run(run: ScoredRun, frame: Frame) -> ExportInputs:
    """Held-out scans, each B-scan once, and, where these are few, training scans."""
    scans = choose_scans(run, None, ())
    images = _of_source(scans.source, scans.keys, frame)
    words = f"{len(images)} {scans.side} scans of {scans.source.name}"
    if len(images) < NUM_SCANS:
        others = _of_source(scans.source, choose_scans(run, "train", ()).keys, frame)[: NUM_SCANS - len(images)]
        images, words = (*images, *others), f"{words} and {len(others)} that trained"
    return ExportInputs(images, words)


def _of_source(source: ScanSource, keys: Sequence[ScanKey], frame: Frame) -> tuple[Tensor, ...]:
    once = list({key.scan_name: key for key in keys}.values())
    return tuple(_seen(source.read(key), frame) for key in _spread(once))


def _of_files(paths: Sequence[Path], frame: Frame) -> ExportInputs:
    found = find_scans(paths)
    if found.failures:
        raise InputError(f"--inputs {found.failures[0][0]}: {found.failures[0][1]}")
    scans = _spread([(volume, number) for volume in found.volumes for number in volume.numbers])
    images = tuple(
        _seen(BScan(ScanKey(0, volume.name, number), volume.read(number).image), frame) for volume, number in scans
    )
    return ExportInputs(images, f"{len(images)} scans of --inputs")


def _seen(scan: BScan, frame: Frame) -> Tensor:
    return network_input(windowed(scan, frame.window)[0], frame.size)


def _spread(items: Sequence[T]) -> list[T]:
    """At most `NUM_SCANS`, evenly from first to last."""
    number = min(NUM_SCANS, len(items))
    return [items[(2 * i + 1) * len(items) // (2 * number)] for i in range(number)]
