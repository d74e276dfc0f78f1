import pytest
import torch
from torch import nn

from retseg.explain.baselines import edge_map, edges, pixel_noise, prediction, random_fields


@pytest.fixture
def image():
    return torch.rand(2, 1, 32, 48, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.Dropout(0.5))


def test_the_prediction_is_the_softmax_in_eval_mode(net, image):
    maps = prediction(net, image)
    torch.testing.assert_close(maps, net.eval()(image).softmax(1).detach())
    torch.testing.assert_close(maps.sum(1), torch.ones(2, 32, 48))


def test_edges_lie_where_rows_change_and_nowhere_else():
    image = torch.zeros(1, 1, 32, 48)
    image[:, :, 20:] = 1  # between rows 19 and 20
    image[..., 30:] += 5  # an edge along the A-scan is none
    heat = edge_map(image, 3)
    assert heat.shape == (1, 3, 32, 48)
    peak = heat.amax(2, keepdim=True)
    assert torch.equal((heat == peak).nonzero()[:, 2].unique(), torch.tensor([19, 20]))
    assert heat[:, :, :10].max() < 1e-6
    torch.testing.assert_close(heat.sum(2), torch.ones(1, 3, 48), atol=1e-3, rtol=0)  # the slopes add up to the step


def test_edges_are_the_same_for_every_network_and_class(net, image):
    other = nn.Conv2d(1, 3, 1)
    assert torch.equal(edges(net, image), edges(other, image))
    assert torch.equal(edges(net, image)[:, 0], edges(net, image)[:, 2])


def test_random_fields_have_the_grain_of_the_layer(image):
    coarse, fine = random_fields((2, 8, 32, 48), (4, 6), seed=1), pixel_noise((2, 8, 32, 48), seed=1)
    assert coarse.shape == fine.shape == (2, 8, 32, 48)
    neighbours = [
        torch.corrcoef(torch.stack([m[..., 1:].flatten(), m[..., :-1].flatten()]))[0, 1] for m in (coarse, fine)
    ]
    assert neighbours[0] > 0.95
    assert abs(neighbours[1]) < 0.05
    assert torch.equal(coarse, random_fields((2, 8, 32, 48), (4, 6), seed=1))
    assert not torch.equal(coarse, random_fields((2, 8, 32, 48), (4, 6), seed=2))
    assert not torch.equal(coarse[0], coarse[1])  # scans differ
