"""Files of scans below the PATHs of a command: folders recursively, in natural order, each file once."""

import json
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from retseg.data.readers.kinds import ENDINGS, LOOKED_FOR, Kind, kind_of
from retseg.data.readers.names import natural_key, stem_and_ending
from retseg.errors import InputError, typed_line

PREDICT_COMMAND = "retseg predict"
"""What run.json says in the folders that `retseg predict` writes."""

_LARGEST_XML_BYTES = 2**26
_NAME_ENDS = re.compile(rb"[<>/\\]")
_PICTURE_ENDINGS = (b".tif", b".tiff", b".bmp", b".png", b".jpg", b".jpeg")


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of a known kind. parts: of its name below the PATH that it was found by, without its ending."""

    path: Path
    kind: Kind
    parts: tuple[str, ...]
    ending: str
    root: Path


@dataclass(slots=True)
class Listing:
    """What was found: files to open; failures with their line each; files left out."""

    files: list[Listed] = field(default_factory=list)
    failures: list[tuple[Path, str]] = field(default_factory=list)
    ignored: list[Path] = field(default_factory=list)


def list_files(paths: Sequence[Path]) -> Listing:
    """All files of known kinds. InputError where a PATH is not there, of no known kind, or a folder without any scan.

    Left out: hidden files, folders that `retseg predict` wrote, pictures that a Heidelberg .xml names as its own,
    and what was met before (a link, or a PATH inside another).
    """
    walk = _Walk()
    for path in paths:
        walk.add_path(path)
    return walk.found


class _Walk:
    def __init__(self) -> None:
        self.found = Listing()
        self._seen: set[str] = set()
        self._num_scans = 0  # met, be they readable, new or not

    def add_path(self, path: Path) -> None:
        """One PATH of the command."""
        if not path.exists():
            what = "a link to what is not there" if path.is_symlink() else "no such file or folder"
            raise InputError(f"{path}: {what}; name scans ({LOOKED_FOR}), or a folder of them")
        if path.is_dir():
            self._add_root(path)
            return
        if not path.is_file():
            raise InputError(f"{path}: neither a file nor a folder; name scans ({LOOKED_FOR})")
        if self._is_new(path):
            self._add_file(path, path.parent, is_named=True)

    def _add_root(self, folder: Path) -> None:
        if _is_output(folder):
            raise InputError(
                f"{folder}: its run.json says that {PREDICT_COMMAND} wrote it; name the folder of the scans"
            )
        if not self._is_new(folder):
            return
        num_scans, num_ignored = self._num_scans, len(self.found.ignored)
        self._add_folder(folder, folder)
        if self._num_scans == num_scans:
            num_others = len(self.found.ignored) - num_ignored
            raise InputError(f"{folder}: no scan among its {num_others} files; looked for {LOOKED_FOR}")

    def _add_folder(self, folder: Path, root: Path) -> None:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: natural_key(entry.name))
        except OSError as error:
            self._fail(folder, f"{folder}: cannot be listed ({typed_line(error)}); see its permissions")
            return
        pictures_of_xml = _pictures_of_xml(folder, [entry.name for entry in entries])
        for entry in entries:
            path = Path(entry.path)
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                if _is_output(path):
                    self.found.ignored += sorted(other for other in path.rglob("*") if other.is_file())
                elif self._is_new(path):
                    self._add_folder(path, root)
            elif entry.name.casefold() in pictures_of_xml:
                self.found.ignored.append(path)
            else:
                self._add_file_of_folder(path, root)

    def _add_file_of_folder(self, path: Path, root: Path) -> None:
        try:
            is_file = stat.S_ISREG(path.stat().st_mode)
        except OSError as error:
            if path.suffix.lower() in ENDINGS or not path.suffix:
                what = "a link to what is not there" if path.is_symlink() else f"cannot be read ({typed_line(error)})"
                self._fail(path, f"{path}: {what}; mend or remove it")
            else:
                self.found.ignored.append(path)
            return
        if is_file and self._is_new(path):
            self._add_file(path, root, is_named=False)
            return
        self._num_scans += is_file
        self.found.ignored.append(path)

    def _add_file(self, path: Path, root: Path, is_named: bool) -> None:
        try:
            kind = kind_of(path)
        except InputError as error:
            self._fail(path, str(error))
            return
        if kind is None and is_named:
            raise InputError(f"{path}: no known kind of scan; expected {LOOKED_FOR}")
        if kind is None:
            self._seen.discard(_identity(path))
            self.found.ignored.append(path)
            return
        stem, ending = stem_and_ending(path, ENDINGS)
        parts = (*path.parent.relative_to(root).parts, stem)
        self.found.files.append(Listed(path, kind, parts, ending, root))
        self._num_scans += 1

    def _fail(self, path: Path, line: str) -> None:
        self.found.failures.append((path, line))
        self._num_scans += 1

    def _is_new(self, path: Path) -> bool:
        """Whether a file or folder was not met before, under whatever name: links to a folder above end here."""
        identity = _identity(path)
        if identity in self._seen:
            return False
        self._seen.add(identity)
        return True


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(path: Path) -> str:
    return os.path.realpath(path)


def _is_output(folder: Path) -> bool:
    """Whether `retseg predict` wrote a folder: what it holds are no scans."""
    try:
        content = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False  # nobody's run.json, or somebody else's
    return isinstance(content, dict) and content.get("command") == PREDICT_COMMAND


def _pictures_of_xml(folder: Path, names: Sequence[str]) -> set[str]:
    """Case-folded names of pictures that Heidelberg's .xml files of a folder name: those are read through them."""
    pictures: set[str] = set()
    for name in names:
        path = folder / name
        if not name.lower().endswith(".xml") or not path.is_file() or path.stat().st_size > _LARGEST_XML_BYTES:
            continue
        try:
            if kind_of(path) is Kind.VENDOR:
                words = _NAME_ENDS.split(path.read_bytes().replace(b"\0", b""))
                found = (word.strip().lower() for word in words)
                pictures |= {word.decode("latin-1").casefold() for word in found if word.endswith(_PICTURE_ENDINGS)}
        except (InputError, OSError):
            continue  # it gets its line where it is opened
    return pictures
