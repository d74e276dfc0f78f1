"""The page's own files: HTML, CSS and scripts that are in the package, and no others."""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from retseg.view.refusal import Refusal

TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


async def page_file(request: Request) -> Response:
    """A file of the page; the empty name is the page itself. Refusal (404) for any other name."""
    name = request.path_params["name"] or "page.html"
    for file in (files("retseg.view") / "page").iterdir():
        ending = f".{file.name.rpartition('.')[2]}"
        if file.name == name and ending in TYPES:
            return Response(file.read_bytes(), media_type=TYPES[ending])
    raise Refusal(404, "nothing here")
