"""Bodies of requests, stopped as soon as they are larger than allowed."""

import json
from pathlib import Path
from typing import Any

from starlette.requests import Request

from retseg.errors import InputError
from retseg.view.refusal import Refusal
from retseg.view.session import Drop

MOST_JSON_BYTES = 2**24
"""Surfaces of 8 x 8192 columns take 0.6 MB."""


async def receive_file(request: Request, path: Path, drop: Drop, max_bytes: int) -> None:
    """Write a request's body to a path, counted among the bytes of its drop.

    Refusal (413) where the drop grows beyond max_bytes: at once if the request says so itself, else while it streams;
    what was written of it goes. InputError where there is no room.
    """
    said = request.headers.get("content-length", "0")
    if said.isdigit() and drop.num_bytes + int(said) > max_bytes:
        raise _too_large(path.name, max_bytes)
    try:
        with path.open("xb") as file:
            async for chunk in request.stream():
                drop.num_bytes += len(chunk)
                if drop.num_bytes > max_bytes:
                    raise _too_large(path.name, max_bytes)
                file.write(chunk)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InputError(f"{path.name}: cannot be kept while it is shown ({error.strerror}); drop less") from error
    except BaseException:  # also a browser that leaves in the middle
        path.unlink(missing_ok=True)
        raise


def _too_large(name: str, max_bytes: int) -> Refusal:
    return Refusal(
        413,
        f"{name}: more than {max_bytes / 1e6:g} MB in one drop; drop less, or start `retseg view --max-mb` with more",
    )


async def read_json(request: Request) -> dict[str, Any]:
    """A request's JSON object. Refusal (413) beyond MOST_JSON_BYTES, InputError where it is none."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_JSON_BYTES:
            raise Refusal(413, f"more than {MOST_JSON_BYTES} bytes of JSON; reload the page")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise InputError("expected a JSON object; reload the page")
    return content
