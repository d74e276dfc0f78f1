"""`retseg view` as a process of its own: where it listens, what it says, and that nothing is left of it."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Retseg = Callable[..., tuple[int, str, str]]


def ask(address: str, body: bytes | None = None) -> dict[str, Any]:
    with urllib.request.urlopen(urllib.request.Request(address, data=body), timeout=30) as answer:
        content: dict[str, Any] = json.loads(answer.read())
    return content


def test_it_serves_this_machine_and_leaves_nothing_after_ctrl_c(tmp_path: Path):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "retseg", "view", "--no-browser", "--max-mb", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        assert address.startswith("http://127.0.0.1:")
        about = ask(f"{address}about")
        assert [choice["name"] for choice in about["choices"]] == ["zero_shot"]
        assert about["max_bytes"] == 10**6
        drop = ask(f"{address}scans", b"")
        Image.fromarray(np.tile(np.arange(64, dtype=np.uint8), (64, 1))).save(tmp_path / "scan.png")
        ask(f"{address}scans/{drop['id']}/files?name=scan.png", (tmp_path / "scan.png").read_bytes())
        assert [path.name for path in temporary.rglob("*.png")] == ["scan.png"]
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
        assert (process.returncode, error) == (0, "")
        assert list(temporary.iterdir()) == []
    finally:
        process.kill()
        process.communicate()


def test_a_port_that_is_taken_is_said_in_one_line(retseg: Retseg):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, error = retseg("view", "--port", port, "--no-browser")
    assert code == 2
    assert error == (
        f"retseg: --port {port}: cannot be used (Address already in use); name another, or --port 0 for a free one\n"
    )


def test_a_missing_extra_is_said_in_one_line(retseg: Retseg, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("retseg.commands.view.find_spec", lambda name: None)
    code, _, error = retseg("view")
    assert (code, error) == (
        2,
        "retseg: retseg view: starlette, uvicorn is not installed; pip install 'retseg[app]'\n",
    )


def test_wrong_weights_and_folders_are_said_before_anything_starts(retseg: Retseg, tmp_path: Path):
    (tmp_path / "file").write_text("")
    code, _, error = retseg("view", "--weights", tmp_path / "none.onnx", "--no-browser")
    assert code == 2
    assert "none.onnx: no such run folder or file of weights" in error
    code, _, error = retseg("view", "--labels", tmp_path / "file", "--no-browser")
    assert (code, error) == (2, f"retseg: --labels {tmp_path / 'file'}: is a file; name a folder\n")


def test_help_needs_no_server_library():
    check = "import sys, retseg.__main__; print([m for m in ('starlette', 'uvicorn', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
