"""The download, against a server on this machine."""

import hashlib
import io
import socket
import stat
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from retseg.data.sources import download
from retseg.data.sources.download import download_duke
from retseg.data.sources.duke import DukeSource
from retseg.errors import InputError

RECORD = "2015_BOE_Chiu2.zip.sha256"


@dataclass
class Server:
    """What the next request gets."""

    url: str
    body: bytes = b""
    status: int = 200
    missing_bytes: int = 0
    num_requests: int = 0
    headers: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer.num_requests += 1
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body) + answer.missing_bytes))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        answer = Server(f"http://127.0.0.1:{httpd.server_port}/2015_BOE_Chiu2.zip")
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield answer
        httpd.shutdown()
        thread.join()


def archive(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return packed.getvalue()


GOOD = archive({"2015_BOE_Chiu/Subject_01.mat": b"one", "2015_BOE_Chiu/Subject_02.mat": b"two", "readme.txt": b"hello"})


def refusal(root: Path, server: Server, **options: object) -> str:
    """The one line that says why; nothing but the record may be left in the folder."""
    before = {path: path.read_bytes() for path in root.rglob("*")}
    with pytest.raises(InputError) as caught:
        download_duke(root, server.url, progress=False, **options)
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.name != RECORD or path in before} == before
    return str(caught.value)


def test_files_land_flat_and_the_checksum_is_recorded(tmp_path, server):
    server.body = GOOD
    root = tmp_path / "data" / "duke"
    assert download_duke(root, server.url, progress=False) == ("Subject_01.mat", "Subject_02.mat")
    assert sorted(path.name for path in root.iterdir()) == [RECORD, "Subject_01.mat", "Subject_02.mat"]
    assert (root / "Subject_02.mat").read_bytes() == b"two"
    assert (root / RECORD).read_text() == f"{hashlib.sha256(GOOD).hexdigest()}  2015_BOE_Chiu2.zip\n"


def test_later_download_is_compared_with_the_first(tmp_path, server):
    server.body = GOOD
    download_duke(tmp_path, server.url, progress=False)
    assert download_duke(tmp_path, server.url, progress=False) == ()
    server.body = archive({"Subject_03.mat": b"other"})
    line = refusal(tmp_path, server)
    assert hashlib.sha256(GOOD).hexdigest() in line
    assert hashlib.sha256(server.body).hexdigest() in line
    assert f"the first download's in {tmp_path / RECORD}" in line


def test_asked_checksum(tmp_path, server):
    server.body = GOOD
    found = hashlib.sha256(GOOD).hexdigest()
    assert f"sha256 {found}, expected {'0' * 64} (the asked one)" in refusal(tmp_path, server, sha256="0" * 64)
    assert not list(tmp_path.iterdir())
    assert download_duke(tmp_path, server.url, sha256=found.upper(), progress=False) == (
        "Subject_01.mat",
        "Subject_02.mat",
    )


def test_files_that_are_there_stay(tmp_path, server):
    server.body = GOOD
    (tmp_path / "Subject_01.mat").write_bytes(b"mine")
    assert download_duke(tmp_path, server.url, progress=False) == ("Subject_02.mat",)
    assert (tmp_path / "Subject_01.mat").read_bytes() == b"mine"


@pytest.mark.parametrize("status", [403, 404, 500])
def test_server_that_says_no(tmp_path, server, status):
    server.status, server.body = status, b"<html>no</html>"
    line = refusal(tmp_path, server)
    assert line.startswith(f"{server.url}: download failed (HTTPError: {status}")
    assert f"by hand: open {download.DUKE_PAGE}, download 2015_BOE_Chiu2.zip, unpack" in line


def test_web_page_in_place_of_the_archive(tmp_path, server):
    server.body = b"\n<!DOCTYPE html><html>please log in</html>"
    assert refusal(tmp_path, server).startswith(f"{server.url}: a web page came, expected a zip archive; by hand")


def test_connection_that_breaks(tmp_path, server):
    server.body, server.missing_bytes = GOOD[:-40], 40
    assert "download failed (ChunkedEncodingError" in refusal(tmp_path, server)


@pytest.mark.parametrize("body", [GOOD[:-40], b"", b"some text"])
def test_archive_that_is_not_whole(tmp_path, server, body):
    server.body = body
    assert f"{len(body)} bytes came, not a whole zip archive; try again, or by hand" in refusal(tmp_path, server)


def test_nobody_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a.zip"
        assert "download failed (ConnectionError" in refusal(tmp_path, Server(url))


def test_archive_damaged_inside(tmp_path, server):
    body = bytearray(archive({"Subject_01.mat": b"one" * 50, "Subject_02.mat": b"two"}))
    body[44 + 3] ^= 255  # the header of the first member is 44 bytes long with its name
    server.body = bytes(body)
    assert refusal(tmp_path, server).startswith("2015_BOE_Chiu2.zip: damaged archive (")


@pytest.mark.parametrize(
    "name",
    [
        "../Subject_01.mat",
        "/elsewhere/Subject_01.mat",
        "a/../../Subject_01.mat",
        "..\\Subject_01.mat",
        "C:\\Subject_01.mat",
    ],
)
def test_member_outside_the_folder(tmp_path, server, name):
    root = tmp_path / "root"
    root.mkdir()
    server.body = archive({"Subject_02.mat": b"two", name: b"evil"})
    assert "lies outside the archive; refused" in refusal(root, server)
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_member_that_is_a_link(tmp_path, server):
    link = zipfile.ZipInfo("Subject_01.mat")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        zipped.writestr(link, "/etc/passwd")
    server.body = packed.getvalue()
    assert "member 'Subject_01.mat' is a symbolic link; refused" in refusal(tmp_path, server)


def test_two_members_of_one_name(tmp_path, server):
    server.body = archive({"a/Subject_01.mat": b"one", "b/Subject_01.mat": b"other"})
    assert "two members are called Subject_01.mat" in refusal(tmp_path, server)


def test_archive_without_subjects(tmp_path, server):
    server.body = archive({"readme.txt": b"hello"})
    assert "no Subject_XX.mat among its 1 members" in refusal(tmp_path, server)


def test_zip_bomb(tmp_path, server, monkeypatch):
    monkeypatch.setattr(download, "MAX_UNPACKED_BYTES", 999)
    server.body = archive({"Subject_01.mat": bytes(500), "Subject_02.mat": bytes(500)})
    assert "unpacks to 1000 bytes, expected at most 999; refused" in refusal(tmp_path, server)


def test_folder_that_is_a_file(tmp_path, server):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        download_duke(tmp_path / "file", server.url, progress=False)
    assert server.num_requests == 0


def test_progress_is_drawn(tmp_path, server, capsys):
    server.body = GOOD
    download_duke(tmp_path, server.url)
    assert f"{len(GOOD)}/{len(GOOD)} bytes" in capsys.readouterr().err


def test_duke_source_downloads_when_asked_and_missing(tmp_path, duke_files, server):
    (tmp_path / "there").mkdir()
    server.body = archive({"2015_BOE_Chiu/Subject_01.mat": duke_files.write(tmp_path / "there").read_bytes()})
    source = DukeSource(tmp_path / "new", download=True, url=server.url)
    assert len(source.keys) == 3
    DukeSource(tmp_path / "there", download=True, url=server.url)
    assert server.num_requests == 1
