"""JSON files of a run folder, read and written whole."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retseg.errors import InputError
from retseg.evaluation.atomic import replacing_file


def read_object(path: Path) -> Mapping[str, Any]:
    """A JSON object. InputError where the file holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read ({error}); make it again with the command that wrote it") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a {type(content).__name__}, expected an object; make it again")
    return content


def write_object(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object whole or not at all. InputError where it cannot be written, ValueError for nan."""
    with replacing_file(path) as partial:
        partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
