"""Split files: JSON with the lists `train` and `val`, and `test` if there is one. Their members as keys of a source."""

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from retseg.bscan import ScanKey
from retseg.errors import InputError

SIDES = ("train", "val", "test")


def read_split_file(
    path: Path, keys: Sequence[ScanKey]
) -> tuple[tuple[ScanKey, ...], tuple[ScanKey, ...], tuple[ScanKey, ...]]:
    """Keys that train, validate and test, as a split file lists them (test: empty if it is not listed).

    A member is a key's name (`s03_b10_g1`), a B-scan's (`s03_b10`: all its graders), a subject's (`s03`: all its
    scans), or a number: the place among the sorted keys from 0, which is the index in the paper's arrays. The same
    key on two sides is let through: that is for the audit to say. InputError for all that names no scan of the data.
    """
    ordered = sorted(keys)
    places: dict[str, list[int]] = {}
    for place, key in enumerate(ordered):
        for name in {key.subject, key.scan_name}:
            places.setdefault(name, []).append(place)
    places |= {key.name: [place] for place, key in enumerate(ordered) if key.grader}
    train, val, test = read_members(path, places, [key.name for key in ordered])
    return tuple(ordered[i] for i in train), tuple(ordered[i] for i in val), tuple(ordered[i] for i in test)


def read_members(
    path: Path, places: Mapping[str, Sequence[int]], names: Sequence[str]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Places 0..N-1 that the members of a split file stand for, a tuple a side.

    places: what each word that may be listed stands for; names (N,): what each place is called in a refusal.
    """
    content = _read_json(path)
    sides = []
    for side in SIDES:
        members = content.get(side, [] if side == "test" else None)
        if not isinstance(members, list) or (side != "test" and not members):
            found = "is not there" if members is None else "is empty" if members == [] else f"is {members!r:.40}"
            raise InputError(f"{path}: {side} {found}, expected a list of at least one scan by name or index")
        sides.append(_resolved(f"{path}, {side}", members, places, names))
    return sides[0], sides[1], sides[2]


def _read_json(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; name a JSON file with the lists train and val") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name a JSON file") from error
    except (ValueError, RecursionError) as error:  # not JSON, or not even text, or lists in lists without end
        raise InputError(f"{path}: not JSON ({error}); expected an object with the lists train and val") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a {type(content).__name__}, expected an object with the lists train and val")
    return content


def _resolved(
    place: str, members: Sequence[object], places: Mapping[str, Sequence[int]], names: Sequence[str]
) -> tuple[int, ...]:
    """Places of one side's members, in their order. InputError where one is unknown or stands there twice."""
    listed_as: dict[int, object] = {}
    for member in members:
        for found in _places_of(place, member, places, names):
            if found in listed_as:
                earlier = listed_as[found]
                how = "twice" if earlier == member else f"twice, as {earlier!r} and as {member!r}"
                raise InputError(f"{place}: {names[found]} is listed {how}; list it once")
            listed_as[found] = member
    return tuple(listed_as)


def _places_of(place: str, member: object, places: Mapping[str, Sequence[int]], names: Sequence[str]) -> Sequence[int]:
    """What one member stands for."""
    if isinstance(member, int) and not isinstance(member, bool):
        if not 0 <= member < len(names):
            raise InputError(f"{place}: index {member}, the data has scans 0 to {len(names) - 1}; correct the list")
        return (member,)
    if not isinstance(member, str):
        raise InputError(f"{place}: {member!r:.40}, expected names or whole numbers; correct the list")
    if member not in places:
        near = difflib.get_close_matches(member, places, n=1)
        hint = f"did you mean {near[0]}" if near else f"names look like {names[0]}"
        raise InputError(f"{place}: no scan or subject {member!r:.60} among the {len(names)} of the data; {hint}")
    return places[member]
