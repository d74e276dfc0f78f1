"""Explainers that must fail, must pass or decide nothing, on networks of 32 x 48 pixels."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from retseg.errors import InputError
from retseg.explain.baselines import edges, pixel_noise
from retseg.explain.gradcam import gradcam
from retseg.explain.image_grid import to_image_grid
from retseg.explain.randomisation import randomised
from retseg.explain.sanity import RANK_BOUND, REPEAT, SanityTest, judge, label_test, randomisation_test
from retseg.explain.similarity import Similarity, similarity

SUBJECTS = ["a", "b", "c", "d", "e", "f"]


def layers(num_scans=6):
    """Images and class ids of two layers, the upper bright and the lower half as bright, each scan at another depth."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(num_scans, 32, 48, dtype=torch.int64)
    for scan in range(num_scans):
        top = 6 + 2 * scan
        mask[scan, top : top + 5], mask[scan, top + 5 : top + 9] = 1, 2
    noise = 0.1 * torch.randn(mask.shape, generator=generator)
    gray = torch.tensor([0.1, 0.9, 0.5])[mask] + noise
    return gray.clamp(0, 1)[:, None], mask


@pytest.fixture(scope="module")
def trained():
    """A network of three convolutions and BatchNorm that has learned to segment the layers, and the images."""
    image, mask = layers()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            *(nn.Conv2d(1, 8, 5, padding=2), nn.BatchNorm2d(8), nn.ReLU()),
            *(nn.Conv2d(8, 8, 5, padding=2), nn.BatchNorm2d(8), nn.ReLU()),
            nn.Conv2d(8, 3, 1),
        )
        optimizer = torch.optim.Adam(net.parameters(), 0.02)
        for _ in range(60):
            optimizer.zero_grad()
            F.cross_entropy(net(image), mask).backward()
            optimizer.step()
    net.eval()
    assert (net(image).argmax(1) == mask).float().mean() > 0.97
    return net, image


def gradcam_at(layer):
    return lambda net, image: to_image_grid(gradcam(net, image, [layer])[layer].raw, (32, 48))


def ignores_the_network(net, image):
    return image.expand(-1, 3, -1, -1)


def draws_noise(net, image):
    return pixel_noise((len(image), 3, 32, 48), int(torch.randint(0, 10**6, ()).item()))


def test_gradcam_passes_and_what_knows_no_network_fails(trained):
    net, image = trained
    found = randomisation_test(net, image, {"gradcam": gradcam_at("5"), "image": ignores_the_network})
    verdicts = {name: judge(test, SUBJECTS) for name, test in found.items()}
    assert {name: verdict.outcome for name, verdict in verdicts.items()} == {
        "gradcam": "passes",
        "image": "fails",
        "prediction": "passes",
        "edge": "fails",
    }
    assert verdicts["edge"].final == verdicts["edge"].start == pytest.approx(1)
    assert verdicts["gradcam"].start == pytest.approx(1)
    assert verdicts["gradcam"].high < RANK_BOUND


def test_steps_start_with_the_trained_network_and_end_with_nothing_of_it(trained):
    net, image = trained
    found = randomisation_test(net, image, {"gradcam": gradcam_at("5")})["gradcam"]
    assert found.steps == (REPEAT, "6", "3", "0")
    assert found.similarity.rank.shape == found.similarity.ssim.shape == found.similarity.top.shape == (4, 6, 3)
    by_hand = gradcam_at("5")(net, image), gradcam_at("5")(randomised(net, image, 0), image)
    torch.testing.assert_close(found.similarity.rank[-1], similarity(*by_hand).rank, equal_nan=True)
    fewer = randomisation_test(net, image, {"gradcam": gradcam_at("5")}, num_steps=1)["gradcam"]
    assert fewer.steps == (REPEAT, "0")
    torch.testing.assert_close(fewer.similarity.rank[-1], found.similarity.rank[-1], equal_nan=True)


def test_an_explainer_that_draws_noise_does_not_pass(trained):
    net, image = trained
    with torch.random.fork_rng():
        torch.manual_seed(1)
        verdict = judge(randomisation_test(net, image, {"noise": draws_noise})["noise"], SUBJECTS)
    assert verdict.final < RANK_BOUND
    assert verdict.outcome == "fails"


def test_maps_of_random_networks_are_below_the_bound(trained):
    net, image = trained
    explain = gradcam_at("5")
    pairs = [
        similarity(explain(randomised(net, image, s), image), explain(randomised(net, image, s + 1), image))
        for s in (0, 2, 4)
    ]
    assert Similarity.stack(pairs).rank.nanmean() < RANK_BOUND - 0.1


def test_the_network_and_the_random_state_are_left_as_found(trained):
    net, image = trained
    before = {name: value.clone() for name, value in net.state_dict().items()}
    gradients = [parameter.grad.clone() for parameter in net.parameters()]
    state = torch.random.get_rng_state()
    net.train()
    randomisation_test(net, image[:1], {"gradcam": gradcam_at("5")}, num_steps=1)
    assert net.training
    net.eval()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(torch.equal(p.grad, gradient) for p, gradient in zip(net.parameters(), gradients, strict=True))
    assert torch.equal(state, torch.random.get_rng_state())


def test_it_runs_in_inference_mode_alike(trained):
    net, image = trained
    with torch.inference_mode():
        found = randomisation_test(net, image[:2], {"gradcam": gradcam_at("5")}, num_steps=1)["gradcam"].similarity
    outside = randomisation_test(net, image[:2], {"gradcam": gradcam_at("5")}, num_steps=1)["gradcam"].similarity
    torch.testing.assert_close(found.rank, outside.rank, equal_nan=True)


def test_labels_that_mean_nothing_leave_nothing_of_the_maps(trained):
    net, image = trained
    same, other = (label_test(net, copy, image, {"gradcam": gradcam_at("5")}) for copy in (net, randomised(net, image)))
    assert judge(same["gradcam"], SUBJECTS).outcome == "fails"
    assert judge(other["gradcam"], SUBJECTS).outcome == "passes"
    assert judge(other["edge"], SUBJECTS).outcome == "fails"
    assert other["edge"].steps == (REPEAT, "random labels")


def test_a_class_that_is_predicted_nowhere_is_nan():
    net = nn.Conv2d(1, 3, 1)
    nn.init.constant_(net.bias, 0)
    net.bias.data[2] = -100
    image = layers(2)[0]
    found = randomisation_test(net, image, {"own edges": edges})["own edges"].similarity
    for values in (found.rank, found.ssim, found.top):
        assert values[:, :, 2].isnan().all()


def made_up(start, final):
    """A test of 6 scans and 2 classes: background 0.9 throughout, the layer as given, (6,) or a number."""
    rank = torch.full((3, 6, 2), 0.9)
    rank[0, :, 1], rank[2, :, 1] = torch.as_tensor(start), torch.as_tensor(final)
    return SanityTest((REPEAT, "head", "encoder"), Similarity(rank, rank, rank))


@pytest.mark.parametrize(
    ("start", "final", "outcome"),
    [
        (1, [0.1, 0.2, 0.1, 0.3, 0.2, 0.1], "passes"),
        (1, [0.9, 0.8, 0.9, 0.9, 0.8, 0.7], "fails"),
        (1, [0.1, 0.9, 0.2, 0.8, 0.3, 0.7], "undecided"),
        (0.4, [0.3, 0.2, 0.3, 0.3, 0.2, 0.2], "fails"),  # it was as unlike itself before
        (1, torch.nan, "unknown"),
        (torch.nan, [0.1] * 6, "unknown"),
        (1, [0.1, 0.2, torch.nan, 0.3, 0.2, 0.1], "passes"),
    ],
)
def test_verdicts(start, final, outcome):
    verdict = judge(made_up(start, final), SUBJECTS)
    assert verdict.outcome == outcome
    assert judge(made_up(start, final), SUBJECTS, class_id=0).outcome == "fails"


def test_one_subject_is_judged_by_its_mean():
    verdict = judge(made_up(1, 0.2), ["a"] * 6)
    assert verdict.outcome == "passes"
    assert np.isnan([verdict.low, verdict.high]).all()


def test_names_of_controls_are_taken_and_a_network_without_parameters_has_nothing_to_lose():
    image = layers(2)[0]
    with pytest.raises(InputError, match="explainer 'edge': the name of a control"):
        randomisation_test(nn.Conv2d(1, 3, 1), image, {"edge": edges})
    with pytest.raises(InputError, match="no parameters that a forward pass uses"):
        randomisation_test(nn.Softmax(dim=1), image, {})
    with pytest.raises(InputError, match="num_steps: 0, expected at least 1"):
        randomisation_test(nn.Conv2d(1, 3, 1), image, {}, num_steps=0)
