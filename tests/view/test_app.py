import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from retseg.anatomy import CLASSES, SURFACE_NAMES
from retseg.bscan import Array, Spacing
from retseg.data.readers.find import find_scans
from retseg.data.readers.options import ReadOptions
from retseg.data.sources.hdf5 import Hdf5Source
from retseg.evaluation.label_files import read_labels
from retseg.inference.network import ScanNetwork
from retseg.inference.predicted import PredictedScan
from retseg.inference.scan_files import write_scan_files
from retseg.view.networks import Stopwatch, choices
from tests.view.conftest import COLUMNS, ROWS, as_png
from tests.view.served import Client, client_of

SCAN = "scans/{}/0/0/0"


def dropped(client: Client, png: bytes, **options: object) -> str:
    """The address of a dropped picture."""
    answer = client.drop(("eye.png", png), **options)
    assert answer.status_code == 200, answer.text
    return SCAN.format(answer.json()["id"])


def predicted(network: ScanNetwork, png: bytes, folder: Path, spacing: Spacing | None = None) -> PredictedScan:
    """What `retseg predict` makes of it."""
    (folder / "eye.png").write_bytes(png)
    (volume,) = find_scans([folder / "eye.png"], ReadOptions(spacing=spacing)).volumes
    return choices([network], Stopwatch())[0].gated.predict(volume, 0)


def test_the_page_and_its_files_are_served(client: Client):
    page = client.get("")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for name in ("page.css", "page.js", "surfaces.js", "icon.svg"):
        assert client.get(name).status_code == 200
    for name in ("app.py", "..%2fapp.py", "%2fetc%2fhostname", "missing.js"):
        assert client.get(name).status_code == 404, name


def test_about_names_layers_as_anatomy_does(client: Client):
    about = client.get("about").json()
    assert [one["name"] for one in about["classes"]] == [layer.name for layer in CLASSES]
    assert [tuple(one["colour"]) for one in about["classes"]] == [layer.colour for layer in CLASSES]
    assert about["surfaces"] == list(SURFACE_NAMES)
    assert [slab["name"] for slab in about["slabs"]][-1] == "total retina"
    assert about["research_only"] == "Research software: not for patients."
    assert about["choices"][0]["cautions"] == [
        "zero_shot: learned from made-up scans alone (random phantom); check what it finds in real ones."
    ]


def test_an_answer_is_what_predict_says(client: Client, network: ScanNetwork, png: bytes, tmp_path: Path):
    expected = predicted(network, png, tmp_path)
    answer = client.get(dropped(client, png)).json()
    surfaces = np.array(answer["surfaces"], np.float64)
    np.testing.assert_array_equal(surfaces, expected.surface_rows)
    assert np.isfinite(surfaces).mean() > 0.9
    np.testing.assert_allclose(np.array(answer["confidence"], np.float64), expected.confidence, atol=0.0006)
    assert answer["verdict"] == expected.verdict
    assert [one["reason"] for one in answer["findings"]] == [one.reason for one in expected.findings]
    assert (answer["rows"], answer["columns"], answer["fluid"]) == (ROWS, COLUMNS, None)
    assert 0 < answer["seconds"]["network"] < answer["seconds"]["all"]


def test_unknown_scale_is_never_guessed_and_the_users_is_taken(
    client: Client, network: ScanNetwork, png: bytes, tmp_path: Path
):
    address = dropped(client, png)
    before = client.get(address).json()
    assert before["spacing"] == {"axial_um": None, "lateral_um": None, "source": "unknown"}
    assert before["cautions"] == [
        "The pixel size is unknown: thickness is in pixels. If you know the size, type it in."
    ]
    drop_id = address.split("/")[1]
    client.post(f"scans/{drop_id}/spacing", json={"axial_um": 6.0, "lateral_um": 30})
    after = client.get(address).json()
    assert after["spacing"] == {"axial_um": 6.0, "lateral_um": 30.0, "source": "user"}
    assert after["cautions"] == []
    expected = predicted(network, png, tmp_path, Spacing(6.0, 30.0, "user"))
    np.testing.assert_array_equal(np.array(after["surfaces"], np.float64), expected.surface_rows)
    client.post(f"scans/{drop_id}/spacing", json={"axial_um": 6.0, "lateral_um": None})
    assert client.get(address).json()["cautions"] == [
        "The lateral pixel size is unknown: places along the scan are in columns."
    ]


@pytest.mark.parametrize("um", [0, -3.87, 1e9, "wide", True, [3.87]])
def test_no_pixel_size_is_refused(client: Client, png: bytes, um: object):
    drop_id = dropped(client, png).split("/")[1]
    answer = client.post(f"scans/{drop_id}/spacing", json={"axial_um": um})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"axial pixel size {um!r}: expected um above 0, at most 1000, e.g. 3.87")


def test_pixels_are_the_scans(client: Client, png: bytes, pictures: tuple[Array, ...]):
    image = client.get(f"{dropped(client, png)}/image")
    assert image.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(image.content))), pictures[0])


def test_what_is_not_there_is_404_and_what_was_replaced_410(client: Client, png: bytes):
    address = dropped(client, png)
    for wrong in ("/1/0/0", "/0/1/0", "/0/0/7"):
        answer = client.get(address.removesuffix("/0/0/0") + wrong)
        assert (answer.status_code, answer.json()["error"]) == (
            404,
            "no such scan or network here; reload the page",
        )
    assert client.get(f"{address}/fluid").json()["error"] == "this network seeks no fluid"
    dropped(client, png)
    answer = client.get(address)
    assert answer.status_code == 410
    assert "other scans took their place" in answer.json()["error"]


def test_a_volume_is_paged_through_and_memory_is_bounded(
    client: Client, pictures: tuple[Array, ...], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("retseg.view.session.KEPT_SCANS", 3)
    file = io.BytesIO()
    np.save(file, np.stack([pictures[0], pictures[1]] * 3))
    opened = client.drop(("volume.npy", file.getvalue())).json()
    assert opened["volumes"][0]["numbers"] == list(range(6))
    address = f"scans/{opened['id']}/0/0"
    first, second = client.get(f"{address}/0").json(), client.get(f"{address}/1").json()
    assert first["name"] == "volume_b000"
    assert first["surfaces"] != second["surfaces"]
    for number in range(2, 6):
        assert client.get(f"{address}/{number}").status_code == 200
    assert len(client.session.drop(opened["id"]).scans) == 3
    assert client.get(f"{address}/0").json()["surfaces"] == first["surfaces"]


def test_a_scan_that_fails_before_the_network_is_predicted_on_demand(client: Client):
    stripes = as_png(np.tile(np.array([[40], [200]], np.uint8), (40, 100)))
    address = dropped(client, stripes)
    answer = client.get(address).json()
    assert answer["verdict"] == "fail"
    assert all(row is None for row in answer["surfaces"][0])
    forced = client.get(f"{address}?forced=1").json()
    assert forced["verdict"] == "fail"
    assert forced["seconds"]["network"] > answer["seconds"]["network"] == 0


def test_everything_is_what_predict_writes(client: Client, network: ScanNetwork, png: bytes, tmp_path: Path):
    address = dropped(client, png)
    surfaces = client.get(address).json()["surfaces"]
    answer = client.post(f"{address}/files", json={"surfaces": surfaces})
    assert answer.headers["content-disposition"] == "attachment; filename=\"eye.zip\"; filename*=UTF-8''eye.zip"
    expected = tmp_path / "expected"
    expected.mkdir()
    scan, choice = predicted(network, png, tmp_path), choices([network], Stopwatch())[0]
    assert choice.intervals is not None
    half_widths = choice.intervals.half_widths(scan.row_sd, scan.spacing)
    paths = write_scan_files(scan, expected, ("mask", "surfaces", "thickness", "overlay"), lambda _: half_widths)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == [*(path.name for path in paths), "eye_about.json"]
        for path in paths:
            assert archive.read(path.name) == path.read_bytes(), path.name
        about = json.loads(archive.read("eye_about.json"))
    assert about["use"] == "Research software: not for patients."
    assert about["answered_by"]["networks"][0]["sha256"] == network.card.sha256


def test_corrections_reach_the_files_and_their_origin_is_said(client: Client, png: bytes, tmp_path: Path):
    address = dropped(client, png)
    surfaces = client.get(address).json()["surfaces"]
    surfaces[7][50] += 3.0
    answer = client.post(f"{address}/files", json={"surfaces": surfaces})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path)
    labels = read_labels(tmp_path / "eye_surfaces.csv")
    assert labels.surface_rows is not None
    assert labels.surface_rows[7, 50] == pytest.approx(surfaces[7][50], abs=0.006)
    said = json.loads((tmp_path / "eye_surfaces.json").read_text())
    assert said["sd_px"]["BM"][50] is None
    assert said["sd_px"]["BM"][49] is not None
    assert said["confidence"][50] is None
    assert "surfaces corrected by hand in 1 columns" in said["findings"][-1]["reason"]


def test_a_label_is_downloaded_and_read_back(client: Client, png: bytes, pictures: tuple[Array, ...], tmp_path: Path):
    address = dropped(client, png)
    surfaces = client.get(address).json()["surfaces"]
    surfaces[0][50] -= 2.0
    label = {"subject": "s07", "bscan": 4, "eye": "OS"}
    answer = client.post(f"{address}/label", json={"surfaces": surfaces, "label": label})
    assert 'filename="s07_b04_g1.h5"' in answer.headers["content-disposition"]
    (tmp_path / "one.h5").write_bytes(answer.content)
    source = Hdf5Source(tmp_path / "one.h5")
    assert (source.name, source.label_origin) == ("scans corrected in retseg view", "silver, corrected by hand")
    (key,) = source.keys
    assert (key.subject, key.bscan, key.grader) == ("s07", 4, 1)
    scan = source.read(key)
    np.testing.assert_array_equal(scan.image, pictures[0])
    np.testing.assert_allclose(scan.surface_rows, np.array(surfaces, np.float64), atol=1e-4)
    assert (scan.spacing, scan.eye, scan.fluid) == (Spacing(), "OS", None)
    assert not list(client.session.folder.rglob("*.h5"))


def test_a_label_goes_to_the_folder_and_never_over_another_in_silence(network: ScanNetwork, png: bytes, tmp_path: Path):
    (tmp_path / "dropped").mkdir()
    with client_of([network], tmp_path / "dropped", labels=tmp_path / "labels") as client:
        address = dropped(client, png)
        surfaces = client.get(address).json()["surfaces"]
        content = {"surfaces": surfaces, "label": {"subject": "s07", "bscan": 4, "eye": None}}
        path = tmp_path / "labels" / "s07_b04_g1.h5"
        assert client.post(f"{address}/label", json=content).json() == {"saved": str(path)}
        before = path.read_bytes()
        surfaces[0][50] -= 2.0
        refused = client.post(f"{address}/label", json=content)
        assert refused.status_code == 409
        assert refused.json()["error"].startswith("s07_b04_g1.h5: is there already in ")
        assert path.read_bytes() == before
        assert client.post(f"{address}/label", json={**content, "overwrite": True}).status_code == 200
        assert path.read_bytes() != before
        assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(client: Client, png: bytes, body: bytes):
    drop_id = dropped(client, png).split("/")[1]
    answer = client.post(f"scans/{drop_id}/open", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "expected a JSON object; reload the page"


def test_fluid_comes_as_a_plane_its_area_and_a_file(network: ScanNetwork, png: bytes, tmp_path: Path):
    def with_fluid(images: Tensor) -> tuple[Tensor, Tensor]:
        return network.forward(images), (images[:, 0] > 0.6).float()

    seeking = replace(network, card=replace(network.card, gives_fluid=True), with_fluid=with_fluid)
    expected = predicted(seeking, png, tmp_path)
    assert expected.fluid is not None
    num_px = int(expected.fluid.sum())
    assert num_px > 0
    (tmp_path / "dropped").mkdir()
    with client_of([seeking], tmp_path / "dropped") as client:
        address = dropped(client, png)
        answer = client.get(address).json()
        assert answer["fluid"] == {"px": num_px, "mm2": None}
        plane = np.array(Image.open(io.BytesIO(client.get(f"{address}/fluid").content)))
        np.testing.assert_array_equal(plane == 255, expected.fluid)
        files = client.post(f"{address}/files", json={"surfaces": answer["surfaces"]})
        with zipfile.ZipFile(io.BytesIO(files.content)) as archive:
            assert "eye_fluid.png" in archive.namelist()
        client.post(f"scans/{address.split('/')[1]}/spacing", json={"axial_um": 5, "lateral_um": 20})
        scaled = client.get(address).json()["fluid"]
        assert scaled["mm2"] == pytest.approx(scaled["px"] * 5 * 20 / 1e6, abs=1e-4)
