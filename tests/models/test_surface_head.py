import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from retseg.data.sources.phantom import PhantomSource
from retseg.data.splits import SubjectHoldout
from retseg.errors import InputError
from retseg.geometry.surfaces import paint_mask
from retseg.losses import CrossEntropyDice, JointLoss, SurfaceDistance
from retseg.models.fluid import WithFluid
from retseg.models.segnet import SegNet
from retseg.models.surface_head import SHARPNESS, UNPAINTED, WithSurfaces, chances_below, painted
from retseg.models.unet import UNet
from retseg.training.datamodule import OctDataModule

SURE = 100.0


def heat_at(rows, height):
    """Heat maps (1, S, H, W) that are sure of whole rows (S, W)."""
    depth = torch.arange(height).view(1, 1, -1, 1)
    return SURE * (depth == torch.as_tensor(rows)[None, :, None]).float()


def rows_of(heat):
    return (1 - chances_below(heat)).sum(2)


def enumerated_rows(heat):
    """Mean of the running maximum of rows drawn from each surface's softmax, the depth of all combinations summed."""
    shares = (SHARPNESS * heat).softmax(2)[0, :, :, 0].double().numpy()
    depth = np.arange(shares.shape[1])
    found, chance, reached = [], shares[0], depth
    for surface in range(len(shares)):
        if surface:
            reached = np.maximum(reached[..., None], depth)
            chance = chance[..., None] * shares[surface]
        found.append((chance * reached).sum())
    return found


def test_the_first_surface_is_the_soft_argmax_of_its_heat_map():
    heat = torch.randn(2, 8, 11, 3)
    depth = torch.arange(11.0).view(1, -1, 1)
    assert torch.allclose(rows_of(heat)[:, 0], ((SHARPNESS * heat[:, 0]).softmax(1) * depth).sum(1), atol=1e-5)


def test_sure_heat_maps_in_order_give_their_rows():
    rows = torch.tensor([[1], [3], [3], [4], [7], [8], [9], [11]])
    assert torch.allclose(rows_of(heat_at(rows, 13))[0], rows.float())


def test_a_surface_above_the_one_before_it_is_put_there():
    rows = torch.tensor([[5], [2], [7], [6], [8], [9], [9], [1]])
    assert torch.allclose(rows_of(heat_at(rows, 12))[0, :, 0], torch.tensor([5.0, 5, 7, 7, 8, 9, 9, 9]))


@pytest.mark.parametrize("seed", range(3))
def test_rows_are_the_mean_of_the_running_maximum(seed):
    torch.manual_seed(seed)
    heat = torch.randn(1, 4, 5, 1)
    assert torch.allclose(rows_of(heat)[0, :, 0].double(), torch.tensor(enumerated_rows(heat)), atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 20),
    scale=st.sampled_from([0.0, 1e-3, 1, 30, 1e4]),
    seed=st.integers(0, 2**31),
)
def test_surfaces_never_cross_and_stay_inside_whatever_the_heat_maps(height, width, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    below = chances_below(scale * torch.randn(2, 8, height, width, generator=generator))
    rows = (1 - below).sum(2)
    assert (rows.diff(dim=1) >= 0).all()
    assert (rows >= 0).all()
    assert (rows <= height).all()
    shares = painted(below)
    assert (shares > 0).all()
    assert torch.allclose(shares.sum(1), torch.ones(2, height, width), atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), height=st.integers(1, 70), width=st.integers(1, 40))
def test_surfaces_of_a_network_with_random_weights_never_cross(seed, height, width):
    torch.manual_seed(seed)
    net = WithSurfaces(UNet(num_classes=16, width=2, depth=2)).eval()
    for parameter in net.parameters():
        parameter.data.normal_(std=3)
    with torch.no_grad():
        rows = net.outputs(torch.rand(1, 1, height, width)).surface_rows
    assert rows.shape == (1, 8, width)
    assert (rows.diff(dim=1) >= 0).all()


def test_sure_surfaces_paint_the_mask_that_paint_mask_paints():
    rows = np.array([[2, 3], [4, 3], [5, 6], [5, 7], [8, 9], [10, 10], [11, 12], [13, 13]])
    shares = painted(chances_below(heat_at(rows, 15)))[0]
    mask = torch.from_numpy(paint_mask(rows.astype(np.float32), 15)).long()
    assert torch.equal(shares.argmax(0), mask)
    assert shares.max() == pytest.approx(1 - UNPAINTED + UNPAINTED / 8)
    assert shares.min() == pytest.approx(UNPAINTED / 8)


class Fixed(nn.Module):
    """Gives the same channels whatever the image."""

    in_channels = 1

    def __init__(self, channels):
        super().__init__()
        self.channels, self.num_classes = channels, channels.shape[1]

    def forward(self, image):
        return self.channels


def test_logits_are_raised_by_the_logarithm_of_what_surfaces_paint():
    torch.manual_seed(0)
    channels = torch.randn(2, 17, 6, 5)
    net = WithSurfaces(Fixed(channels))
    net.trust.data.fill_(0.5)
    found = net.outputs(torch.rand(2, 1, 6, 5))
    below = chances_below(channels[:, 9:])
    assert torch.allclose(found.logits[:, :8], channels[:, :8] + 0.5 * painted(below).log())
    assert torch.equal(found.logits[:, 8], channels[:, 8]), "what is no layer stays"
    assert torch.equal(found.surface_rows, (1 - below).sum(2))
    assert found.fluid is None


def test_forward_gives_the_logits_of_outputs():
    net = WithSurfaces(UNet(num_classes=16, width=2, depth=2))
    image = torch.rand(1, 1, 20, 30)
    assert torch.equal(net(image), net.outputs(image).logits)
    assert (net.num_classes, net.in_channels, net.gives) == (8, 1, ("surface_rows",))


def test_surfaces_and_fluid_go_together():
    torch.manual_seed(0)
    channels = torch.randn(1, 17, 6, 5)
    net = WithFluid(WithSurfaces(Fixed(channels)))
    found = net.outputs(torch.rand(1, 1, 6, 5))
    assert net.gives == ("surface_rows", "fluid")
    assert net.num_classes == found.logits.shape[1] == 8
    assert torch.equal(found.fluid, channels[:, 8])
    assert torch.equal(found.surface_rows, rows_of(channels[:, 9:]))


def test_aliases_lead_through_both_wrappers():
    net = WithFluid(WithSurfaces(SegNet(num_classes=17, width=2)))
    assert net.layer_aliases["conv2d_19"] == "net.net.decoder1.relu2"
    net.get_submodule(net.layer_aliases["conv2d_19"])


@pytest.mark.parametrize("asked", ["surfaces", "layers"])
def test_either_loss_alone_reaches_every_heat_map(asked):
    torch.manual_seed(0)
    channels = torch.randn(1, 16, 12, 5, requires_grad=True)
    found = WithSurfaces(Fixed(channels)).outputs(torch.rand(1, 1, 12, 5))
    target = found.surface_rows if asked == "surfaces" else found.logits
    (target * torch.randn_like(target)).sum().backward()
    assert (channels.grad[0, 8:].abs().flatten(1).amax(1) > 1e-5).all()


def test_an_estimate_out_of_order_still_has_a_gradient():
    heat = 0.02 * heat_at([[9], [2], [9], [9], [9], [9], [9], [9]], 12)
    heat.requires_grad_()
    rows_of(heat)[0, 1].sum().backward()
    assert heat.grad[0, 1].abs().max() > 1e-3


def test_training_on_phantoms_lowers_both_losses():
    torch.manual_seed(0)
    source = PhantomSource(num_subjects=2, bscans_per_subject=4, height=108, width=125)
    data = OctDataModule(source, SubjectHoldout([1]), 4, (64, 48), targets=["surface_rows"])
    batch = next(iter(data.train_dataloader()))
    net = WithSurfaces(UNet(num_classes=16, width=4, depth=3, norm="batch"))
    layers, surfaces = CrossEntropyDice(), SurfaceDistance()
    loss, optimizer = JointLoss(layers, surfaces), torch.optim.Adam(net.parameters(), lr=1e-2)

    def parts():
        found = net.outputs(batch["image"])
        return layers(found.logits, batch["mask"]).item(), surfaces(found.surface_rows, batch["surface_rows"]).item()

    before = parts()
    for _ in range(30):
        optimizer.zero_grad()
        loss.joint(net.outputs(batch["image"]), batch).backward()
        optimizer.step()
    after = parts()
    assert after[0] < 0.5 * before[0]
    assert after[1] < 0.5 * before[1]


def test_refuses_a_network_with_too_few_channels():
    with pytest.raises(
        InputError, match=r"num_classes: 8 in SegNet; WithSurfaces takes 8 .* leaves 8 or more; give 16"
    ):
        WithSurfaces(SegNet(width=2))
