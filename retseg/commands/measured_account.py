"""The account of a call of `retseg measure LABELS`: run.json, scans.csv and failures.csv in its output folder."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from retseg.commands.run_file import RUN_FILE, counted, read_run_file, versions, write_run_file
from retseg.data.readers.volume import ScanVolume
from retseg.evaluation.atomic import make_folder, remove_partial
from retseg.evaluation.output import write_csv
from retseg.inference.stream import Failure

COMMAND = "retseg measure"
PACKAGES = ("numpy", "scipy", "pillow", "nibabel")


@dataclass(slots=True, eq=False)
class Measured:
    """What came of a call.

    volumes: as they were measured. accounts: what <volume>_volume.json says. rows: of scans.csv. notices: with the
    number of volumes that each is of.
    """

    volumes: list[ScanVolume] = field(default_factory=list)
    accounts: list[Mapping[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notices: Counter[str] = field(default_factory=Counter)
    files: list[Path] = field(default_factory=list)


def open_folder(folder: Path) -> None:
    """Make a folder ready: files of an earlier call go, so that none stands beside new ones that it does not fit.

    InputError where another command wrote the folder.
    """
    before = read_run_file(folder, COMMAND)
    if before is not None:
        for name in [*before.get("files", ()), RUN_FILE]:
            old = folder / name
            if folder.resolve() in old.resolve().parents:
                old.unlink(missing_ok=True)
    make_folder(folder)
    remove_partial(folder)


def close_folder(folder: Path, measured: Measured, options: Mapping[str, Any]) -> None:
    """Write the tables of a call and, last, run.json: where it is, the others are whole."""
    write_csv(folder / "scans.csv", measured.rows)
    write_csv(folder / "failures.csv", [{"scan": f.name, "reason": f.reason} for f in measured.failures])
    content = {
        "command": COMMAND,
        "options": options,
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **versions(PACKAGES),
        "status": "finished",
        "scans": len(measured.rows),
        "failures": [{"scan": f.name, "reason": f.reason} for f in measured.failures],
        "warnings": counted(measured.notices),
        "files": _below(folder, [*measured.files, folder / "scans.csv", folder / "failures.csv"]),
    }
    write_run_file(folder, content)


def _below(folder: Path, paths: Sequence[Path]) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]
