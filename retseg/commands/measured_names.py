"""Which files of labels form a volume, and which B-scan each is: by their names, or by the user's pattern."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retseg.bscan import Eye
from retseg.data.readers.names import natural_key, safe_name, safe_part, unique_names
from retseg.errors import InputError
from retseg.evaluation.label_volumes import label_ending, label_paths

DEFAULT = re.compile(r"(?P<volume>.+?)_b(?P<bscan>\d+)(?P<grader>_g\d)?(?:_(?:mask|surfaces))?")
"""Names that retseg gives: volume, B-scan, grader; e.g. s03_b10_g1, Subject_01_b010_mask. A grader's are a volume."""

_DEEPEST = 4
"""Folders above a place that are looked at: `retseg predict` writes volumes as deep as its scans lie."""

_EYES: dict[str, Eye] = {"od": "OD", "r": "OD", "right": "OD", "os": "OS", "l": "OS", "left": "OS"}

_ENDS = re.compile(r"(.+)_(?:mask|surfaces)")


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A file: the name of its scan, and its B-scan in its volume, None where its name does not say."""

    path: Path
    scan: str
    bscan: int | None = None


@dataclass(frozen=True, slots=True)
class NamedVolume:
    """Files of one volume, in the order of their B-scans. name: parts parted by "/". eye: if a pattern says it."""

    name: str
    files: tuple[LabelFile, ...]
    eye: Eye | None = None

    @property
    def is_alone(self) -> bool:
        """Whether nothing says that the one file belongs to a volume."""
        return self.files[0].bscan is None


def read_pattern(text: str) -> re.Pattern[str]:
    """The pattern of --volumes-by, which may have a group eye besides volume and bscan.

    InputError where it is no regular expression, or lacks one of these two.
    """
    example = "e.g. '(?P<volume>.+)/(?P<bscan>[0-9]+)'"
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise InputError(f"--volumes-by {text}: no regular expression ({error}); {example}") from error
    if missing := {"volume", "bscan"} - pattern.groupindex.keys():
        raise InputError(f"--volumes-by {text}: no group named {' and '.join(sorted(missing))}; {example}")
    return pattern


def named_volumes(paths: Sequence[Path], root: Path, pattern: re.Pattern[str] | None = None) -> list[NamedVolume]:
    """Volumes in natural order of their names, which are paths below root without ending.

    Without a pattern, a name that is not like retseg's is a file by itself. InputError where two files are one B-scan,
    or the user's pattern is not in a name or finds no number.
    """
    volumes: dict[tuple[str, Eye | None], dict[int, Path]] = {}
    alone: list[Path] = []
    for path in paths:
        found = _volume_and_bscan(path, root, pattern)
        if found is None:
            alone.append(path)
            continue
        volume, bscan, eye = found
        other = volumes.setdefault((volume, eye), {}).setdefault(bscan, path)
        if other is not path:
            raise InputError(f"{path}: B-scan {bscan} of {volume}, as {other} is; keep one file a B-scan")
    wanted = [(safe_name((f"{name}_{eye}" if eye else name).split("/")), "") for name, eye in volumes]
    wanted += [(safe_name(_scan_name(path, root).split("/")), (label_ending(path) or "")[1:]) for path in alone]
    names = unique_names(wanted)
    found_volumes = [
        NamedVolume(name, _label_files(name, files), eye)
        for name, ((_, eye), files) in zip(names, volumes.items(), strict=False)
    ]
    found_volumes += [
        NamedVolume(name, (LabelFile(path, name.rpartition("/")[2]),))
        for name, path in zip(names[len(volumes) :], alone, strict=True)
    ]
    return sorted(found_volumes, key=lambda volume: natural_key(volume.name))


def _label_files(volume: str, files: Mapping[int, Path]) -> tuple[LabelFile, ...]:
    """Files by B-scan, called after themselves; after their B-scan where two of other folders are called the same."""
    names = {bscan: safe_part(_scan_name(path, path.parent)) for bscan, path in files.items()}
    if len({name.casefold() for name in names.values()}) < len(names):
        names = {bscan: f"{volume.rpartition('/')[2]}_b{bscan:03d}" for bscan in files}
    return tuple(LabelFile(files[bscan], names[bscan], bscan) for bscan in sorted(files))


def _scan_name(path: Path, root: Path) -> str:
    """A file's path below root, without its ending and what retseg writes behind a scan's name."""
    name = path.relative_to(root).as_posix()
    name = name[: len(name) - len(label_ending(path) or "")]
    match = _ENDS.fullmatch(name)
    return match[1] if match else name


def _volume_and_bscan(path: Path, root: Path, pattern: re.Pattern[str] | None) -> tuple[str, int, Eye | None] | None:
    """Volume, B-scan and eye that a name says; None where it says nothing and there is no pattern of the user's."""
    name = path.relative_to(root).as_posix()
    name = name[: len(name) - len(label_ending(path) or "")]
    if pattern is None:
        match = DEFAULT.fullmatch(name)
        if match is None:
            return None
        parts = (match["volume"] + (match["grader"] or "")).split("/")
        # retseg puts the files of a volume into a folder called like it.
        return "/".join(parts[:-1] if parts[-1:] == parts[-2:-1] else parts), int(match["bscan"]), None
    match = pattern.search(name)
    if match is None:
        raise InputError(f"--volumes-by: {pattern.pattern} is not in {name}; change it")
    volume, bscan = match["volume"], match["bscan"]
    if not volume or not (bscan or "").isdecimal():
        raise InputError(
            f"--volumes-by: {pattern.pattern} finds volume {volume!r}, B-scan {bscan!r} in {name}; expected a name and "
            "a whole number"
        )
    return volume, int(bscan), _eye(match.groupdict().get("eye"), name)


def _eye(word: str | None, name: str) -> Eye | None:
    """The eye that a word in a name means. InputError where it is none."""
    if not word:
        return None
    if (eye := _EYES.get(word.casefold())) is None:
        raise InputError(f"--volumes-by: finds eye {word!r} in {name}; expected one of {', '.join(_EYES)}")
    return eye


def labels_of(place: Path) -> list[Path]:
    """Files of labels below a place; of what `retseg predict` or `retseg measure` wrote, the surfaces alone.

    Such folders below the place are left out: they hold what came of labels or scans, perhaps of these.
    """
    paths = label_paths(place)
    if place.is_file():
        return paths
    if any(_is_written(folder) for folder in (place, *place.resolve().parents[:_DEEPEST])):
        surfaces = [path for path in paths if path.name.endswith("_surfaces.csv")]
        if not surfaces:
            raise InputError(f"{place}: retseg wrote it, without surfaces; make them with --save surfaces")
        return surfaces
    written = {folder for folder in {p for path in paths for p in path.parents} if _is_written(folder)}
    kept = [path for path in paths if written.isdisjoint(path.parents)]
    if not kept:
        raise InputError(f"{place}: all labels below it are in {min(written)}, which retseg wrote; name that folder")
    return kept


def _is_written(folder: Path) -> bool:
    """Whether `retseg predict` or `retseg measure` wrote a folder."""
    try:
        content = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False  # nobody's run.json, or somebody else's
    return isinstance(content, dict) and content.get("command") in ("retseg predict", "retseg measure")
