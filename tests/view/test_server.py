"""The server as it runs, without networks: what ends it, and what is left then."""

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from retseg.errors import InputError
from retseg.view.server import _bound

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_AND_AGAIN = f"""
from retseg.view.server import serve
for _ in range({len(ENDINGS)}):
    serve([], 0, 10**6, None, False, lambda address: print(address, flush=True))
print("ended", flush=True)
"""


def test_nothing_is_left_whatever_ends_it(tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", AGAIN_AND_AGAIN],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    try:
        assert process.stdout is not None
        for ending in ENDINGS:
            address = process.stdout.readline().strip()
            with urllib.request.urlopen(f"{address}about", timeout=30) as answer:
                assert answer.status == 200
            assert len(list(tmp_path.iterdir())) == 1
            process.send_signal(ending)
        assert process.stdout.readline() == "ended\n"
        _, error = process.communicate(timeout=30)
        assert (process.returncode, error) == (0, "")
        assert list(tmp_path.iterdir()) == []
    finally:
        process.kill()
        process.communicate()


def test_it_listens_on_this_machine_alone():
    with _bound(0) as bound:
        assert bound.getsockname()[0] == "127.0.0.1"
        port = bound.getsockname()[1]
        with pytest.raises(InputError, match=rf"^--port {port}: cannot be used"), _bound(port):
            pass
