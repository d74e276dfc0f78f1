"""What is taken out of a scan, against pytorch-grad-cam's ROAD and numbers worked by hand."""

import numpy as np
import pytest
import torch
from pytorch_grad_cam.metrics.road import NoisyLinearImputer
from torch import nn

from retseg.errors import InputError
from retseg.explain.perturbation import (
    ROAD_NOISE_SD,
    Deletion,
    Insertion,
    Road,
    blurred,
    heat_ranks,
    imputed,
    logits_in_eval_mode,
)


def random_image(seed=0, shape=(1, 32, 48)):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


# pytorch-grad-cam hands torch tensors to numpy in a way that numpy 2 will drop.
@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")
@pytest.mark.parametrize("share", [0.02, 0.3, 0.8])
def test_imputation_is_that_of_pytorch_grad_cam(share):
    image, is_removed = random_image(0), random_image(1)[0] < share
    is_removed[0, :3] = is_removed[-5:, -7:] = True  # along the border and in a corner, where its weights are shared
    theirs = NoisyLinearImputer(noise=0)(image, 1 - is_removed.int())
    torch.testing.assert_close(torch.from_numpy(imputed(image[0].numpy(), is_removed.numpy())).float(), theirs[0])


def test_one_removed_pixel_becomes_the_weighted_mean_of_its_neighbours():
    image = np.array([[6.0, 12, 0, 1], [6, 99, 0, 1], [0, 0, 12, 1]])
    is_removed = image == 99
    assert imputed(image, is_removed)[1, 1] == pytest.approx((12 + 6 + 0 + 0) / 6 + (6 + 0 + 0 + 12) / 12)
    assert np.array_equal(imputed(image, is_removed)[~is_removed], image[~is_removed])
    is_corner = np.zeros((3, 4), bool)
    is_corner[0, 3] = True  # three neighbours: 0 and 1 direct, 0 diagonal
    assert imputed(image, is_corner)[0, 3] == pytest.approx((0 / 6 + 1 / 6 + 0 / 12) / (1 / 6 + 1 / 6 + 1 / 12))


def test_a_slope_is_filled_in_without_a_trace():
    slope = np.add.outer(np.arange(12.0), 3 * np.arange(9.0))
    is_removed = np.zeros((12, 9), bool)
    is_removed[3:8, 2:7] = True
    np.testing.assert_allclose(imputed(slope, is_removed), slope)


def test_removing_nothing_changes_nothing_and_removing_everything_is_refused():
    image = random_image()[0].numpy()
    assert np.array_equal(imputed(image, np.zeros((32, 48), bool)), image)
    with pytest.raises(InputError, match="nothing left to fill in from; choose shares below 1"):
        imputed(image, np.ones((32, 48), bool))


def test_road_adds_noise_to_removed_pixels_alone_and_the_same_to_every_map():
    image, is_hot = random_image(), random_image(1)[0] < 0.5
    painted = Road().prepare(image, seed=3)(is_hot)
    filled = torch.from_numpy(imputed(image[0].double().numpy(), is_hot.numpy())).float()
    assert torch.equal(painted[0][~is_hot], image[0][~is_hot])
    assert (painted[0] - filled)[is_hot].std().item() == pytest.approx(ROAD_NOISE_SD, rel=0.1)
    assert torch.equal(Road().prepare(image, seed=3)(is_hot), painted)
    assert not torch.equal(Road().prepare(image, seed=4)(is_hot), painted)


def test_deletion_and_insertion_are_each_others_complement():
    image, is_hot = random_image(), random_image(1)[0] < 0.5
    hazy = blurred(image, 2.0)
    deleted, inserted = (kind(2.0).prepare(image, 0)(is_hot) for kind in (Deletion, Insertion))
    assert torch.equal(deleted[0][is_hot], hazy[0][is_hot])
    assert torch.equal(deleted[0][~is_hot], image[0][~is_hot])
    torch.testing.assert_close(deleted + inserted, image + hazy)


def test_a_blur_keeps_the_mean_of_rows_apart_from_scans():
    images = torch.stack([torch.zeros(1, 32, 48), torch.ones(1, 32, 48)])
    torch.testing.assert_close(blurred(images, 5.0), images)  # nothing leaks from one scan into the next


def test_ranks_count_down_from_the_hottest_pixel():
    maps = torch.tensor([0.2, 0.9, 0.0, 0.5]).view(1, 1, 2, 2)
    assert heat_ranks(maps).flatten().tolist() == [2, 0, 3, 1]


def test_equal_pixels_come_in_random_order_behind_all_hotter_ones():
    maps = torch.zeros(3, 2, 32, 48)
    maps[:, :, 20, 10:20] = 1 + torch.arange(10.0)
    ranks = heat_ranks(maps, seed=5)
    assert ranks[1, 1, 20, 10:20].tolist() == list(range(9, -1, -1))
    assert ranks.flatten(2).sort().values.equal(torch.arange(32 * 48).expand(3, 2, -1))
    later = ranks[0, 0].flatten()[maps[0, 0].flatten() == 0]
    assert abs(np.corrcoef(later, np.arange(later.numel()))[0, 1]) < 0.1  # not the order of the image
    assert torch.equal(ranks, heat_ranks(maps, seed=5))
    assert not torch.equal(ranks, heat_ranks(maps, seed=6))
    assert not torch.equal(ranks[0, 0], ranks[0, 1])
    assert torch.equal(ranks[0], ranks[2])


def test_maps_that_are_not_finite_are_refused():
    maps = torch.zeros(2, 3, 4, 5)
    maps[1, 2, 0, 0] = torch.nan
    with pytest.raises(InputError, match="scan 1, class 2 has nan or infinite heat"):
        heat_ranks(maps)


def test_forward_passes_leave_the_network_as_found_and_are_bounded():
    sizes = []
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.5))
    net.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    net[2].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.random.get_rng_state()
    logits = logits_in_eval_mode(net, random_image(0, (5, 1, 32, 48)), batch=2)
    assert sizes == [2, 2, 1]
    assert logits.shape == (5, 2, 32, 48)
    assert not logits.requires_grad
    assert [module.training for module in net] == [True, True, False]
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(state, torch.random.get_rng_state())
