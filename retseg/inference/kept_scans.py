"""Scans that are done while their volume is not, so that a stopped call loses no whole scan. S surfaces, W columns."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from retseg.data.readers.volume import ScanVolume
from retseg.errors import InputError
from retseg.evaluation.atomic import make_folder, replacing_file
from retseg.evaluation.store import FLUID, read_npz, write_npz
from retseg.inference.gate import shown_image
from retseg.inference.predicted import Finding, PredictedScan
from retseg.inference.record import relative

FOLDER = "unfinished"

Written = tuple[PredictedScan, tuple[Path, ...]]
"""A scan and the files written for it."""


@dataclass(frozen=True, slots=True)
class KeptScans:
    """A file for each scan of unfinished volumes, below the output folder root; pixels are read from the source again.

    stamps: of each volume's source by the volume's name, see `source_stamp`.
    """

    root: Path
    stamps: dict[str, str]

    def numbers(self, volume: ScanVolume) -> tuple[int, ...]:
        """Numbers of the B-scans of a volume that are done: of the same source, with all their files still there."""
        return tuple(number for number in volume.numbers if self._arrays(volume, number) is not None)

    def load(self, volume: ScanVolume, number: int) -> Written | None:
        """A scan that is done, and its files; else None. InputError where its source cannot be read any more."""
        arrays = self._arrays(volume, number)
        if arrays is None:
            return None
        told = json.loads(str(arrays["told"]))
        scan = PredictedScan(
            name=volume.scan_name(number),
            number=number,
            image=shown_image(volume.read(number)),
            surface_rows=arrays["surface_rows"],
            row_sd=arrays["row_sd"],
            confidence=arrays["confidence"],
            spacing=volume.spacing,
            findings=tuple(Finding(**finding) for finding in told["findings"]),
            fluid=arrays.get(FLUID),
        )
        return scan, tuple(self.root / file for file in told["files"])

    def save(self, volume: ScanVolume, scan: PredictedScan, files: Sequence[Path]) -> None:
        """Keep a scan, after its files are written."""
        told = {
            "stamp": self.stamps[volume.name],
            "findings": [asdict(finding) for finding in scan.findings],
            "files": relative(files, self.root),
        }
        arrays = {
            "told": np.array(json.dumps(told)),
            "surface_rows": scan.surface_rows,
            "row_sd": scan.row_sd,
            "confidence": scan.confidence,
        }
        path = self._path(volume, scan.number)
        make_folder(path.parent)
        with replacing_file(path) as partial:
            write_npz(partial, arrays if scan.fluid is None else arrays | {FLUID: scan.fluid})

    def forget(self, volume: ScanVolume) -> None:
        """Remove what was kept of a volume, when its record says that it is done."""
        for number in volume.numbers:
            self._path(volume, number).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove the folders of what was kept, where no scan is kept any more. Not while scans are being kept."""
        if not any(path.is_file() for path in (self.root / FOLDER).rglob("*")):
            shutil.rmtree(self.root / FOLDER, ignore_errors=True)

    def _path(self, volume: ScanVolume, number: int) -> Path:
        return self.root / FOLDER / volume.name / f"b{number:03d}.npz"

    def _arrays(self, volume: ScanVolume, number: int) -> dict[str, np.ndarray] | None:
        """What was kept of a scan; None where nothing is, or what is no longer holds."""
        try:
            arrays = read_npz(self._path(volume, number))
            told = json.loads(str(arrays["told"]))
            is_same = told["stamp"] == self.stamps[volume.name]
            is_whole = {"surface_rows", "row_sd", "confidence"} <= arrays.keys()
            return arrays if is_same and is_whole and all((self.root / f).is_file() for f in told["files"]) else None
        except (InputError, KeyError, TypeError, ValueError):
            return None
