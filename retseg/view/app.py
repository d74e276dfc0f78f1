"""The viewer's addresses: the page, and what it asks. Paths below the token that `guard` asks for."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from retseg import __version__
from retseg.bscan import Array
from retseg.errors import InputError
from retseg.view.answers import choice_json, words_of_the_field
from retseg.view.corrected import LabelWords, corrected_scan, label_scan, read_surfaces, write_label
from retseg.view.downloads import RESEARCH_ONLY, everything, png
from retseg.view.heat import atlas
from retseg.view.page_files import page_file
from retseg.view.refusal import Refusal
from retseg.view.session import Place, Session
from retseg.view.uploads import read_json, receive_file

Result = TypeVar("Result")
Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]

PNG = "image/png"


@dataclass(frozen=True, slots=True, eq=False)
class Viewer:
    """Requests to answers. All work is done by one thread, one request after the other; uploads stream beside it.

    labels: folder for label files, None: they are downloaded.
    """

    session: Session
    worker: ThreadPoolExecutor
    labels: Path | None = None

    async def about(self, request: Request) -> Response:
        """What the page has to know before any scan is there."""
        return JSONResponse(
            {
                **words_of_the_field(),
                "version": __version__,
                "research_only": RESEARCH_ONLY,
                "choices": [choice_json(choice) for choice in self.session.choices],
                "max_bytes": self.session.max_bytes,
                "labels": None if self.labels is None else str(self.labels),
            }
        )

    async def begin(self, request: Request) -> Response:
        """A new drop."""
        return JSONResponse({"id": await self._work(self.session.begin)})

    async def add_file(self, request: Request) -> Response:
        """One file of a drop, its bytes as the request's body."""
        drop_id = request.path_params["drop"]
        path = await self._work(self.session.place_file, drop_id, request.query_params.get("name", "scan"))
        await receive_file(request, path, self.session.drop(drop_id), self.session.max_bytes)
        return JSONResponse({})

    async def open(self, request: Request) -> Response:
        """Find the scans of a drop."""
        content = await read_json(request)
        key = content.get("array_key") or None
        is_stack = content.get("is_stack") is True
        return JSONResponse(await self._work(self.session.open, request.path_params["drop"], is_stack, key))

    async def spacing(self, request: Request) -> Response:
        """The user's pixel size."""
        content, drop_id = await read_json(request), request.path_params["drop"]
        sizes = content.get("axial_um"), content.get("lateral_um")
        return JSONResponse(await self._work(self.session.set_spacing, drop_id, *sizes))

    async def scan(self, request: Request) -> Response:
        """A scan's surfaces and all that is said of them."""
        return JSONResponse(await self._work(self.session.answer, *_asked(request)))

    async def image(self, request: Request) -> Response:
        """A scan's pixels."""
        drop_id, place = _asked(request)
        return Response(await self._work(lambda: png(self.session.scan(drop_id, place).image)), media_type=PNG)

    async def fluid(self, request: Request) -> Response:
        """Where fluid was found: 255."""

        def plane(drop_id: str, place: Place) -> bytes:
            fluid = self.session.scan(drop_id, place).fluid
            if fluid is None:
                raise Refusal(404, "this network seeks no fluid")
            return png(fluid.astype("uint8") * 255)

        return Response(await self._work(plane, *_asked(request)), media_type=PNG)

    async def heats(self, request: Request) -> Response:
        """What is known of a scan's heat maps, depth by depth."""
        drop_id, place = _asked(request)
        found = await self._work(self.session.heats, drop_id, place)
        network = self.session.choices[place.choice].networks[0].card.name
        return JSONResponse(
            [
                {
                    "network": network,
                    "layer": heat.layer,
                    "module": heat.module,
                    "grain": list(heat.grain),
                    "rows": heat.maps.shape[1],
                    "columns": heat.maps.shape[2],
                    "peaks": list(heat.peaks),
                    "stamps": list(heat.stamps),
                }
                for heat in found
            ]
        )

    async def heat(self, request: Request) -> Response:
        """The maps of one depth, class below class."""

        def one(drop_id: str, place: Place) -> bytes:
            found, depth = self.session.heats(drop_id, place), request.path_params["depth"]
            if depth >= len(found):
                raise Refusal(404, "no such depth")
            return png(atlas(found[depth]))

        return Response(await self._work(one, *_asked(request)), media_type=PNG)

    async def files(self, request: Request) -> Response:
        """Everything of a scan, with the surfaces that the page sends, as a zip."""
        content = await read_json(request)

        def packed(drop_id: str, place: Place) -> Response:
            scan, surfaces = self.session.scan(drop_id, place), self._surfaces(drop_id, place, content)
            shown = corrected_scan(scan, surfaces)
            choice = self.session.choices[place.choice]
            body = everything(shown, self.session.volume(drop_id, place), choice)
            return _file(body, f"{scan.name}.zip", "application/zip")

        return await self._work(packed, *_asked(request))

    async def label(self, request: Request) -> Response:
        """The surfaces that the page sends as a label file: downloaded, or written to the folder of labels."""
        content = await read_json(request)

        def saved(drop_id: str, place: Place) -> Response:
            words = LabelWords.from_json(content.get("label"))
            scan, volume = self.session.scan(drop_id, place), self.session.volume(drop_id, place)
            label = label_scan(scan, self._surfaces(drop_id, place, content), words)
            if self.labels is not None:
                path = write_label(label, self.labels, volume.notices, content.get("overwrite") is True)
                return JSONResponse({"saved": str(path)})
            path = write_label(
                label, self.session.drop(drop_id).folder.with_name("label"), volume.notices, overwrite=True
            )
            body = path.read_bytes()
            path.unlink()
            return _file(body, path.name, "application/x-hdf5")

        return await self._work(saved, *_asked(request))

    def _surfaces(self, drop_id: str, place: Place, content: dict[str, Any]) -> Array:
        scan = self.session.scan(drop_id, place)
        return read_surfaces(content.get("surfaces"), (scan.image.shape[0], scan.image.shape[1]))

    async def _work(self, call: Callable[..., Result], *arguments: Any) -> Result:
        """What a call gives, from the one thread that works."""
        return await asyncio.get_running_loop().run_in_executor(self.worker, partial(call, *arguments))


def make_app(viewer: Viewer) -> Starlette:
    """The application; `guard.Guard` goes around it."""
    scan = "/scans/{drop}/{choice:int}/{volume:int}/{number:int}"
    routes = [
        Route("/about", viewer.about),
        Route("/scans", viewer.begin, methods=["POST"]),
        Route("/scans/{drop}/files", viewer.add_file, methods=["POST"]),
        Route("/scans/{drop}/open", viewer.open, methods=["POST"]),
        Route("/scans/{drop}/spacing", viewer.spacing, methods=["POST"]),
        Route(scan, viewer.scan),
        Route(f"{scan}/image", viewer.image),
        Route(f"{scan}/fluid", viewer.fluid),
        Route(f"{scan}/heats", viewer.heats),
        Route(f"{scan}/heats/{{depth:int}}", viewer.heat),
        Route(f"{scan}/files", viewer.files, methods=["POST"]),
        Route(f"{scan}/label", viewer.label, methods=["POST"]),
        Route("/{name:path}", page_file),
    ]
    handlers: Any = {
        Refusal: lambda request, error: JSONResponse({"error": error.words}, error.status),
        InputError: lambda request, error: JSONResponse({"error": " ".join(str(error).split())}, 400),
    }
    return Starlette(routes=routes, exception_handlers=handlers)


def _asked(request: Request) -> tuple[str, Place]:
    """The drop and the scan that a path names."""
    path = request.path_params
    is_forced = request.query_params.get("forced") == "1"
    return path["drop"], Place(path["choice"], path["volume"], path["number"], is_forced)


def _file(body: bytes, name: str, media_type: str) -> Response:
    """A file to keep; its name in ASCII and in full (RFC 6266)."""
    plain = name.encode("ascii", "replace").decode().replace('"', "_").replace("?", "_")
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
    return Response(body, media_type=media_type, headers={"content-disposition": disposition})
