"""Every identity that is claimed, on random networks and regions by plain autograd; and none where there is none."""

import pytest
import torch
from torch import nn

from retseg.explain.identities import Identity, identity_of
from retseg.explain.layers import SOFTMAX
from retseg.explain.methods import CHANNEL_WEIGHTS, METHODS, PIXEL_MAPS
from retseg.explain.score import Score

SIZE, NUM_CLASSES, NUM_CHANNELS = (7, 11), 4, 5
REGIONS = ["image", "predicted", torch.arange(77).view(SIZE) % 11 < 4]
SCORES = [Score(of, how, over) for of in ("probability", "logit") for how in ("sum", "mean") for over in REGIONS]
SCORES += [Score("log_probability", "sum", over) for over in REGIONS]
FEATURES = "features"


def region_of(score):
    return "image" if isinstance(score.over, str) and score.over == "image" else "a region"


class Sample:
    """Features and the 1x1 head behind them; maps of class 1 by autograd through what the score reads."""

    def __init__(self, seed, score):
        torch.manual_seed(seed)
        self.head = nn.Conv2d(NUM_CHANNELS, NUM_CLASSES, 1).double().requires_grad_(False)
        self.features = torch.randn(1, NUM_CHANNELS, *SIZE, dtype=torch.float64).requires_grad_()
        self.logits = self.head(self.features)
        self.probabilities = self.logits.softmax(1)
        self.weight = score.pixel_weights(self.logits.detach()).expand_as(self.logits)[0, 1]
        self.score = score

    def map_of(self, method, module):
        """The raw map (H, W)."""
        if module == SOFTMAX:
            target = self.probabilities.detach().requires_grad_()
            value = (self.weight * target[0, 1]).sum()
        else:
            target, value = self.features, self.score.values(self.logits)[0, 1]
        (gradient,) = torch.autograd.grad(value, target)
        target = target.detach()
        if method in PIXEL_MAPS:
            return PIXEL_MAPS[method](target, gradient)[0]
        weights = CHANNEL_WEIGHTS[method](target, gradient)
        return torch.einsum("k,khw->hw", weights[0], target[0]).relu()

    def expected(self, identity):
        """The map (H, W) that an identity claims, up to a factor."""
        shifted = (self.logits.detach() - self.head.bias[None, :, None, None])[0]
        counted = (self.weight > 0).double() if identity.map_is.endswith("0 elsewhere") else 1
        if identity.map_is.startswith("P_c"):
            return self.probabilities.detach()[0, 1] * counted
        if identity.map_is.startswith("ReLU(z_c"):
            return shifted[1].relu() * counted
        logits = self.logits.detach().requires_grad_()
        (slopes,) = torch.autograd.grad(self.score.values(logits)[0, 1], logits)
        if identity.map_is.startswith("ReLU of a linear"):
            return (slopes[0].mean((1, 2))[:, None, None] * shifted).sum(0).relu()
        return (slopes[0] * shifted).sum(0).relu()


def is_same_map(found, expected):
    """Equal but for a positive factor."""
    assert found.max() > 0
    return torch.allclose(found / found.max(), expected / expected.max(), atol=1e-9)


CASES = [(module, method, score) for module in (SOFTMAX, FEATURES) for method in METHODS for score in SCORES]


@pytest.mark.parametrize(
    ("module", "method", "score"),
    [case for case in CASES if case[0] == FEATURES or case[2].of == "probability"],
    ids=lambda part: f"{part.of}-{part.reduction}-{region_of(part)}" if isinstance(part, Score) else part,
)
def test_a_claimed_identity_holds_and_where_none_is_claimed_none_does(module, method, score):
    identity = identity_of(module, "closed form", score, method)
    samples = [Sample(seed, score) for seed in range(3)]
    if identity is not None:
        assert all(is_same_map(one.map_of(method, module), one.expected(identity)) for one in samples)
        return
    texts = ("P_c", "P_c where 0 elsewhere", "ReLU(z_c", "ReLU(z_c 0 elsewhere", "ReLU of a linear", "ReLU(sum")
    maps = [(one, one.map_of(method, module)) for one in samples]
    for text in texts:
        assert not all(is_same_map(found, one.expected(Identity((0,), text))) for one, found in maps if found.max() > 0)


def test_identity_1_needs_the_sum_over_the_whole_image_of_grad_cam():
    assert identity_of(SOFTMAX, "closed form", Score()) == Identity((1, 2), "P_c")
    assert identity_of(SOFTMAX, "closed form", Score(over="predicted")) == Identity((2,), "P_c")
    assert identity_of(SOFTMAX, "closed form", Score(), "xgradcam") == Identity((2,), "P_c")


@pytest.mark.parametrize(("of", "number"), [("probability", 5), ("log_probability", 5), ("logit", 4)])
def test_features_that_feed_the_head(of, number):
    found = identity_of("decoder1.relu2", "closed form", Score(of=of))
    assert found is not None
    assert found.numbers == (number,)


@pytest.mark.parametrize("gradient", ["autograd", "none"])
def test_no_identity_behind_what_has_to_be_differentiated(gradient):
    assert identity_of("decoder2.relu2", gradient, Score()) is None


def test_no_identity_of_a_method_that_is_not_ours():
    assert identity_of("decoder1.relu2", "closed form", Score(), "eigencam") is None


def test_the_words_for_the_stamp():
    assert Identity((1, 2), "P_c").text == "identities 1 and 2: the map is P_c"
    assert Identity((4,), "ReLU(z_c - b_c)").text == "identity 4: the map is ReLU(z_c - b_c)"
