"""The viewer as a server on 127.0.0.1 alone: it runs until Ctrl-C and leaves nothing behind."""

import secrets
import signal
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from retseg.errors import InputError
from retseg.inference.network import ScanNetwork
from retseg.view.app import Viewer, make_app
from retseg.view.guard import Guard
from retseg.view.own_folder import own_folder
from retseg.view.session import Session

ADDRESS = "127.0.0.1"
"""The only one: scans are nobody else's business, and there is no option for another."""

SECONDS_TO_END = 2
"""That answers under way have left after Ctrl-C."""


def serve(
    networks: Sequence[ScanNetwork],
    port: int,
    max_bytes: int,
    labels: Path | None,
    opens_browser: bool,
    tell: Callable[[str], None],
) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP; `tell` gets the address. InputError where the port is taken.

    Dropped files lie in a temporary folder that is gone afterwards, after a kill when the next viewer starts.
    """
    with (
        _bound(port) as bound,
        own_folder() as folder,
        ThreadPoolExecutor(1, thread_name_prefix="retseg") as worker,
        suppress(KeyboardInterrupt),
    ):
        session = Session(networks, folder, max_bytes)
        token = secrets.token_urlsafe(16)
        port = bound.getsockname()[1]
        app = guarded(Viewer(session, worker, labels), token, port)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=SECONDS_TO_END,
        )
        address = f"http://{ADDRESS}:{port}/{token}/"
        tell(address)
        if opens_browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        server = uvicorn.Server(config)
        with _ending_on_signals(server):
            server.run(sockets=[bound])


def guarded(viewer: Viewer, token: str, port: int) -> ASGIApp:
    """The application behind its guard, for the names that this machine has for itself."""
    return Guard(make_app(viewer), token, (f"{ADDRESS}:{port}", f"localhost:{port}"))


@contextmanager
def _bound(port: int) -> Iterator[socket.socket]:
    """A listening socket on this machine alone; port 0: a free one."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((ADDRESS, port))
            bound.listen()
        except OSError as error:
            raise InputError(
                f"--port {port}: cannot be used ({error.strerror}); name another, or --port 0 for a free one"
            ) from error
        yield bound


@contextmanager
def _ending_on_signals(server: uvicorn.Server) -> Iterator[None]:
    """SIGTERM and a closed terminal end the server as Ctrl-C does, so that its folder goes.

    uvicorn ends at SIGINT and SIGTERM and raises them again afterwards; SIGHUP it leaves alone.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def end(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    handlers = {signal.SIGTERM: interrupt} | ({} if hangup is None else {hangup: end})
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
