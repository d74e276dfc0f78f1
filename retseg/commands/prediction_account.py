"""The account of a call of `retseg predict`: run.json, scans.csv, failures.csv and review.csv in its output folder."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter
from typing import Any

from retseg import __version__
from retseg.commands.run_file import counted, read_run_file, versions, write_run_file
from retseg.errors import InputError
from retseg.evaluation.atomic import remove_partial
from retseg.evaluation.output import write_csv
from retseg.inference.gate import GatedPredictor
from retseg.inference.kept_scans import FOLDER as UNFINISHED
from retseg.inference.outputs import Outputs
from retseg.inference.record import FOLDER as RECORDS
from retseg.inference.record import VolumeRecord, recorded_names, saved_rows
from retseg.inference.review import review_queue
from retseg.inference.stream import Failure

COMMAND = "retseg predict"
PACKAGES = ("torch", "numpy", "scipy", "pillow", "pydicom", "nibabel")


@dataclass(frozen=True, slots=True)
class _Told:
    """What is kept of a volume in memory. rows: of one with failures; the others' are in their record on the disk."""

    num_scans: int
    verdicts: Counter[str]
    notices: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...] | None

    @classmethod
    def of(cls, record: VolumeRecord, is_saved: bool) -> "_Told":
        verdicts = Counter(str(row["verdict"]) for row in record.scans)
        return cls(len(record.scans), verdicts, record.notices, None if is_saved else record.scans)


@dataclass(slots=True, eq=False)
class Account:
    """What is known of a call so far; a scan's row is read from its volume's record when a table needs it.

    about: what does not change during it (networks, settings, versions). names: of its volumes, in the order of the
    tables, whichever of them an earlier call finished.
    """

    folder: Path
    about: Mapping[str, Any]
    start: float
    names: Sequence[str]
    warnings: Counter[str]
    volumes: dict[str, _Told] = field(default_factory=dict)
    failures: list[dict[str, str]] = field(default_factory=list)
    num_skipped: int = 0

    def fail(self, name: str, reason: str) -> None:
        """Count a file or scan that could not be read or written."""
        self.failures.append({"scan": name, "reason": reason})

    def note(self, words: str) -> None:
        """Something that readers of the numbers should know."""
        self.warnings[words] += 1

    def skip(self, record: VolumeRecord) -> None:
        """Count a volume that an earlier call finished."""
        self.num_skipped += len(record.scans)
        self.volumes[record.name] = _Told.of(record, is_saved=True)

    def add(self, record: VolumeRecord, failures: Sequence[Failure]) -> None:
        """Count a volume that was predicted now; without failures its record is on the disk."""
        self.volumes[record.name] = _Told.of(record, is_saved=not failures)
        for failure in failures:
            self.fail(failure.name, failure.reason)

    @property
    def num_scans(self) -> int:
        """That are predicted."""
        return sum(told.num_scans for told in self.volumes.values())

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """Of scans.csv, volume by volume."""
        for name in self.names:
            if (told := self.volumes.get(name)) is not None:
                yield from saved_rows(self.folder, name) if told.rows is None else told.rows

    @property
    def notes(self) -> Counter[str]:
        """Notices of the call and of its volumes, with how often each was given."""
        of_volumes = [self.volumes[name].notices for name in self.names if name in self.volumes]
        return sum((Counter(notices) for notices in of_volumes), self.warnings.copy())

    @property
    def verdicts(self) -> dict[str, int]:
        """How many scans pass, are to be checked, fail."""
        counts = sum((told.verdicts for told in self.volumes.values()), Counter[str]())
        return {level: counts[level] for level in ("pass", "check", "fail")}

    @property
    def seconds(self) -> float:
        """Since the call began."""
        return perf_counter() - self.start

    def close(self, status: str) -> None:
        """Write the tables, and run.json last. status: "finished" or "stopped"."""
        write_csv(
            self.folder / "scans.csv", self.rows(), list(dict.fromkeys(name for row in self.rows() for name in row))
        )
        queue = review_queue(self.rows())
        write_csv(self.folder / "review.csv", (place.row() for place in queue), list(queue[0].row()) if queue else [])
        write_csv(self.folder / "failures.csv", self.failures)
        write_run_file(self.folder, self.content(status))

    def content(self, status: str) -> dict[str, Any]:
        """What run.json holds."""
        return {
            **self.about,
            "status": status,
            "seconds": round(self.seconds, 1),
            "scans": self.num_scans,
            "scans_of_an_earlier_call": self.num_skipped,
            "verdicts": self.verdicts,
            "failures": self.failures,
            "warnings": counted(self.notes),
        }


def open_account(folder: Path, made: Mapping[str, Any], names: Sequence[str], is_overwriting: bool) -> Account:
    """Begin a call in a folder that this process holds, or go on with one: now it has run.json, status "running".

    made: see `made_by`. names: of the call's volumes. InputError where the folder holds predictions by other networks,
    with other settings or of other scans, and the user did not say --overwrite.
    """
    before = read_run_file(folder, COMMAND)
    if before is not None and not is_overwriting:
        _refuse_another(folder, before.get("made_by", {}), made, names)
    remove_partial(folder)
    if is_overwriting:  # what an earlier call did must not count as done by this one
        for done in (RECORDS, UNFINISHED):
            shutil.rmtree(folder / done, ignore_errors=True)
    about = {
        "command": COMMAND,
        "made_by": made,
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **versions(PACKAGES),
    }
    account = Account(folder, about, perf_counter(), names, Counter())
    write_run_file(folder, account.content("running"))
    return account


def _refuse_another(folder: Path, before: Mapping[str, Any], made: Mapping[str, Any], names: Sequence[str]) -> None:
    next_step = "choose another folder with -o, or write over it with --overwrite"
    if changed := [name for name in made if before.get(name) != made[name]]:
        raise InputError(f"{folder}: was made with other {', '.join(changed)}; {next_step}")
    if others := sorted(recorded_names(folder) - set(names)):
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise InputError(f"{folder}: holds predictions of other scans ({others[0]}{more}); {next_step}")


def made_by(gated: GatedPredictor, outputs: Outputs, said: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the result: networks, how they look, what is written, what the user said of scans. Plain JSON.

    reference: SHA-256 of what the first network is calibrated by.
    """
    members = gated.predictor.members
    cards = dict.fromkeys(
        (member.network.card.name, member.network.card.sha256, member.network.engine) for member in members
    )
    reference = json.dumps(members[0].network.card.reference, sort_keys=True)
    return {
        "networks": [{"name": name, "sha256": sha256, "engine": engine} for name, sha256, engine in cards],
        "views": [_view(member.view.is_mirrored, member.view.gain, member.view.shift) for member in members],
        "smoothness": gated.predictor.smoothness,
        "outputs": sorted(outputs.kinds),
        "fovea": None if outputs.fovea is None else list(outputs.fovea),
        "predict_anyway": gated.is_forced,
        "reference": hashlib.sha256(reference.encode()).hexdigest(),
        "retseg": __version__,
        **said,
    }


def _view(is_mirrored: bool, gain: float, shift: float) -> dict[str, Any]:
    return {"mirrored": is_mirrored, "gain": gain, "shift": shift}
