import pytest
import torch
from torch import nn

from retseg.errors import InputError
from retseg.explain.baselines import edge_map
from retseg.explain.similarity import Similarity
from retseg.explain.stability import CONTROL, judge_stability, under_flip, under_grader, under_noise, under_seed

SUBJECTS = ["a", "b", "c", "d"]


@pytest.fixture
def image():
    return 0.2 + 0.6 * torch.rand(4, 1, 32, 48, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Conv2d(1, 2, 3, padding=1)


def features(net, image):
    """An explainer that reads the network."""
    return net(image).detach().sigmoid()


def image_itself(net, image):
    return image.expand(-1, 2, -1, -1)


def left_of_the_scan(net, image):
    return torch.arange(48.0, 0, -1).expand(len(image), 2, 32, 48)


def test_a_map_of_the_pixels_alone_is_the_same_after_a_flip_and_a_map_of_places_is_its_reverse(net, image):
    found = under_flip(net, image, {"image": image_itself, "place": left_of_the_scan})
    assert found["image"].rank.nanmean().item() == pytest.approx(1)
    assert found["place"].rank.nanmean().item() == pytest.approx(-1)
    assert set(found) == {"image", "place", CONTROL}


def test_no_noise_changes_nothing_and_more_noise_more(net, image):
    ranks = [under_noise(net, image, {"image": image_itself}, sd)["image"].rank.nanmean().item() for sd in (0, 5, 25)]
    assert ranks[0] == pytest.approx(1)
    assert 1 > ranks[1] > ranks[2] > 0.5
    with pytest.raises(InputError, match="sd_gray: -1, expected 0 or more"):
        under_noise(net, image, {}, -1)


def test_noise_is_in_gray_levels_clipped_to_what_an_image_holds_and_drawn_by_its_seed(net):
    seen = []

    def record(net, image):
        seen.append(image)
        return image.expand(-1, 2, -1, -1)

    image = torch.full((1, 1, 64, 96), 0.5)
    image[..., :10, :] = 1
    under_noise(net, image, {"": record}, 25.5, seed=1)
    under_noise(net, image, {"": record}, 25.5, seed=1)
    under_noise(net, image, {"": record}, 25.5, seed=2)
    assert torch.equal(seen[0], image)
    assert (seen[1] - image)[..., 10:, :].std().item() == pytest.approx(0.1, rel=0.05)
    assert seen[1].max() == 1
    assert torch.equal(seen[1], seen[3])
    assert not torch.equal(seen[1], seen[5])


def test_two_networks_are_compared_and_the_prediction_beside(net, image):
    other = nn.Conv2d(1, 2, 3, padding=1)
    other.load_state_dict(net.state_dict())
    same = under_seed(net, other, image, {"features": features})
    assert same["features"].rank.nanmean().item() == pytest.approx(1)
    assert same[CONTROL].rank.nanmean().item() == pytest.approx(1)
    with torch.no_grad():
        other.weight.copy_(net.weight.flip(2))
    changed = under_seed(net, other, image, {"features": features})
    assert changed["features"].rank.nanmean() < 0.9
    assert changed[CONTROL].rank.nanmean() < 0.9


def test_maps_that_read_the_labels_change_with_the_grader(net, image):
    first = torch.zeros(4, 32, 48, dtype=torch.int64)
    first[:, 10:20] = 1
    second = first.roll(5, dims=1)

    def edges_inside(mask):
        return lambda net, image: edge_map(image, 2) * (mask == 1)[:, None]

    found = under_grader(net, image, {"inside": edges_inside}, first, second)["inside"].rank
    same = under_grader(net, image, {"inside": edges_inside}, first, first)["inside"].rank
    assert same.nanmean().item() == pytest.approx(1)
    assert found.nanmean() < 0.6


def test_classes_that_are_predicted_nowhere_are_nan(image):
    net = nn.Conv2d(1, 2, 1)
    net.bias.data = torch.tensor([100.0, -100])
    found = under_flip(net, image, {"image": image_itself})["image"]
    assert found.rank[:, 1].isnan().all()
    assert not found.rank[:, 0].isnan().any()


@pytest.mark.parametrize(
    ("layer", "outcome"),
    [
        ([0.9, 0.95, 0.8, 0.9], "stable"),
        ([0.3, 0.5, 0.2, 0.6], "unstable"),
        ([0.2, 0.9, 0.9, 0.9], "undecided"),
        ([torch.nan] * 4, "unknown"),
    ],
)
def test_verdicts(layer, outcome):
    rank = torch.stack([torch.zeros(4), torch.tensor(layer)], dim=1)
    found = Similarity(rank, rank, rank)
    assert judge_stability(found, SUBJECTS) == outcome
    assert judge_stability(found, SUBJECTS, class_id=0) == "unstable"


def test_the_name_of_the_control_is_taken(net, image):
    with pytest.raises(InputError, match="explainer 'prediction': the name of the control"):
        under_flip(net, image, {CONTROL: features})
