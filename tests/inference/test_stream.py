from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from retseg.bscan import Spacing
from retseg.data.readers.volume import RawBScan, ScanVolume
from retseg.errors import InputError
from retseg.inference.predicted import PredictedScan
from retseg.inference.stream import DoneVolume, Failure, in_volumes

UM = Spacing(4.0, 12.0, "user")


def volume(name: str, numbers: tuple[int, ...]) -> ScanVolume:
    return ScanVolume(
        name, Path(f"{name}.dcm"), "made", numbers, lambda number: RawBScan(np.zeros((3, 4), np.uint8)), 40, UM
    )


def work(volume: ScanVolume, number: int) -> tuple[PredictedScan, tuple[Path, ...]]:
    name, nothing = volume.scan_name(number), np.full((8, 4), np.nan, np.float32)
    scan = PredictedScan(name, number, volume.read(number).image, nothing, nothing, nothing[0], volume.spacing)
    return scan, (Path(f"{name}_mask.png"),)


def failing_at(number: int, error: Exception) -> Callable[..., tuple[PredictedScan, tuple[Path, ...]]]:
    def work_but(volume: ScanVolume, this: int) -> tuple[PredictedScan, tuple[Path, ...]]:
        if this == number:
            raise error
        return work(volume, this)

    return work_but


def run(work: Callable[..., tuple[PredictedScan, tuple[Path, ...]]]) -> list[DoneVolume]:
    return list(in_volumes([volume("a", (3, 7, 11)), volume("b", (0, 7))], work, 2))


def test_scans_come_back_volume_by_volume_in_order():
    a, b = run(work)
    assert [scan.name for scan in a.predicted.scans] == ["a_b003", "a_b007", "a_b011"]
    assert [scan.number for scan in b.predicted.scans] == [0, 7]
    assert a.files == (Path("a_b003_mask.png"), Path("a_b007_mask.png"), Path("a_b011_mask.png"))
    assert len(a.seconds) == 3
    assert a.predicted.spacing is UM
    assert not a.failures


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (InputError("a.dcm: frame 7 is\ndamaged; copy it again"), r"a.dcm: frame 7 is\ndamaged; copy it again"),
        (OSError(5, "Input/output error", "a.dcm"), "a.dcm: Input/output error; get the file again"),
    ],
)
def test_a_scan_that_fails_stops_no_other(error: Exception, reason: str):
    a, b = run(failing_at(7, error))
    assert a.failures == (Failure("a_b007", reason),)
    assert [scan.number for scan in a.predicted.scans] == [3, 11]
    assert [scan.number for scan in b.predicted.scans] == [0]


def test_a_slip_of_ours_is_no_failure_of_a_scan():
    with pytest.raises(ZeroDivisionError):
        run(failing_at(7, ZeroDivisionError()))


def test_progress_counts_every_scan():
    counted: list[int] = []
    list(in_volumes([volume("a", (0, 1, 2))], failing_at(1, InputError("x: y; z")), 1, lambda: counted.append(1)))
    assert len(counted) == 3
