"""The viewer in this process: a client of its addresses, and a server for a browser."""

import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from retseg.inference.network import ScanNetwork
from retseg.view.app import Viewer
from retseg.view.server import _bound, guarded
from retseg.view.session import Session

with warnings.catch_warnings():
    # Starlette 1 asks for httpx2, which has not all that its own client needs on every Python that we support.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

TOKEN, PORT = "abc123", 8000


@dataclass
class Client:
    """Requests as the page makes them; `raw` for others."""

    raw: TestClient
    session: Session

    def get(self, path: str) -> Any:
        return self.raw.get(f"/{TOKEN}/{path}")

    def post(self, path: str, **options: Any) -> Any:
        return self.raw.post(f"/{TOKEN}/{path}", **options)

    def drop(self, *files: tuple[str, bytes], **options: Any) -> Any:
        """Drop files, each a name and its bytes; the answer of `open`, or of what refused a file."""
        drop_id = self.post("scans").json()["id"]
        for name, body in files:
            answer = self.post(f"scans/{drop_id}/files", params={"name": name}, content=body)
            if answer.status_code != 200:
                return answer
        return self.post(f"scans/{drop_id}/open", json=options)


@contextmanager
def client_of(
    networks: Sequence[ScanNetwork], folder: Path, max_bytes: int = 10**8, labels: Path | None = None
) -> Iterator[Client]:
    with ThreadPoolExecutor(1) as worker:
        session = Session(networks, folder, max_bytes)
        app = guarded(Viewer(session, worker, labels), TOKEN, PORT)
        with TestClient(app, base_url=f"http://127.0.0.1:{PORT}") as raw:
            yield Client(raw, session)


@contextmanager
def live_server(
    networks: Sequence[ScanNetwork], folder: Path, max_bytes: int = 2 * 10**6, labels: Path | None = None
) -> Iterator[tuple[str, Session]]:
    """The address of a real server in a thread, and its session."""
    with ThreadPoolExecutor(1) as worker, _bound(0) as bound:
        session = Session(networks, folder, max_bytes)
        port = bound.getsockname()[1]
        app = guarded(Viewer(session, worker, labels), TOKEN, port)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{port}/{TOKEN}/", session
        finally:
            server.should_exit = True
            thread.join()
