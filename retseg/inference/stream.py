"""Many scans of many volumes side by side, given back volume by volume; one that cannot be read stops no other."""

import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from retseg.data.readers.volume import ScanVolume
from retseg.errors import InputError, ShortMemoryError, is_short_of_memory, one_line
from retseg.evaluation.atomic import FullDiskError
from retseg.evaluation.parallel import in_order
from retseg.inference.predicted import PredictedScan, PredictedVolume

Work = Callable[[ScanVolume, int], tuple[PredictedScan, tuple[Path, ...]]]
"""What is done with a B-scan of a volume, in any thread: the scan with its surfaces, and the files written for it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A B-scan that could not be read or written, and why, in one line."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class DoneVolume:
    """What came of a volume: its scans that were predicted, seconds each of them took, their files, its failures."""

    source: ScanVolume
    predicted: PredictedVolume
    seconds: tuple[float, ...]
    files: tuple[Path, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Done:
    scan: PredictedScan
    files: tuple[Path, ...]
    seconds: float


def in_volumes(
    volumes: Sequence[ScanVolume],
    work: Work,
    num_workers: int | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Generator[DoneVolume, None, None]:
    """Predict every B-scan of volumes, in order, with num_workers threads (None: one a core); call advance after each.

    Work that raises InputError or OSError gives a failure, and the rest goes on; a full disk and short memory
    end everything.
    """

    def attempt(item: tuple[ScanVolume, int]) -> _Done | Failure:
        volume, number = item
        start = perf_counter()
        try:
            scan, files = work(volume, number)
        except FullDiskError:
            raise
        except InputError as error:
            return Failure(volume.scan_name(number), one_line(error))
        except (MemoryError, OSError, RuntimeError) as error:
            if is_short_of_memory(error):
                raise ShortMemoryError(_no_memory(volume, number, error)) from error
            if not isinstance(error, OSError):
                raise
            reason = f"{error.filename or volume.path}: {error.strerror or error}; get the file again"
            return Failure(volume.scan_name(number), reason)
        return _Done(scan, files, perf_counter() - start)

    items = [(volume, number) for volume in volumes for number in volume.numbers]
    results = in_order(attempt, items, num_workers or os.cpu_count())
    for volume in volumes:
        scans: list[_Done] = []
        failures: list[Failure] = []
        for _ in volume.numbers:
            result = next(results)
            advance()
            if isinstance(result, Failure):
                failures.append(result)
            else:
                scans.append(result)
        yield DoneVolume(
            source=volume,
            predicted=_of_scans(volume, [done.scan for done in scans]),
            seconds=tuple(done.seconds for done in scans),
            files=tuple(path for done in scans for path in done.files),
            failures=tuple(failures),
        )


def _no_memory(volume: ScanVolume, number: int, error: Exception) -> str:
    reason = one_line(error) or type(error).__name__
    return (
        f"{volume.path}: memory is short at {volume.scan_name(number)} ({reason:.200}); close other programs, take "
        "fewer scans side by side (predict: --jobs 1), or leave it out, and give the same command again"
    )


def _of_scans(volume: ScanVolume, scans: Sequence[PredictedScan]) -> PredictedVolume:
    return PredictedVolume(
        name=volume.name,
        path=volume.path,
        scans=tuple(scans),
        num_bscans=volume.num_bscans,
        spacing=volume.spacing,
        distance=volume.distance,
        is_raster=volume.is_raster,
        eye=volume.eye,
        first_bscan=volume.first_bscan,
        subject=volume.subject,
        source_dicom=volume.source_dicom,
    )
