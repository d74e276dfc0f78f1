"""Names of scans: in the order that people expect, safe below an output folder on every system, and unique."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\u200e\u200f\ufeff]')
"""What Windows refuses, control characters, bytes that are no text, and signs that turn the direction of writing."""

_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
"""Names of devices on Windows, with any ending."""

_LONGEST_BYTES = 180
"""Of a part: file systems take 255, and endings such as `_b010_overlay.png` follow."""


def natural_key(text: str) -> tuple[object, ...]:
    """Sorts numbers in names by their value: b2 before b10; case counts last."""
    parts = re.split(r"([0-9]+)", text)
    return (tuple((int(part), "") if i % 2 else (-1, part.casefold()) for i, part in enumerate(parts)), text)


def safe_part(text: str) -> str:
    """One part of a name: what a file system may refuse or misread becomes "_"; unicode, spaces and "=" stay."""
    text = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", text)).strip(" ")
    if text.startswith("."):
        text = "_" + text[1:]  # neither hidden nor ".."
    if text.endswith("."):
        text = text.rstrip(". ") + "_"
    text = text.encode()[:_LONGEST_BYTES].decode(errors="ignore").rstrip(" ")
    return f"{text}_" if _RESERVED.fullmatch(text) else text or "scan"


def safe_name(parts: Sequence[str]) -> str:
    """A name of several parts, parted by "/"."""
    return "/".join(safe_part(part) for part in parts)


def unique_names(wanted: Sequence[tuple[str, str]]) -> list[str]:
    """A name of its own for each (name, ending): those of one name get their ending, then a number.

    Names that differ in case alone count as the same, as they do on many file systems.
    """
    endings: dict[str, set[str]] = defaultdict(set)
    for name, ending in wanted:
        endings[name.casefold()].add(ending.casefold())
    longer = [
        f"{name}_{safe_part(ending)}" if ending and len(endings[name.casefold()]) > 1 else name
        for name, ending in wanted
    ]
    reserved = {name.casefold() for name in longer}
    taken: set[str] = set()
    names = []
    for name in longer:
        unique, number = name, 2
        while unique.casefold() in taken or (unique != name and unique.casefold() in reserved):
            unique, number = f"{name}_{number}", number + 1
        taken.add(unique.casefold())
        names.append(unique)
    return names


def stem_and_ending(path: Path, endings: Sequence[str]) -> tuple[str, str]:
    """A file's name without its ending, and the ending without its dot; a dot in a name alone ends nothing."""
    if path.suffix.lower() in endings:
        return path.stem, path.suffix[1:]
    return path.name, ""
