"""The scans that the page has open: one drop of files at a time, in a temporary folder, answers bounded in memory.

All but looking a drop up runs in the one thread of the server that works, so nothing here is locked.
"""

import secrets
import shutil
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

from retseg.bscan import Spacing
from retseg.data.readers.find import find_scans
from retseg.data.readers.names import safe_part
from retseg.data.readers.options import ReadOptions, with_options
from retseg.data.readers.volume import RawBScan, ScanVolume
from retseg.errors import InputError
from retseg.inference.network import ScanNetwork
from retseg.inference.predicted import PredictedScan
from retseg.view.answers import scan_json, volume_json
from retseg.view.heat import HeatMaps, heat_maps
from retseg.view.networks import Stopwatch, choices
from retseg.view.refusal import Refusal

MOST_PIXELS = 2**23
"""Of a B-scan: a larger one would not be answered while one waits."""

KEPT_SCANS, KEPT_HEATS = 16, 2
"""Answers and explanations that stay in memory; the one used longest ago goes first."""

MOST_FILES = 2000
"""In one drop: a B-scan a file, as pictures of a dense volume are."""

LARGEST_UM = 1000.0
"""A pixel size beyond this is a slip of the keyboard."""

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Place:
    """Which scan is asked for, and of which choice of networks; forced: also what the quality gate fails."""

    choice: int
    volume: int
    number: int
    forced: bool = False


@dataclass(slots=True, eq=False)
class Drop:
    """Files that were dropped together. read: volumes as their files have them; volumes: with the user's pixel size."""

    id: str
    folder: Path  # called "scans": what several files make together is named after it
    num_bytes: int = 0
    num_files: int = 0
    read: tuple[ScanVolume, ...] = ()
    volumes: tuple[ScanVolume, ...] = ()
    failures: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    scans: "OrderedDict[Place, PredictedScan]" = field(default_factory=OrderedDict)
    heats: "OrderedDict[Place, tuple[HeatMaps, ...]]" = field(default_factory=OrderedDict)
    seconds: dict[Place, dict[str, float]] = field(default_factory=dict)


class Session:
    """What the server knows: networks, and the drop that is open.

    folder: temporary, its owner removes it. max_bytes: of all files of a drop together.
    """

    def __init__(self, networks: Sequence[ScanNetwork], folder: Path, max_bytes: int) -> None:
        self.stopwatch = Stopwatch()
        self.choices = choices(networks, self.stopwatch)
        self.folder, self.max_bytes = folder, max_bytes
        self._drop: Drop | None = None

    def begin(self) -> str:
        """A new drop in place of the old one, whose files go at once; its id."""
        self.close()
        drop = Drop(secrets.token_hex(8), self.folder / secrets.token_hex(8) / "scans")
        drop.folder.mkdir(parents=True)
        self._drop = drop
        return drop.id

    def close(self) -> None:
        """Let go of everything that was dropped."""
        if self._drop is not None:
            shutil.rmtree(self._drop.folder.parent, ignore_errors=True)
            self._drop = None

    def drop(self, drop_id: str) -> Drop:
        """The open drop. Refusal (410) where others took its place."""
        if self._drop is None or self._drop.id != drop_id:
            raise Refusal(410, "these scans are no longer open: other scans took their place; drop them again")
        return self._drop

    def place_file(self, drop_id: str, name: str) -> Path:
        """Where a dropped file of a name ("folder/scan.png") is to be written; nothing outside the drop's folder.

        Refusal (413) for more files than MOST_FILES. InputError for two of one name.
        """
        drop = self.drop(drop_id)
        if drop.num_files >= MOST_FILES:
            raise Refusal(
                413, f"more than {MOST_FILES} files at once; drop fewer, or use `retseg predict` for a folder"
            )
        parts = [safe_part(part) for part in name.replace("\\", "/").split("/") if part.strip()][-8:]
        path = drop.folder.joinpath(*parts or ["scan"])
        if path.exists():
            raise InputError(f"{name}: two files of this name; drop one of them, or rename it")
        path.parent.mkdir(parents=True, exist_ok=True)
        drop.num_files += 1
        return path

    def open(self, drop_id: str, is_stack: bool = False, array_key: str | None = None) -> dict[str, Any]:
        """Find the scans among the dropped files; no pixels are read. InputError where there is none."""
        drop = self.drop(drop_id)
        try:
            found = find_scans([drop.folder], ReadOptions(is_stack=is_stack, array_key=array_key))
        except InputError as error:
            raise InputError(self.without_folder(drop, str(error))) from error
        drop.read = drop.volumes = tuple(_bounded(volume) for volume in found.volumes)
        drop.failures = tuple(self.without_folder(drop, reason) for _, reason in found.failures)
        drop.ignored = tuple(str(path.relative_to(drop.folder)) for path in found.ignored)
        self._forget(drop)
        if not drop.volumes:
            raise InputError("; ".join(drop.failures) or "no scan among the dropped files")
        return self.about(drop_id)

    def about(self, drop_id: str) -> dict[str, Any]:
        """What is open."""
        drop = self.drop(drop_id)
        return {
            "id": drop.id,
            "volumes": [volume_json(volume) for volume in drop.volumes],
            "failures": list(drop.failures),
            "ignored": list(drop.ignored),
        }

    def set_spacing(self, drop_id: str, axial_um: Any, lateral_um: Any) -> dict[str, Any]:
        """The user's pixel size in um for all volumes, None: what the files say. InputError for no such size."""
        drop = self.drop(drop_id)
        said = Spacing(_size("axial", axial_um), _size("lateral", lateral_um), "user")
        drop.volumes = tuple(with_options(volume, ReadOptions(spacing=said)) for volume in drop.read)
        self._forget(drop)
        return self.about(drop_id)

    def scan(self, drop_id: str, place: Place) -> PredictedScan:
        """A scan with its surfaces, from memory if it is there. InputError where it cannot be read."""
        drop = self.drop(drop_id)
        if place in drop.scans:
            drop.scans.move_to_end(place)
            return drop.scans[place]
        volume = self.volume(drop_id, place)
        choice = self.choices[place.choice]
        gated = choice.forced if place.forced else choice.gated
        self.stopwatch.seconds, start = 0.0, perf_counter()
        try:
            found = gated.predict(volume, place.number)
        except (InputError, OSError) as error:
            raise InputError(self.without_folder(drop, str(error))) from error
        drop.seconds[place] = {"all": perf_counter() - start, "network": self.stopwatch.seconds}
        _keep(drop.scans, place, found, KEPT_SCANS)
        return found

    def volume(self, drop_id: str, place: Place) -> ScanVolume:
        """The volume of a place. Refusal (404) where there is no such choice, volume or B-scan."""
        drop = self.drop(drop_id)
        is_known = 0 <= place.choice < len(self.choices) and 0 <= place.volume < len(drop.volumes)
        if not is_known or place.number not in drop.volumes[place.volume].numbers:
            raise Refusal(404, "no such scan or network here; reload the page")
        return drop.volumes[place.volume]

    def answer(self, drop_id: str, place: Place) -> dict[str, Any]:
        """What the page is told of a scan."""
        scan, volume = self.scan(drop_id, place), self.volume(drop_id, place)
        return scan_json(scan, volume, self.choices[place.choice], self.drop(drop_id).seconds[place])

    def heats(self, drop_id: str, place: Place) -> tuple[HeatMaps, ...]:
        """The explanation of a scan. Refusal (409) where its network cannot be explained, or found nothing."""
        drop = self.drop(drop_id)
        if place not in drop.heats:
            scan = self.scan(drop_id, place)
            _keep(drop.heats, place, heat_maps(self.choices[place.choice], scan), KEPT_HEATS)
        drop.heats.move_to_end(place)
        return drop.heats[place]

    def without_folder(self, drop: Drop, words: str) -> str:
        """A message without the temporary folder, which says nothing to who dropped a file."""
        return words.replace(f"{drop.folder}/", "").replace(str(drop.folder), "the dropped files")

    def _forget(self, drop: Drop) -> None:
        drop.scans.clear()
        drop.heats.clear()
        drop.seconds.clear()


def _bounded(volume: ScanVolume) -> ScanVolume:
    """The volume, its B-scans refused where they have more than MOST_PIXELS."""

    def read(number: int) -> RawBScan:
        raw = volume.read(number)
        if raw.image.size > MOST_PIXELS:
            rows, columns = raw.image.shape
            raise InputError(
                f"{volume.scan_name(number)}: {rows} x {columns} pixels, at most {MOST_PIXELS:,} are shown; "
                "use `retseg predict`"
            )
        return raw

    return replace(volume, read=read)


def _keep(kept: "OrderedDict[Key, Value]", key: Key, value: Value, most: int) -> None:
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)


def _size(direction: str, um: Any) -> float | None:
    """A pixel size in um. InputError for anything but nothing or a number above 0, up to LARGEST_UM."""
    if um is None:
        return None
    if isinstance(um, bool) or not isinstance(um, int | float) or not 0 < um <= LARGEST_UM:
        raise InputError(
            f"{direction} pixel size {um!r:.40}: expected um above 0, at most {LARGEST_UM:g}, e.g. "
            f"{3.87 if direction == 'axial' else 11.33}"
        )
    return float(um)
