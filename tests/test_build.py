"""From configuration to objects: what is refused at the start, and what run folders of before still give."""

import pytest
import torch
from omegaconf import OmegaConf

from retseg.build import build_data, build_net, build_run
from retseg.commands.config_folder import compose_config
from retseg.errors import InputError
from retseg.models.fluid import WithFluid
from retseg.models.relaynet import ReLayNet
from retseg.models.surface_head import WithSurfaces


def config(tmp_path, *options):
    small = ("model.net.width=2",) if any("model=with" in option for option in options) else ("model.width=2",)
    rest = ("data.source.num_subjects=10", "data.source.bscans_per_subject=1", "logger=csv")
    # Not deterministic: Lightning would switch it on for all tests to come.
    return compose_config([*options, *small, *rest, "trainer.deterministic=false", f"paths.run_dir={tmp_path}"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["loss=joint"], r"loss: JointLoss reads more than layers, and SegNet gives no more"),
        (
            ["model=with_fluid", "loss=joint"],
            r"loss\.surfaces: WithFluid gives no surface_rows; set loss\.surfaces=null",
        ),
        (["model=with_fluid", "loss=layers_fluid"], r"loss\.fluid: batches hold no fluid; set data\.targets=\[fluid\]"),
        (
            ["model=with_surfaces", "loss=joint", "data.targets=[fluid]"],
            r"loss\.surfaces: batches hold no surface_rows; set data\.targets=\[fluid,surface_rows\]",
        ),
        (["model.num_classes=9"], r"model\.num_classes: SegNet gives 9 classes, labels have 8; more channels are for"),
        (["data.targets=[drusen]"], r"data\.targets: 'drusen' is none of surface_rows, fluid"),
        (["data.targets=fluid"], r"data\.targets='fluid': expected"),
    ],
)
def test_refuses_before_anything_is_read_what_could_not_be_learned(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        build_run(config(tmp_path, *options))


def test_any_network_goes_inside_those_that_give_more(tmp_path):
    options = ("model=with_surfaces_and_fluid", "model@model.net.net=relaynet", "loss=joint_fluid")
    composed = compose_config([*options, "data.targets=[surface_rows,fluid]", f"paths.run_dir={tmp_path}"])
    net = build_net(composed)
    assert isinstance(net, WithFluid)
    assert isinstance(net.net, WithSurfaces)
    assert isinstance(net.net.net, ReLayNet)
    assert net.net.net.num_classes == 17


def test_a_run_folder_from_before_targets_gives_the_same_batches(tmp_path):
    now = config(tmp_path)
    before = OmegaConf.create(OmegaConf.to_container(now, resolve=True))
    del before.data["targets"]
    first, second = (next(iter(build_data(found).train_dataloader())) for found in (now, before))
    assert set(first) == set(second)
    assert torch.equal(first["image"], second["image"])


def test_a_network_has_the_weights_of_its_seed(tmp_path):
    def weights(*options):
        return torch.cat([parameter.flatten() for parameter in build_net(config(tmp_path, *options)).parameters()])

    assert torch.equal(weights("model=unet"), weights("model=unet"))
    assert not torch.equal(weights("model=unet"), weights("model=unet", "seed=1"))
