"""Parts that networks are built from. N scans, K channels, H rows, W columns."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retseg.errors import InputError

Norm = Literal["none", "batch", "group"]
Upsample2x2 = Literal["transpose", "bilinear"]

MOST_GROUPS = 8
"""Groups of channels that "group" normalises together; fewer channels are as many groups."""


def make_norm(norm: Norm, channels: int) -> nn.Module:
    """Layer that normalises (N, K, H, W) over what its name says; "none" passes through. InputError: no such layer."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "group":
        groups = min(MOST_GROUPS, channels)
        if channels % groups:
            raise InputError(
                f"model.norm: group, of {channels} channels, which {groups} groups do not divide; choose a model.width "
                f"that {MOST_GROUPS} divides, or model.norm=batch"
            )
        return nn.GroupNorm(groups, channels)
    if norm != "none":
        raise InputError(f"model.norm: {norm!r} is none of none, batch, group; choose one of them")
    return nn.Identity()


class SeparableConv(nn.Module):
    """A 3x3 convolution of each channel by itself, then a 1x1 one across them (Chollet 2017, 10.1109/CVPR.2017.195).

    It needs 1/9 + 1/K' of the multiplications of a full one. Nothing stands between the two, as in that paper.
    """

    def __init__(self, in_channels: int, out_channels: int, dilation: int, bias: bool) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, 3, padding=dilation, dilation=dilation, groups=in_channels, bias=False
        )
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, out_channels, H, W) from (N, in_channels, H, W)."""
        features: Tensor = self.pointwise(self.depthwise(x))
        return features


def make_conv(in_channels: int, out_channels: int, dilation: int, bias: bool, separable: bool) -> nn.Module:
    """A 3x3 convolution that keeps H and W; of a single channel it is a full one, for there is nothing to separate."""
    if separable and in_channels > 1:
        return SeparableConv(in_channels, out_channels, dilation, bias)
    return nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation, bias=bias)


class DoubleConv(nn.Module):
    """Two 3x3 convolutions, full or separable, each with normalisation and ReLU; H and W stay ("same" padding).

    The ReLUs are not in place: a hook on what feeds them sees the values that they saw.
    """

    def __init__(
        self,
        in_channels: int,
        mid_channels: int,
        out_channels: int,
        norm: Norm,
        dilation: int = 1,
        separable: bool = False,
    ) -> None:
        super().__init__()
        has_bias = norm == "none"  # a bias before a normalisation is taken out again by it
        self.conv1 = make_conv(in_channels, mid_channels, dilation, has_bias, separable)
        self.norm1 = make_norm(norm, mid_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = make_conv(mid_channels, out_channels, dilation, has_bias, separable)
        self.norm2 = make_norm(norm, out_channels)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, out_channels, H, W) from (N, in_channels, H, W)."""
        x = self.relu1(self.norm1(self.conv1(x)))
        features: Tensor = self.relu2(self.norm2(self.conv2(x)))
        return features


class UpAndJoin(nn.Module):
    """Doubles H and W, joins the encoder's features of that size, convolves twice (Ronneberger et al. 2015).

    transpose: the paper's up-convolution, 2x2 of stride 2. bilinear: a 1x1 convolution, then linear interpolation
    about pixel centres: cheaper, and without the checkered pattern that up-convolutions can leave.
    """

    def __init__(
        self, upsample: Upsample2x2, in_channels: int, skip: int, out_channels: int, norm: Norm, separable: bool
    ) -> None:
        super().__init__()
        self.up: nn.Module
        if upsample == "transpose":
            self.up = nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
        elif upsample == "bilinear":
            enlarged = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
            self.up = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1), enlarged)
        else:
            raise InputError(f"model.upsample: {upsample!r} is neither transpose nor bilinear; choose one of them")
        self.convs = DoubleConv(out_channels + skip, out_channels, out_channels, norm, separable=separable)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, out_channels, 2H, 2W) from features (N, in_channels, H, W) and the skip (N, S, 2H, 2W)."""
        features: Tensor = self.convs(torch.cat([self.up(x), skip], dim=1))
        return features


class MaxUnpool2x2(nn.Module):
    """Puts each value back where the 2x2 maximum was, zeros elsewhere (Badrinarayanan et al. 2017, section 3.1).

    Equal to `F.max_unpool2d(x, indices, 2)` bit for bit, but deterministic and exportable: a scatter over the
    flattened plane. No two indices are the same, so nothing is added up and the order of writing is free.
    """

    def forward(self, x: Tensor, indices: Tensor) -> Tensor:
        """(N, K, 2H, 2W) from values and indices (N, K, H, W), the indices being those of a 2x2 max-pooling."""
        num, channels, height, width = x.shape
        plane = x.new_zeros(num, channels, 4 * height * width)
        filled = plane.scatter(2, indices.flatten(2), x.flatten(2))
        return filled.view(num, channels, 2 * height, 2 * width)


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """(N, K, H', W') with H' and W' rounded up; the last row and column are repeated below and to the right."""
    height, width = x.shape[-2:]
    below, right = -height % multiple, -width % multiple
    return F.pad(x, (0, right, 0, below), mode="replicate") if below or right else x


def cut_to(logits: Tensor, image: Tensor) -> Tensor:
    """Logits (N, C, H, W) of an image (N, K, H, W), from those of the padded one (N, C, H', W')."""
    height, width = image.shape[-2:]
    return logits if logits.shape[-2:] == image.shape[-2:] else logits[..., :height, :width]


def initialise_he(module: nn.Module) -> None:
    """He et al. 2015 (doi 10.1109/ICCV.2015.123): variance kept through ReLUs, so that deep stacks start to learn."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            # No ReLU follows a depthwise convolution: see SeparableConv.
            nn.init.kaiming_normal_(part.weight, nonlinearity="linear" if part.groups > 1 else "relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def initialise_glorot(module: nn.Module) -> None:
    """Glorot & Bengio 2010, uniform, zero biases: the default of Keras, hence of the paper's code."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
