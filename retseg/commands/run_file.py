"""run.json: what a command that takes files leaves in its output folder, so that one sees what made them."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from retseg import __version__
from retseg.errors import InputError
from retseg.evaluation.json_files import read_object, write_object

RUN_FILE = "run.json"


def read_run_file(folder: Path, command: str) -> Mapping[str, Any] | None:
    """What an earlier call of a command left in a folder; None where nothing is. InputError for another command's."""
    path = folder / RUN_FILE
    if not path.is_file():
        return None
    before: Mapping[str, Any] = read_object(path)
    if before.get("command") != command:
        raise InputError(f"{path}: not of {command}; choose another folder with -o")
    return before


def write_run_file(folder: Path, content: Mapping[str, Any]) -> None:
    """Write run.json."""
    write_object(folder / RUN_FILE, content)


def versions(packages: Sequence[str]) -> dict[str, Any]:
    """Versions of retseg, Python and packages."""
    return {
        "retseg": __version__,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
    }


def counted(notices: Counter[str]) -> list[dict[str, Any]]:
    """Notices with how often each was given."""
    return [{"what": what, "times": times} for what, times in notices.items()]
