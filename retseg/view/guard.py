"""Who may speak to the viewer: the page that it served on this machine, and nobody else.

Another site in the same browser can send requests to 127.0.0.1, under its own name (DNS rebinding) or ours. So the Host
has to be this machine's, every path begins with a random token that only the printed address holds, and what changes
something has to come from the page itself. Nothing is ever allowed across origins, and nothing is stored.
"""

import secrets
from collections.abc import Iterable, MutableMapping
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """ASGI middleware that refuses what did not come from the page, in one line, and adds HEADERS to every answer."""

    def __init__(self, app: ASGIApp, token: str, hosts: Iterable[str]) -> None:
        self._app, self._token, self._hosts = app, token, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # the server closes a WebSocket that nobody accepts

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        refused = self._refused(scope)
        if refused is not None:
            await PlainTextResponse(refused[1] + "\n", refused[0])(scope, receive, send_guarded)
            return
        await self._app({**scope, "root_path": f"/{self._token}"}, receive, send_guarded)

    def _refused(self, scope: MutableMapping[str, Any]) -> tuple[int, str] | None:
        """Status and words where a request is refused."""
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        hosts = headers.get("host", [])
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return 403, "this Host is not the viewer's; open the address that `retseg view` printed"
        token = scope["path"].split("/")[1]
        if not secrets.compare_digest(token.encode(), self._token.encode()):
            return 404, "nothing here; open the whole address that `retseg view` printed"
        if scope["method"] not in ("GET", "HEAD"):
            origins, sites = headers.get("origin", []), headers.get("sec-fetch-site", [])
            if any(origin != f"http://{hosts[0]}" for origin in origins) or any(
                site != "same-origin" for site in sites
            ):
                return 403, "a request of another page; only the viewer's own page may change something"
        return None
