"""Fetch the Duke DME set from its authors' page, whole or not at all."""

import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

import pooch
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from retseg.errors import InputError, typed_line

DUKE_PAGE = "https://people.duke.edu/~sf59/Chiu_BOE_2014_dataset.htm"
DUKE_URL = "https://people.duke.edu/~sf59/Datasets/2015_BOE_Chiu2.zip"
TIMEOUT_S = 30
MAX_UNPACKED_BYTES = 8 * 1024**3
"""Largest sum of unpacked files: several times the official set."""

_ARCHIVE = "2015_BOE_Chiu2.zip"
_WANTED = re.compile(r"Subject_\d\d\.mat")


class _Bar:
    """The progress bar that pooch fills: bytes, speed and time left."""

    def __init__(self, what: str) -> None:
        columns = ("[progress.description]{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._progress = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
        self._task = self._progress.add_task(what, total=None)
        self.total = 0

    def update(self, num_bytes: int) -> None:
        """So many more bytes have arrived."""
        self._progress.start()
        self._progress.update(self._task, advance=num_bytes, total=self.total or None)

    def reset(self) -> None:
        """Back to nothing."""
        self._progress.reset(self._task)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._progress.stop()


def download_duke(root: Path, url: str = DUKE_URL, sha256: str | None = None, progress: bool = True) -> tuple[str, ...]:
    """Download the archive and unpack its `Subject_XX.mat` into root; the names of the files that are new there.

    sha256 of the archive is compared if given; if not, with the one of the first download, which is recorded in
    `2015_BOE_Chiu2.zip.sha256` beside the data. Files that are there already stay as they are. Nothing half-done
    stays. InputError, with the steps by hand, where the archive cannot be fetched, is another, or is unsafe.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as scratch:
            archive = _fetch(url, Path(scratch), progress)
            _check_sha256(archive, root / f"{_ARCHIVE}.sha256", sha256, url)
            return _unpack(archive, root)
    except OSError as error:
        raise InputError(f"{root}: cannot be written ({typed_line(error)}); choose a folder with room") from error


def _fetch(url: str, scratch: Path, progress: bool) -> Path:
    """The archive in scratch. InputError without a network, on an HTTP error, or where a web page came instead."""
    bar = _Bar(_ARCHIVE) if progress else None
    with ExitStack() as opened:

        def close_later(response: Any, **_: Any) -> None:
            opened.callback(response.close)  # pooch leaves it open where the server says no

        hooks = {"response": close_later}
        downloader = pooch.HTTPDownloader(progressbar=bar or False, chunk_size=2**16, timeout=TIMEOUT_S, hooks=hooks)
        if bar:
            opened.callback(bar.close)
        try:
            downloader(url, str(scratch / _ARCHIVE), None)
        except (OSError, ValueError) as error:  # every error of requests is one of the two
            raise InputError(f"{url}: download failed ({typed_line(error)}); {_by_hand()}") from error
    archive = scratch / _ARCHIVE
    with archive.open("rb") as file:
        head = file.read(512).lstrip().lower()
    if head.startswith((b"<!doc", b"<html", b"<?xml")):
        raise InputError(f"{url}: a web page came, expected a zip archive; {_by_hand()}")
    if not zipfile.is_zipfile(archive):
        size = archive.stat().st_size
        raise InputError(f"{url}: {size} bytes came, not a whole zip archive; try again, or {_by_hand()}")
    return archive


def _check_sha256(archive: Path, record: Path, sha256: str | None, url: str) -> None:
    """Compare the archive with the asked sha256, else with the recorded one, else record it."""
    found = pooch.file_hash(str(archive), alg="sha256")
    expected, origin = sha256, "the asked one"
    if expected is None and record.exists():
        found_there = re.match("[0-9a-fA-F]{64}", record.read_text(encoding="utf-8", errors="replace"))
        if found_there is None:
            raise InputError(f"{record}: begins with no sha256; remove it, or write the one of {_ARCHIVE} into it")
        expected, origin = found_there[0], f"the first download's in {record}"
    if expected is not None and found != expected.lower():
        raise InputError(
            f"{url}: sha256 {found}, expected {expected} ({origin}); nothing was kept, try again or ask its authors"
        )
    record.write_text(f"{found}  {_ARCHIVE}\n", encoding="utf-8")


def _unpack(archive: Path, root: Path) -> tuple[str, ...]:
    """Move the `Subject_XX.mat` members that root lacks into it, all or none; their names."""
    unpacked = archive.parent / "unpacked"
    unpacked.mkdir()
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = _safe_members(zipped)
            for name, member in members.items():
                with zipped.open(member) as packed, (unpacked / name).open("wb") as file:
                    shutil.copyfileobj(packed, file)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise InputError(
            f"{_ARCHIVE}: damaged archive ({typed_line(error)}); nothing was kept, download it again"
        ) from error
    new = tuple(name for name in members if not (root / name).exists())
    for name in new:
        (unpacked / name).replace(root / name)
    return new


def _safe_members(zipped: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The wanted members by bare file name, sorted. InputError where any member of the archive is a trick."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in zipped.infolist():
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            raise InputError(f"{_ARCHIVE}: member {member.filename!r} lies outside the archive; refused")
        kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where another system than Unix packed it
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            what = "a symbolic link" if kind == stat.S_IFLNK else "no plain file"
            raise InputError(f"{_ARCHIVE}: member {member.filename!r} is {what}; refused")
        if _WANTED.fullmatch(path.name):
            if path.name in members:
                raise InputError(f"{_ARCHIVE}: two members are called {path.name}, expected one; refused")
            members[path.name] = member
    if not members:
        raise InputError(f"{_ARCHIVE}: no Subject_XX.mat among its {len(zipped.infolist())} members; {_by_hand()}")
    num_bytes = sum(
        member.file_size for member in members.values()
    )  # zipfile reads no more of a member than it declares
    if num_bytes > MAX_UNPACKED_BYTES:
        raise InputError(f"{_ARCHIVE}: unpacks to {num_bytes} bytes, expected at most {MAX_UNPACKED_BYTES}; refused")
    return dict(sorted(members.items()))


def _by_hand() -> str:
    return f"by hand: open {DUKE_PAGE}, download {_ARCHIVE}, unpack its Subject_XX.mat into the data folder"
