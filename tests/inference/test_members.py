import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from retseg.bscan import Spacing
from retseg.errors import InputError
from retseg.inference.members import VIEWS, dropout_networks, members_of, mode_of, views
from retseg.inference.network import ScanNetwork
from retseg.inference.predictor import PLAIN, ScanPredictor
from tests.inference.drawn import card, draw, network, surfaces

UM = Spacing(4.0, 12.0, "user")


class Net(nn.Module):
    """Eight logits of every pixel, through dropout."""

    def __init__(self, share: float = 0.5) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 40, 1)
        self.dropout = nn.Dropout(share)
        self.head = nn.Conv2d(40, 8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(self.conv(x)))


def with_dropout(share: float = 0.5) -> ScanNetwork:
    torch.manual_seed(0)
    net = Net(share).eval()
    return ScanNetwork(card(), net, "PyTorch", net)


def test_views_begin_with_the_plain_one_and_no_two_are_the_same():
    assert views(1) == (PLAIN,)
    assert views(len(VIEWS)) == VIEWS
    ways = {(view.is_mirrored, view.gain) for view in VIEWS}
    assert len(ways) == len(VIEWS), "told apart even where a window cannot move"
    assert all(abs(view.shift) <= 0.1 for view in VIEWS)


@pytest.mark.parametrize("count", [0, len(VIEWS) + 1])
def test_views_that_there_are_not_are_refused(count: int):
    with pytest.raises(InputError, match=f"--views {count}: expected 1 to {len(VIEWS)}"):
        views(count)


def test_members_are_each_network_in_each_view():
    one, two = network(name="one"), network(name="two")
    members = members_of([one, two], 2)
    assert [(member.network.card.name, member.view.is_mirrored) for member in members] == [
        ("one", False),
        ("one", True),
        ("two", False),
        ("two", True),
    ]
    sampled = members_of([with_dropout()], 2, 3)
    assert len(sampled) == 2 * (1 + 3)
    assert sampled[0].network.engine == "PyTorch", "the network as it is comes first"


def test_several_networks_spread_where_they_differ():
    image = draw(surfaces(48), 40)
    tipped = ScanNetwork(card(), lambda images: network().forward(images).roll(2, 2), "drawn")
    alone = ScanPredictor(members_of([network()])).answer(image, UM)
    both = ScanPredictor(members_of([network(), tipped])).answer(image, UM)
    np.testing.assert_allclose(both.rows, alone.rows + 1, atol=0.1)
    assert (both.sd > alone.sd + 0.5).all()


def test_dropout_samples_differ_from_each_other_and_repeat_themselves():
    images = torch.rand(1, 1, 20, 30)
    samples = dropout_networks(with_dropout(), 3, seed=5)
    first = [sample.forward(images) for sample in samples]
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[1], first[2])
    for sample, logits in zip(dropout_networks(with_dropout(), 3, seed=5), first, strict=True):
        assert torch.equal(sample.forward(images), logits)
    assert not torch.equal(dropout_networks(with_dropout(), 1, seed=6)[0].forward(images), first[0])
    assert not torch.equal(samples[0].forward(images + 1e-6), first[0]), "another window, another mask"


def test_dropout_samples_have_the_mean_of_the_network():
    net, images = with_dropout(0.2), torch.rand(1, 1, 20, 30)
    samples = torch.stack([sample.forward(images) for sample in dropout_networks(net, 400, seed=0)])
    error = samples.std(dim=0) / 20  # of a mean of 400
    assert ((samples.mean(dim=0) - net.forward(images)).abs() < 5 * error + 1e-4).all()


def test_dropout_depends_neither_on_the_batch_nor_on_threads_and_touches_no_random_state():
    (sample,) = dropout_networks(with_dropout(), 1, seed=0)
    images = torch.rand(6, 1, 20, 30)
    state = torch.random.get_rng_state()
    together = sample.forward(images)
    with ThreadPoolExecutor(3) as pool:
        alone = list(pool.map(lambda image: sample.forward(image[None]), images))
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.testing.assert_close(torch.cat(alone), together, rtol=0, atol=1e-6)


def test_dropout_leaves_the_network_as_it_was():
    net = with_dropout()
    images = torch.rand(1, 1, 20, 30)
    before = net.forward(images)
    dropout_networks(net, 2, seed=0)[0].forward(images)
    assert isinstance(net.module.dropout, nn.Dropout)
    assert torch.equal(net.forward(images), before)


def test_networks_without_dropout_say_what_to_train():
    plain = nn.Conv2d(1, 8, 1)
    with pytest.raises(
        InputError, match=r"drawn: has no dropout to sample from; train a network with model\.dropout=0\.2"
    ):
        dropout_networks(ScanNetwork(card(), plain, "PyTorch", plain), 2, 0)
    with pytest.raises(InputError, match="onnxruntime only runs it; name the run folder"):
        dropout_networks(ScanNetwork(card(), plain, "onnxruntime"), 2, 0)


def test_a_mode_is_the_same_whatever_the_order_of_networks():
    one, two = network(sha256="1" * 64), network(sha256="2" * 64)
    assert mode_of([one, two], 4) == mode_of([two, one], 4)
    assert mode_of([one], 4).words == "1 network, 4 views"
    assert mode_of([one, two], 1, 8, 0.5).words == "2 networks, 1 view, 8 dropout samples, smoothness 0.5"
    mode = mode_of([one, two], 3, 2, 0.5)
    assert type(mode).from_json(json.loads(json.dumps(mode.to_json()))) == mode
