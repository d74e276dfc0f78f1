"""What a step asks of the network, the loss and the batch. A joint loss is stood in for by the least that is one."""

import pytest
import torch
from torch import nn

from retseg import losses
from retseg.data.sources.phantom import PhantomSource
from retseg.data.splits import SubjectHoldout
from retseg.errors import InputError
from retseg.models.fluid import WithFluid
from retseg.models.segnet import SegNet
from retseg.training.datamodule import OctDataModule
from retseg.training.joint import JointLoss, JointNet, refuse_joint_losses_without_targets
from retseg.training.module import SegmentationModule


class Squares(nn.Module):
    """Mean square of all logits; 100 x that of the fluid logits in a joint step."""

    def __init__(self, surfaces=None, fluid=None):
        super().__init__()
        self.surfaces, self.fluid = surfaces, fluid
        self.seen = []

    def forward(self, logits, mask):
        return logits.square().mean()

    def joint(self, outputs, batch):
        self.seen.append(batch)
        return 100 * outputs.fluid.square().mean()


class Layers(nn.Module):
    def forward(self, logits, mask):
        return logits.square().mean()


def with_fluid():
    torch.manual_seed(0)
    return WithFluid(SegNet(width=2, num_classes=9))


def batch():
    source = PhantomSource(num_subjects=2, bscans_per_subject=2, height=64, width=96)
    data = OctDataModule(source, SubjectHoldout([1]), 2, (32, 64), targets=["surface_rows", "fluid"])
    return next(iter(data.train_dataloader()))


def module(net, loss, **settings):
    made = SegmentationModule(net, loss, torch.optim.Adam, **settings)
    made.log = lambda *_, **__: None  # no trainer
    return made


def test_a_joint_loss_gets_all_outputs_and_the_whole_batch():
    net, loss, given = with_fluid(), Squares(fluid=nn.Identity()), batch()
    found = module(net, loss).training_step(given, 0)
    assert found.item() == pytest.approx(100 * net.outputs(given["image"]).fluid.square().mean().item())
    assert loss.seen == [given]
    assert set(given) == {"image", "mask", "spacing_um", "subject", "name", "surface_rows", "fluid"}


def test_a_loss_on_layers_gets_logits_and_mask_from_any_network():
    net, given = with_fluid(), batch()
    found = module(net, Layers()).training_step(given, 0)
    assert found.item() == pytest.approx(net(given["image"]).square().mean().item())


def test_training_scores_are_of_the_layers():
    given, net = batch(), with_fluid()
    made = module(net, Squares(fluid=nn.Identity()))
    made.training_step(given, 0)
    right = (net(given["image"]).argmax(1) == given["mask"]).float().mean()
    assert made.train_scores.compute()["accuracy"].item() == pytest.approx(right.item(), abs=1e-6)


def test_training_augments_the_batch_and_validation_does_not():
    def darkened(given):
        return {**given, "image": 0 * given["image"]}

    given, loss = batch(), Squares(fluid=nn.Identity())
    made = module(with_fluid(), loss, augmentation=darkened)
    made.training_step(given, 0)
    made.validation_step(given, 0)
    assert loss.seen[0]["image"].max() == 0
    assert loss.seen[1]["image"] is given["image"]


def test_protocols_tell_joint_from_plain():
    assert isinstance(Squares(), JointLoss)
    assert isinstance(losses.JointLoss(losses.CrossEntropyDice()), JointLoss)
    assert not isinstance(losses.CrossEntropyDice(), JointLoss)
    assert not isinstance(Layers(), JointLoss)
    assert isinstance(with_fluid(), JointNet)
    assert not isinstance(SegNet(width=2), JointNet)


@pytest.mark.parametrize(
    ("loss", "net", "targets", "message"),
    [
        (Squares(fluid=nn.Identity()), SegNet(width=2), ["fluid"], "loss: Squares reads more .* SegNet gives no more"),
        (
            Squares(surfaces=nn.Identity()),
            with_fluid(),
            ["fluid"],
            r"loss\.surfaces: WithFluid gives no surface_rows; set loss\.surfaces=null",
        ),
        (
            Squares(fluid=nn.Identity()),
            with_fluid(),
            ["surface_rows"],
            r"loss\.fluid: batches hold no fluid; set data\.targets=\[surface_rows,fluid\]",
        ),
    ],
)
def test_refuses_a_joint_loss_that_would_get_nothing(loss, net, targets, message):
    with pytest.raises(InputError, match=message):
        refuse_joint_losses_without_targets(loss, net, targets)


def test_takes_a_joint_loss_that_gets_what_it_reads():
    refuse_joint_losses_without_targets(Squares(fluid=nn.Identity()), with_fluid(), ["fluid"])
    refuse_joint_losses_without_targets(Squares(), with_fluid(), [])
    refuse_joint_losses_without_targets(Layers(), SegNet(width=2), [])
