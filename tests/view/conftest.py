import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retseg.bscan import Array
from retseg.commands.open_network import open_scan_network
from retseg.data.sources.phantom import PhantomSource
from retseg.inference.network import ScanNetwork
from retseg.inference.shipped import shipped_weights
from tests.view.served import Client, client_of, live_server

ROWS, COLUMNS = 128, 200


@pytest.fixture(scope="session")
def network() -> ScanNetwork:
    """The network that comes with retseg: it finds the phantom's layers."""
    return open_scan_network(shipped_weights())


@pytest.fixture(scope="session")
def pictures() -> tuple[Array, ...]:
    """Two phantom B-scans of two subjects."""
    phantom = PhantomSource(num_subjects=2, bscans_per_subject=1, height=ROWS, width=COLUMNS)
    return tuple(np.rint(phantom.read(key).image).clip(0, 255).astype(np.uint8) for key in phantom.keys)


@pytest.fixture(scope="session")
def png(pictures: tuple[Array, ...]) -> bytes:
    """The first of them as a file."""
    return as_png(pictures[0])


def as_png(picture: Array) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def client(network: ScanNetwork, tmp_path: Path) -> Iterator[Client]:
    folder = tmp_path / "dropped"
    folder.mkdir()
    with client_of([network], folder) as opened:
        yield opened


@pytest.fixture
def address(network: ScanNetwork, tmp_path: Path) -> Iterator[str]:
    """Where a viewer with a folder for labels is."""
    (tmp_path / "dropped").mkdir()
    with live_server([network], tmp_path / "dropped", labels=tmp_path / "labels") as (address, _):
        yield address
