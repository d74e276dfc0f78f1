"""Networks are counted as they run."""

import torch
from omegaconf import OmegaConf

from retseg.models.segnet import SegNet
from retseg.reproduction.networks import CONVOLUTION, TRANSPOSED, UNPOOL, network_facts


def facts_of(**options):
    target = {"_target_": "retseg.models.segnet.SegNet"}
    return network_facts(OmegaConf.create({"seed": 0, "model": target | options}), "net", (64, 96))


def test_counts_are_those_of_the_built_network():
    found = facts_of(width=3, upsample="hybrid", norm="batch")
    net = SegNet(width=3, upsample="hybrid", norm="batch")
    assert found.num_parameters == sum(parameter.numel() for parameter in net.parameters())
    assert (found.count(CONVOLUTION), found.count(TRANSPOSED), found.count(UNPOOL)) == (21, 5, 5)
    assert found.encoder_widths == (3, 6, 12, 24, 24)
    assert found.smallest_size == (2, 3)
    assert found.head is not None
    assert (found.head.path, found.head.kernel, found.head.channels_out) == ("head", 1, 8)


def test_layers_come_in_the_order_of_the_forward_pass():
    paths = [layer.path for layer in facts_of(width=2).layers]
    assert paths[:2] == ["encoder1.conv1", "encoder1.conv2"]
    assert paths.index("decoder5.conv1") < paths.index("decoder1.conv1") < paths.index("head")


def test_counting_leaves_the_random_state_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    facts_of(width=2)
    assert torch.equal(before, torch.random.get_rng_state())
