"""What is done of a call of `retseg predict`: a record a volume, written last, so that a stopped call can go on."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retseg.data.readers.volume import ScanVolume
from retseg.errors import InputError
from retseg.evaluation.atomic import make_folder, replacing_file
from retseg.geometry.thickness import mean_thickness, thickness_profile
from retseg.inference.fluid_tables import fluid_cells
from retseg.inference.intervals import Intervals
from retseg.inference.predicted import PredictedScan
from retseg.inference.review import HALF_WIDTH, SPREAD, mean_half_width_px

FOLDER = "records"


@dataclass(frozen=True, slots=True)
class VolumeRecord:
    """A finished volume: where it came from, its rows of scans.csv, the files written for it, and its notices.

    stamp: of the source file, see `source_stamp`. files: below the output folder.
    """

    name: str
    stamp: str
    scans: tuple[Mapping[str, Any], ...]
    files: tuple[str, ...]
    notices: tuple[str, ...]


def source_stamp(path: Path) -> str:
    """What tells that a source is still the same: sizes and times of its file, or of the files of its folder."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    told = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def scan_row(
    volume: ScanVolume, scan: PredictedScan, seconds: float, intervals: Intervals | None = None
) -> dict[str, Any]:
    """A line of scans.csv: verdict and reasons, confidence, mean thickness of every slab, fluid, the scale's origin.

    With intervals, half the width of each mean's stands beside it.
    """
    profile = thickness_profile(scan.surface_rows, scan.spacing)
    means, _ = mean_thickness(profile)
    columns = {f"{slab.name} ({profile.unit})": _known(mean) for slab, mean in zip(profile.slabs, means, strict=True)}
    if intervals is not None:
        half_widths = intervals.scan_half_widths(scan.surface_rows, scan.row_sd, scan.spacing)
        for slab, half_width in zip(profile.slabs, half_widths, strict=True):
            columns[f"{slab.name} +- ({profile.unit})"] = _known(half_width)
        columns[HALF_WIDTH] = mean_half_width_px(intervals, scan.row_sd)
    is_known = np.isfinite(scan.surface_rows).all(axis=0)
    return {
        "scan": scan.name,
        "volume": volume.name,
        "file": str(volume.path),
        "bscan": scan.number,
        "subject": volume.subject,
        "eye": volume.eye,
        "verdict": scan.verdict,
        "reasons": "; ".join(f"{finding.level}: {finding.reason}" for finding in scan.findings),
        "rules": " ".join(finding.rule for finding in scan.findings),
        "rows": scan.image.shape[0],
        "columns": scan.image.shape[1],
        "columns_with_retina": int(is_known.sum()),
        "confidence": float(np.mean(scan.confidence[is_known])) if is_known.any() else None,
        SPREAD: float(np.mean(scan.row_sd[:, is_known])) if is_known.any() else None,
        **columns,
        **fluid_cells(scan),
        "axial_um": scan.spacing.axial_um,
        "lateral_um": scan.spacing.lateral_um,
        "scale_source": profile.scale_source,
        "seconds": round(seconds, 3),
    }


def _known(value: float) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None


def save_record(folder: Path, record: VolumeRecord) -> None:
    """Write a volume's record below the output folder: after all its other files."""
    path = _path(folder, record.name)
    make_folder(path.parent)
    with replacing_file(path) as partial:
        partial.write_text(json.dumps(asdict(record), allow_nan=False) + "\n", encoding="utf-8")


def load_record(folder: Path, name: str, stamp: str) -> VolumeRecord | None:
    """The record of a volume that is done: of the same source, with all its files still there; else None."""
    try:
        content = json.loads(_path(folder, name).read_text(encoding="utf-8"))
        record = VolumeRecord(
            content["name"],
            content["stamp"],
            tuple(content["scans"]),
            tuple(content["files"]),
            tuple(content["notices"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    is_whole = all((folder / file).is_file() for file in record.files)
    return record if record.stamp == stamp and is_whole else None


def saved_rows(folder: Path, name: str) -> tuple[Mapping[str, Any], ...]:
    """The rows of scans.csv of a volume that is done. InputError where its record is gone or damaged since."""
    path = _path(folder, name)
    try:
        return tuple(json.loads(path.read_text(encoding="utf-8"))["scans"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: gone or damaged since it was written; give the same command again") from error


def recorded_names(folder: Path) -> set[str]:
    """Names of the volumes that have a record below the output folder; one that a kill left half written is none."""
    paths = [path for path in (folder / FOLDER).rglob("*.json") if not path.name.startswith(".")]
    return {path.relative_to(folder / FOLDER).as_posix().removesuffix(".json") for path in paths}


def relative(paths: Sequence[Path], folder: Path) -> tuple[str, ...]:
    """Paths below a folder, with "/"."""
    return tuple(path.relative_to(folder).as_posix() for path in paths)


def _path(folder: Path, name: str) -> Path:
    return folder / FOLDER / f"{name}.json"
