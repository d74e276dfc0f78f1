"""As much of a W&B server as the start of a run needs, on this machine, which can stop answering."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RUN = {"id": "r", "name": "r", "displayName": "r", "project": {"name": "retseg", "entity": {"name": "somebody"}}}
ANSWERS = {"UpsertBucket": {"upsertBucket": {"bucket": RUN, "inserted": True}}}


class WandbServer:
    """Answers on 127.0.0.1 until `go_away`; from then on every connection is cut without an answer."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict]] = []
        self.is_gone = False
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def go_away(self) -> None:
        """The network is down."""
        self.is_gone = True

    def close(self) -> None:
        """Free the port."""
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if server.is_gone:
                    return
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                asked = json.loads(body)
                server.requests.append((asked.get("operationName") or self.path, asked))
                answer = json.dumps({"data": ANSWERS.get(asked.get("operationName"), {})}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *what: object) -> None:
                pass

        return Handler
