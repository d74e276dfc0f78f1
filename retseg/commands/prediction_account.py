"""The account of a call of `retseg predict`: run.json, scans.csv, failures.csv and review.csv in its output folder."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter
from typing import Any

from retseg.commands.run_file import counted, read_run_file, versions, write_run_file
from retseg.data.readers.volume import ScanVolume
from retseg.errors import InputError
from retseg.evaluation.atomic import make_folder, remove_partial
from retseg.evaluation.output import write_csv
from retseg.inference.gate import GatedPredictor
from retseg.inference.outputs import Outputs
from retseg.inference.record import VolumeRecord
from retseg.inference.review import review_queue
from retseg.inference.stream import Failure

COMMAND = "retseg predict"
PACKAGES = ("torch", "numpy", "scipy", "pillow", "pydicom", "nibabel")


@dataclass(slots=True, eq=False)
class Account:
    """What is known of a call so far. about: what does not change during it (networks, settings, versions)."""

    folder: Path
    about: Mapping[str, Any]
    start: float
    warnings: Counter[str]
    rows: list[Mapping[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    num_skipped: int = 0

    def fail(self, name: str, reason: str) -> None:
        """Count a file or scan that could not be read or written."""
        self.failures.append({"scan": name, "reason": reason})

    def note(self, words: str) -> None:
        """Something that readers of the numbers should know."""
        self.warnings[words] += 1

    def skip(self, volume: ScanVolume, record: VolumeRecord) -> None:
        """Count a volume that an earlier call finished."""
        self.num_skipped += len(volume.numbers)
        self.rows.extend(record.scans)
        self.warnings.update(record.notices)

    def add(self, record: VolumeRecord, failures: Sequence[Failure]) -> None:
        """Count a volume that was predicted now."""
        self.rows.extend(record.scans)
        self.warnings.update(record.notices)
        for failure in failures:
            self.fail(failure.name, failure.reason)

    @property
    def verdicts(self) -> dict[str, int]:
        """How many scans pass, are to be checked, fail."""
        counts = Counter(row["verdict"] for row in self.rows)
        return {level: counts[level] for level in ("pass", "check", "fail")}

    @property
    def seconds(self) -> float:
        """Since the call began."""
        return perf_counter() - self.start

    def close(self, status: str) -> None:
        """Write the tables, and run.json last. status: "finished" or "stopped"."""
        write_csv(self.folder / "scans.csv", self.rows)
        write_csv(self.folder / "review.csv", [place.row() for place in review_queue(self.rows)])
        write_csv(self.folder / "failures.csv", self.failures)
        write_run_file(self.folder, self.content(status))

    def content(self, status: str) -> dict[str, Any]:
        """What run.json holds."""
        return {
            **self.about,
            "status": status,
            "seconds": round(self.seconds, 1),
            "scans": len(self.rows),
            "scans_of_an_earlier_call": self.num_skipped,
            "verdicts": self.verdicts,
            "failures": self.failures,
            "warnings": counted(self.warnings),
        }


def open_account(
    folder: Path, gated: GatedPredictor, outputs: Outputs, is_resumed: bool, is_overwriting: bool
) -> Account:
    """Begin a call in a folder: from now on it holds run.json, with status "running".

    InputError where the folder holds another call's files and the user said neither --resume nor --overwrite, or
    wants to go on with other networks or settings.
    """
    made = _made_by(gated, outputs)
    before = read_run_file(folder, COMMAND)
    if before is not None:
        if not (is_resumed or is_overwriting):
            raise InputError(
                f"{folder}: holds predictions already; go on with --resume, write over them with --overwrite, "
                "or choose another folder with -o"
            )
        if is_resumed and before.get("made_by") != made:
            changed = [name for name in made if before.get("made_by", {}).get(name) != made[name]]
            raise InputError(f"{folder}: was made with other {', '.join(changed)}; choose another folder with -o")
    make_folder(folder)
    remove_partial(folder)
    about = {
        "command": COMMAND,
        "made_by": made,
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **versions(PACKAGES),
    }
    account = Account(folder, about, perf_counter(), Counter(outputs.notices))
    write_run_file(folder, account.content("running"))
    return account


def _made_by(gated: GatedPredictor, outputs: Outputs) -> dict[str, Any]:
    """What decides the result: networks, how they look, what is written. Plain JSON."""
    members = gated.predictor.members
    cards = dict.fromkeys(
        (member.network.card.name, member.network.card.sha256, member.network.engine) for member in members
    )
    return {
        "networks": [{"name": name, "sha256": sha256, "engine": engine} for name, sha256, engine in cards],
        "views": [_view(member.view.is_mirrored, member.view.gain, member.view.shift) for member in members],
        "smoothness": gated.predictor.smoothness,
        "outputs": sorted(outputs.kinds),
        "fovea": None if outputs.fovea is None else list(outputs.fovea),
        "predict_anyway": gated.is_forced,
    }


def _view(is_mirrored: bool, gain: float, shift: float) -> dict[str, Any]:
    return {"mirrored": is_mirrored, "gain": gain, "shift": shift}
