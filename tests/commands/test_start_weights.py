"""Training that begins with the weights of another run."""

from pathlib import Path

import pytest
import torch

from retseg.build import load_config, load_net
from retseg.commands.start_weights import load_start
from retseg.errors import InputError
from retseg.models.segnet import SegNet
from tests.commands.trained import train_in


def fresh_net(run: Path):
    model = {name: value for name, value in load_config(run).model.items() if name != "_target_"}
    return SegNet(**model)


def test_a_network_takes_the_weights_of_a_run(trained_run):
    net = fresh_net(trained_run)
    load_start(net, trained_run)
    for name, value in load_net(trained_run).state_dict().items():
        torch.testing.assert_close(net.state_dict()[name], value, rtol=0, atol=0)


def test_other_networks_and_other_files_are_refused(trained_run, tmp_path):
    shapes = r"encoder1.conv1.weight: expected \(5, 1, 3, 3\), found \(2, 1, 3, 3\); "
    with pytest.raises(InputError, match=rf"weights of another network, \d+ of \d+ tensors differ, {shapes}"):
        load_start(SegNet(width=5), trained_run)
    with pytest.raises(InputError, match="no run folder and no"):
        load_start(SegNet(width=2), tmp_path / "nothing.safetensors")


def test_training_without_a_step_leaves_the_weights_it_began_with(trained_run, tmp_path):
    still = ("scheduler=constant", "optimizer.lr=0", "trainer.max_epochs=1")
    run = train_in(tmp_path / "tuned", f"start={trained_run}", *still)
    tuned = load_net(run)
    start = load_net(trained_run).state_dict()
    assert all(torch.equal(value, start[name]) for name, value in tuned.named_parameters())
    other = load_net(train_in(tmp_path / "fresh", *still))
    assert not all(torch.equal(value, start[name]) for name, value in other.named_parameters())
