"""Parts that networks are built from. N scans, K channels, H rows, W columns."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["none", "batch", "group"]


def make_norm(norm: Norm, channels: int) -> nn.Module:
    """Layer that normalises (N, K, H, W) over what its name says; "none" passes through."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "group":
        return nn.GroupNorm(min(8, channels), channels)
    return nn.Identity()


class DoubleConv(nn.Module):
    """Two 3x3 convolutions, each with normalisation and ReLU; H and W stay ("same" padding).

    The ReLUs are not in place: a hook on what feeds them sees the values that they saw.
    """

    def __init__(self, in_channels: int, mid_channels: int, out_channels: int, norm: Norm, dilation: int) -> None:
        super().__init__()
        # A bias before a normalisation is taken out again by it.
        settings = {"kernel_size": 3, "padding": dilation, "dilation": dilation, "bias": norm == "none"}
        self.conv1 = nn.Conv2d(in_channels, mid_channels, **settings)  # type: ignore[arg-type]
        self.norm1 = make_norm(norm, mid_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(mid_channels, out_channels, **settings)  # type: ignore[arg-type]
        self.norm2 = make_norm(norm, out_channels)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, out_channels, H, W) from (N, in_channels, H, W)."""
        x = self.relu1(self.norm1(self.conv1(x)))
        features: Tensor = self.relu2(self.norm2(self.conv2(x)))
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


def initialise_he(module: nn.Module) -> None:
    """He et al. 2015 (doi 10.1109/ICCV.2015.123): variance kept through ReLUs, so that deep stacks start to learn."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def initialise_glorot(module: nn.Module) -> None:
    """Glorot & Bengio 2010, uniform, zero biases: the default of Keras, hence of the paper's code."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
