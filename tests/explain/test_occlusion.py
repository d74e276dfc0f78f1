"""Occlusion by hand, on 4 rows by 6 columns."""

import pytest
import torch
from torch import nn

from retseg.errors import InputError
from retseg.explain.occlusion import occlusion
from retseg.explain.regions import Pixel
from retseg.explain.score import Score
from retseg.models.segnet import SegNet

LOGIT = Score("logit")


class Copies(nn.Module):
    """z_0 = the image, z_1 = minus the image."""

    def forward(self, image):
        return torch.cat([image, -image], 1)


def bright_spot():
    """Zeros but for 24 at row 1, column 2: a mean of 1."""
    image = torch.zeros(1, 1, 4, 6)
    image[0, 0, 1, 2] = 24
    return image


def test_one_pixel_patches_find_what_each_pixel_gives():
    found = occlusion(Copies(), bright_spot(), LOGIT, side_px=1, stride_px=1)
    assert found.signed[0, 0, 1, 2] == 23  # 24 goes, the mean of 1 comes
    assert found.signed[0, 0].sum() == 0  # and 23 pixels rise from 0 to 1
    assert torch.equal(found.signed[:, 1], -found.signed[:, 0])
    assert found.maps[0, 0].sum() == 23
    assert found.maps[0, 1, 1, 2] == 0
    assert found.maps[0, 1].sum() == 23


def test_overlapping_patches_are_averaged_pixel_by_pixel_and_the_last_ends_at_the_border():
    found = occlusion(Copies(), bright_spot(), LOGIT, side_px=3, stride_px=2)
    # Rows start at 0 and 1, columns at 0, 2 and 3. The spot lies in four of six patches; each takes 23 and gives 8.
    with_spot, without = 24 - 9, -9
    expected = torch.full((4, 6), float(with_spot))
    expected[:, 3] = expected[:, 4] = (with_spot + without) / 2  # of the patches from columns 2 and 3
    expected[:, 5] = without
    torch.testing.assert_close(found.signed[0, 0], expected)


def test_a_blur_takes_nothing_from_an_even_scan_and_the_batch_changes_nothing():
    even = torch.full((1, 1, 4, 6), 0.7)
    assert occlusion(Copies(), even, LOGIT, 2, 1, fill="blur").signed.abs().max() < 1e-4
    torch.manual_seed(0)
    net, image = SegNet(width=2), torch.rand(2, 1, 32, 48)
    one, many = (occlusion(net, image, Score(), 16, 16, "blur", batch) for batch in (1, 7))
    close = {"atol": 2e-4, "rtol": 1e-3}  # differences of sums near 200 in float32
    torch.testing.assert_close(one.signed, many.signed, **close)
    apart = torch.cat([occlusion(net, image[i : i + 1], Score(), 16, 16, "blur").signed for i in range(2)])
    torch.testing.assert_close(one.signed, apart, **close)
    assert one.signed.abs().amax((2, 3)).min() > 2e-3


def test_the_pixels_of_the_score_are_those_of_the_scan_as_it_is():
    found = occlusion(Copies(), bright_spot(), Score("logit", over="predicted"), side_px=1, stride_px=1)
    # Class 0 is predicted everywhere (ties go to it), also where a changed pixel would make it class 1.
    assert found.signed[0, 1].abs().max() == 0
    spot = occlusion(Copies(), bright_spot(), Score("logit", over=Pixel(1, 2)), side_px=1, stride_px=1)
    assert spot.signed[0, 0].nonzero().tolist() == [[1, 2]]


def test_the_network_is_left_as_it_was_found():
    net = SegNet(width=2, norm="batch").train()
    net.encoder1.norm1.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes = [module.training for module in net.modules()]
    random_state = torch.get_rng_state()
    with torch.inference_mode():
        occlusion(net, torch.rand(1, 1, 32, 48), side_px=32, stride_px=32)
    with pytest.raises(RuntimeError):
        occlusion(net, torch.rand(1, 2, 32, 48), side_px=32, stride_px=32)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [module.training for module in net.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random_state) is False  # torch.rand above drew from it ...
    random_state = torch.get_rng_state()
    occlusion(net, torch.zeros(1, 1, 32, 48), side_px=32, stride_px=32)
    assert torch.equal(torch.get_rng_state(), random_state)  # ... and occlusion does not


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"side_px": 5}, "patches of 5 px on 4 x 6"),
        ({"side_px": 2, "stride_px": 3}, "a stride of 3 px, expected 1 to the patch's 2"),
        ({"side_px": 2, "stride_px": 1, "batch": 0}, "a batch of 0"),
        ({"side_px": 2, "stride_px": 1, "fill": "black"}, "fill 'black', expected one of mean, blur"),
    ],
)
def test_patches_that_do_not_fit(settings, message):
    with pytest.raises(InputError, match=message):
        occlusion(Copies(), bright_spot(), **settings)
