"""ReLayNet: Roy et al. 2017, doi 10.1364/BOE.8.003627."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retseg.errors import InputError
from retseg.models.blocks import MaxUnpool2x2, Norm, cut_to, initialise_he, make_norm, pad_to_multiple
from retseg.models.layer_names import papers_names

NUM_BLOCKS = 3

KERNEL = (7, 3)
"""Rows and columns: with three poolings, tall enough for the bottleneck to see the whole retina (section 2.2)."""


class ConvBlock(nn.Module):
    """A 7x3 convolution, normalisation, ReLU; H and W stay."""

    def __init__(self, in_channels: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        padding = (KERNEL[0] // 2, KERNEL[1] // 2)
        self.conv = nn.Conv2d(in_channels, out_channels, KERNEL, padding=padding, bias=norm == "none")
        self.norm = make_norm(norm, out_channels)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, out_channels, H, W) from (N, in_channels, H, W)."""
        features: Tensor = self.relu(self.norm(self.conv(x)))
        return features


class ReLayNet(nn.Module):
    """Logits (N, num_classes, H, W) from B-scans (N, in_channels, H, W) in 0..1; any H and W.

    Three encoder blocks (7x3 convolution, normalisation, ReLU, 2x2 max-pooling), a bottleneck of one such
    convolution, three decoder blocks (unpooling to the places of the maxima, the encoder's features of the same size
    beside it, one convolution), a 1x1 head; `width` channels throughout, 64 in the paper, and BatchNorm as there.
    Sizes that 8 does not divide are padded inside (last row and column repeated) and come back as they were.
    The paper's head has ten classes (with the space below the retina and fluid); here they are `num_classes`, and
    fluid is a channel of its own (`WithFluid`).
    """

    def __init__(self, in_channels: int = 1, num_classes: int = 8, width: int = 64, norm: Norm = "batch") -> None:
        super().__init__()
        if width < 1 or num_classes < 2:
            raise InputError(f"model: width {width} and num_classes {num_classes}, expected at least 1 and 2")
        self.in_channels, self.num_classes = in_channels, num_classes
        for block in range(1, NUM_BLOCKS + 1):
            self.add_module(f"encoder{block}", ConvBlock(in_channels if block == 1 else width, width, norm))
        self.bottleneck = ConvBlock(width, width, norm)
        for block in range(NUM_BLOCKS, 0, -1):
            self.add_module(f"decoder{block}", ConvBlock(2 * width, width, norm))
        self.unpool = MaxUnpool2x2()
        self.head = nn.Conv2d(width, num_classes, 1)
        initialise_he(self)
        nn.init.xavier_uniform_(self.head.weight)

    @property
    def layer_aliases(self) -> dict[str, str]:
        """See `papers_names`; the deepest one is the bottleneck."""
        return papers_names([*(f"decoder{block}.relu" for block in range(1, NUM_BLOCKS + 1)), "bottleneck.relu"])

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, C, H, W) from (N, in_channels, H, W)."""
        x = pad_to_multiple(image, 2**NUM_BLOCKS)
        skips, all_indices = [], []
        for block in range(1, NUM_BLOCKS + 1):
            x = self.get_submodule(f"encoder{block}")(x)
            skips.append(x)
            x, indices = F.max_pool2d(x, 2, return_indices=True)
            all_indices.append(indices)
        x = self.bottleneck(x)
        for block in range(NUM_BLOCKS, 0, -1):
            unpooled = self.unpool(x, all_indices.pop())
            x = self.get_submodule(f"decoder{block}")(torch.cat([unpooled, skips.pop()], dim=1))
        return cut_to(self.head(x), image)
