from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from retseg.anatomy import CLASS_NAMES
from retseg.bscan import Array, Spacing
from retseg.evaluation.inference import Place
from retseg.explain.gradcam import gradcam
from retseg.inference.network import NetworkCard, ScanNetwork, of_module
from retseg.inference.predicted import PredictedScan
from retseg.models.unet import UNet
from retseg.view.heat import _laid_probabilities, _scaled, atlas, heat_maps
from retseg.view.networks import Stopwatch, choices
from retseg.view.refusal import Refusal
from tests.view.served import Client, client_of

SIZE = (64, 96)


def card(size: tuple[int, int] | None = SIZE) -> NetworkCard:
    return NetworkCard("tiny", "0" * 64, size, None, None, SIZE, "phantom", "exact", "subjects apart", "0")


@pytest.fixture(scope="module")
def tiny() -> ScanNetwork:
    """A network of random weights that looks at 64 x 96 px."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return of_module(card(), UNet(width=4, depth=4, norm="batch").eval())


def scan_of(image: Array) -> PredictedScan:
    rows = np.repeat(np.linspace(10, 50, 8, dtype=np.float32)[:, None], image.shape[1], axis=1)
    sure = np.ones(image.shape[1], np.float32)
    return PredictedScan("eye", 0, image, rows, np.ones_like(rows), sure, Spacing())


def noise(shape: tuple[int, int]) -> Array:
    return np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)


def test_maps_of_a_scan_that_is_one_window_are_grad_cam(tiny: ScanNetwork):
    image = noise(SIZE)
    found = heat_maps(choices([tiny], Stopwatch())[0], scan_of(image))
    assert [heat.layer for heat in found] == ["conv2d_19", "conv2d_17", "conv2d_15", "conv2d_11"]
    assert [heat.grain for heat in found] == [(64, 96), (32, 48), (16, 24), (4, 6)]
    assert tiny.module is not None
    seen = torch.from_numpy(image / np.float32(255))[None, None]
    cams = gradcam(tiny.module, seen, [heat.layer for heat in found])
    full = found[0]
    raw = cams["conv2d_19"].raw[0].numpy()
    np.testing.assert_allclose(full.peaks, raw.max((1, 2)), rtol=1e-4)
    np.testing.assert_allclose(full.maps * np.array(full.peaks)[:, None, None], raw, atol=1e-5 * raw.max())
    assert full.maps.max() == pytest.approx(1)
    for heat in found:
        assert heat.maps.shape == (len(CLASS_NAMES), *SIZE)


def test_wide_scans_are_laid_together_without_a_jump(tiny: ScanNetwork):
    network = replace(tiny, card=replace(card(), training_um=None))
    image = np.tile(noise((64, 48)), (1, 6))
    found = heat_maps(choices([network], Stopwatch())[0], scan_of(image))[0]
    assert found.maps.shape == (8, *image.shape)
    hottest = found.maps[np.argmax(found.peaks)]
    assert (hottest.max(axis=0) > 0.05).mean() > 0.9  # in every window, not in the first alone


def test_large_scans_have_coarser_maps(tiny: ScanNetwork):
    found = heat_maps(choices([tiny], Stopwatch())[0], scan_of(noise((512, 768))))[0]
    assert found.maps.shape == (8, 209, 314)
    assert atlas(found).shape == (8 * 209, 314)
    assert atlas(found).dtype == np.uint8
    assert atlas(found).max() == 255


def test_windows_on_a_coarser_grid_keep_their_borders():
    assert _scaled(Place(10, 20, 40, 60), 0.5, 0.25) == Place(5, 5, 20, 15)
    assert _scaled(Place(0, 0, 1, 1), 0.1, 0.1) == Place(0, 0, 1, 1)


def test_where_no_window_looked_is_background():
    layers = torch.full((1, 8, 4, 6), 0.125)
    laid = _laid_probabilities(layers, (Place(2, 0, 4, 6),), np.ones((1, 6)), (9, 6))
    np.testing.assert_allclose(laid[0, :, 2:6], 0.125)
    for rows in (slice(0, 2), slice(6, 9)):
        assert (laid[0, 0, rows] == 1).all()
        assert (laid[0, 1:, rows] == 0).all()


def test_what_repeats_the_prediction_says_so(client: Client, png: bytes):
    address = f"scans/{client.drop(('eye.png', png)).json()['id']}/0/0/0"
    heats = client.get(f"{address}/heats").json()
    assert [heat["layer"] for heat in heats] == ["conv2d_19", "conv2d_17", "conv2d_15", "conv2d_11"]
    assert "repeats the prediction" in heats[0]["stamps"]
    shown = client.get(f"{address}/heats/0")
    assert shown.headers["content-type"] == "image/png"
    assert client.get(f"{address}/heats/4").status_code == 404


class Nameless(nn.Module):
    """A network that names no layers."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.repeat(1, 8, 1, 1)


@pytest.mark.parametrize(
    ("networks", "words"),
    [
        (
            [replace(of_module(card(), UNet(width=2)), module=None, engine="onnxruntime")],
            "tiny runs in onnxruntime, which gives no gradients: no explanation; "
            "start the viewer with its run folder (--run) or its .safetensors file",
        ),
        (
            [of_module(card(), Nameless())],
            "tiny names none of conv2d_19, conv2d_17, conv2d_15, conv2d_11: use `retseg explain --layers`",
        ),
    ],
)
def test_networks_that_cannot_be_explained_say_why(networks: Sequence[ScanNetwork], words: str):
    with pytest.raises(Refusal) as refused:
        heat_maps(choices(networks, Stopwatch())[0], scan_of(noise(SIZE)))
    assert (refused.value.status, refused.value.words) == (409, words)


def test_a_network_without_explanation_still_answers(
    network: ScanNetwork, png: bytes, tmp_path_factory: pytest.TempPathFactory
):
    only_run = replace(network, module=None, engine="onnxruntime")
    with client_of([only_run], tmp_path_factory.mktemp("dropped")) as client:
        address = f"scans/{client.drop(('eye.png', png)).json()['id']}/0/0/0"
        assert client.get(address).status_code == 200
        (choice,) = client.get("about").json()["choices"]
        assert choice["no_heat"].startswith("zero_shot runs in onnxruntime, which gives no gradients: no explanation")
        assert client.get(f"{address}/heats").status_code == 409
