import io
import socket
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import h5py
import numpy as np
import pytest

from retseg.inference.network import ScanNetwork
from retseg.view.session import MOST_FILES
from tests.view.conftest import as_png
from tests.view.served import TOKEN, Client, client_of, live_server

MAX_BYTES = 200_000


@pytest.fixture
def small(network: ScanNetwork, tmp_path: Path) -> Iterator[Client]:
    """A viewer that takes 0.2 MB."""
    (tmp_path / "dropped").mkdir()
    with client_of([network], tmp_path / "dropped", MAX_BYTES) as opened:
        yield opened


def files_of(client: Client) -> list[Path]:
    return [path for path in client.session.folder.rglob("*") if path.is_file()]


def test_a_file_that_says_it_is_too_large_is_refused_at_once(small: Client):
    answer = small.drop(("big.png", bytes(MAX_BYTES + 1)))
    assert answer.status_code == 413
    assert answer.json()["error"] == (
        "big.png: more than 0.2 MB in one drop; drop less, or start `retseg view --max-mb` with more"
    )
    assert not files_of(small)


def test_a_file_that_does_not_say_is_refused_while_it_streams(network: ScanNetwork, tmp_path: Path):
    chunk, ended = 50_000, b"HTTP/1.1 413"
    with live_server([network], tmp_path, MAX_BYTES) as (address, session):
        drop_id, host = session.begin(), urlsplit(address).netloc
        head = f"POST /{TOKEN}/scans/{drop_id}/files?name=big.png HTTP/1.1\r\nHost: {host}\r\n"
        with socket.create_connection(("127.0.0.1", int(host.split(":")[1])), timeout=10) as connection:
            connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            for _ in range(MAX_BYTES // chunk + 1):
                connection.sendall(f"{chunk:x}\r\n".encode() + bytes(chunk) + b"\r\n")
            answer = connection.recv(12)  # the body has no end yet
        assert answer == ended
        assert MAX_BYTES < session.drop(drop_id).num_bytes <= MAX_BYTES + chunk
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_limit_is_of_all_files_together(small: Client):
    answer = small.drop(("a.png", bytes(150_000)), ("b.png", bytes(60_000)))
    assert answer.status_code == 413
    assert answer.json()["error"].startswith("b.png: more than 0.2 MB in one drop")


def test_a_new_drop_takes_the_place_of_the_old_and_its_files(client: Client, png: bytes):
    client.drop(("eye.png", png))
    (first,) = files_of(client)
    client.drop(("other.png", png))
    (second,) = files_of(client)
    assert (first.name, second.name) == ("eye.png", "other.png")
    client.session.close()
    assert list(client.session.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../../etc/cron.d/eye.png", "__/__/__/etc/cron.d/eye.png"),
        ("/etc/eye.png", "etc/eye.png"),
        ("..\\..\\eye.png", "__/__/eye.png"),
        ("a\0b.png", "a_b.png"),
        ("con.png", "con.png_"),
        ("x" * 300 + ".png", None),
    ],
)
def test_no_name_leads_out_of_the_folder(client: Client, png: bytes, name: str, kept: str | None):
    drop_id = client.post("scans").json()["id"]
    assert client.post(f"scans/{drop_id}/files", params={"name": name}, content=png).status_code == 200
    (path,) = files_of(client)
    folder = client.session.drop(drop_id).folder
    assert path.is_relative_to(folder)
    if kept is not None:
        assert path.relative_to(folder).as_posix() == kept


def test_two_files_of_one_name_and_too_many_are_refused(client: Client, png: bytes):
    answer = client.drop(("eye.png", png), ("eye.png", png))
    assert answer.status_code == 400
    assert answer.json()["error"] == "eye.png: two files of this name; drop one of them, or rename it"
    drop_id = client.post("scans").json()["id"]
    client.session.drop(drop_id).num_files = MOST_FILES
    answer = client.post(f"scans/{drop_id}/files", params={"name": "one_more.png"}, content=png)
    assert answer.status_code == 413
    assert answer.json()["error"].startswith("more than 2000 files at once; drop fewer, or use `retseg predict`")


def bomb_png() -> bytes:
    """10,000 x 10,000 pixels in 100 kB."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(10_001)) for _ in range(10_000)) + packer.flush()

    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    header = (10_000).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bomb_npz() -> bytes:
    """An array of 4 TB by its header."""
    file = io.BytesIO()
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 2048, 2048)})
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", head.getvalue() + bytes(1000))
    return file.getvalue()


def bomb_hdf5() -> bytes:
    """A chunk of 64 GB by its declaration, never written."""
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        opened.create_dataset("images", (4, 2**17, 2**17), np.uint8, chunks=(1, 2**15, 2**15), compression="gzip")
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("bomb.png", bomb_png, "bomb.png: too many pixels to be a B-scan"),
        ("bomb.npz", bomb_npz, "bomb.npz: images declares"),
        ("bomb.h5", bomb_hdf5, "bomb.h5: "),
    ],
)
def test_bombs_are_refused_by_their_headers(client: Client, name: str, make: object, words: str):
    assert callable(make)
    answer = client.drop((name, make()))
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(words)
    assert str(client.session.folder) not in answer.text


def test_a_scan_too_large_to_wait_for_is_refused(client: Client):
    picture = np.zeros((2**12, 2**11 + 1), np.uint8)
    picture[::2] = 200
    opened = client.drop(("wide.png", as_png(picture)))
    answer = client.get(f"scans/{opened.json()['id']}/0/0/0")
    assert answer.status_code == 400
    assert answer.json()["error"] == "wide: 4096 x 2049 pixels, at most 8,388,608 are shown; use `retseg predict`"


def test_damaged_files_are_named_beside_those_that_open(client: Client, png: bytes):
    opened = client.drop(("good.png", png), ("cut.png", png[:300]), ("notes.txt", b"hello"))
    assert [volume["name"] for volume in opened.json()["volumes"]] == ["cut", "good"]
    assert opened.json()["ignored"] == ["notes.txt"]
    answer = client.get(f"scans/{opened.json()['id']}/0/0/0")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("cut.png: damaged picture")
    nothing = client.drop(("notes.txt", b"hello"))
    assert nothing.status_code == 400
    assert nothing.json()["error"].startswith("the dropped files: no scan among its 1 files; looked for .png")
