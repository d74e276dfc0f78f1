"""SegNet with skips: the paper's sections 3.2 and 3.6; Badrinarayanan et al. 2017, doi 10.1109/TPAMI.2016.2644615."""

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retseg.errors import InputError
from retseg.models.blocks import (
    DoubleConv,
    MaxUnpool2x2,
    Norm,
    cut_to,
    initialise_glorot,
    initialise_he,
    pad_to_multiple,
)

Upsample = Literal["unpool", "transpose", "hybrid"]
Init = Literal["he", "glorot"]

NUM_BLOCKS = 5

WITH_DROPOUT = (2, 3, 4)
"""Blocks (0 is full resolution) whose encoder and decoder are followed by dropout: the deepest half of the network."""


class Up(nn.Module):
    """Doubles H and W of (N, K, H, W).

    unpool: values return to the places of the maxima (the pooling indices that the paper stores in 3.2).
    transpose: 3x3 transposed convolution of stride 2, as the authors' code has it.
    hybrid: the paper says "hybrid pooling indices" and leaves them undefined; retseg's definition is the sum of the
    two above, the unpooled values carrying the places and the transposed convolution filling the gaps between them.
    """

    def __init__(self, mode: Upsample, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.unpool = MaxUnpool2x2() if mode != "transpose" else None
        self.transpose = (
            nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1)
            if mode != "unpool"
            else None
        )

    def forward(self, x: Tensor, indices: Tensor) -> Tensor:
        """(N, K', 2H, 2W) from features (N, K, H, W) and the indices of the pooling at the same depth."""
        upsampled: list[Tensor] = [] if self.unpool is None else [self.unpool(x, indices)]
        if self.transpose is not None:
            upsampled.append(self.transpose(x))
        return upsampled[0] if len(upsampled) == 1 else upsampled[0] + upsampled[1]


class DecoderBlock(DoubleConv):
    """Upsampling, concatenation with the encoder's features of the same size, two convolutions (paper 3.2.2)."""

    def __init__(
        self, mode: Upsample, up: tuple[int, int], skip: int, convs: tuple[int, int], norm: Norm, dilation: int
    ) -> None:
        super().__init__(up[1] + skip, convs[0], convs[1], norm, dilation)
        self.up = Up(mode, *up)

    def forward(self, x: Tensor, skip: Tensor, indices: Tensor) -> Tensor:  # type: ignore[override]
        """(N, K', 2H, 2W) from features (N, K, H, W) and the skip (N, S, 2H, 2W)."""
        return super().forward(torch.cat([self.up(x, indices), skip], dim=1))


class SegNet(nn.Module):
    """Logits (N, num_classes, H, W) from B-scans (N, in_channels, H, W) in 0..1; any H and W.

    Sizes that 32 does not divide are padded inside (last row and column repeated) and come back as they were.

    Five encoder blocks of two 3x3 convolutions and a 2x2 max-pooling, of `width` x 1, 2, 4, 8, 8 channels (at most
    `max_width`, if given); five decoder blocks; a 1x1 head: 21 Conv2d in every mode. Softmax is left to what reads
    the logits.

    upsample: how the decoder doubles H and W, see `Up`. With "unpool" and "hybrid" the second convolution of a
    decoder block gives as many channels as the next pooling had, so that its indices fit.
    norm: "none" as in the paper's code, "batch" or "group".
    dilation: the paper's "adjustable receptive fields" are undefined; here they are the dilation of the 3x3
    convolutions: one number for all blocks, or five, encoder blocks from the surface down, decoder blocks alike.
    max_width: None keeps the paper's cap of 8 x width (512); 16 x width (1024) lifts the fifth block to 1024, which
    section 3.6 calls "similar".
    init: "he", or "glorot" as Keras has it. With Keras' own settings and no normalisation the paper's training
    stays on "all background" for about 20 epochs (its Figure 3).
    dropout: share of the features set to 0 in training after the deepest three encoder blocks (behind their pooling)
    and decoder blocks, as in Bayesian SegNet (Kendall et al. 2015, arXiv 1511.02680); 0: none. Skips are left whole.
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 8,
        width: int = 64,
        upsample: Upsample = "unpool",
        norm: Norm = "none",
        dilation: int | list[int] = 1,
        max_width: int | None = None,
        init: Init = "he",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if upsample not in ("unpool", "transpose", "hybrid"):
            raise InputError(f"model.upsample: {upsample!r} is none of unpool, transpose, hybrid; choose one of them")
        if width < 1 or num_classes < 2:
            raise InputError(f"model: width {width} and num_classes {num_classes}, expected at least 1 and 2")
        dilations = [dilation] * NUM_BLOCKS if isinstance(dilation, int) else list(dilation)
        if len(dilations) != NUM_BLOCKS or min(dilations) < 1:
            raise InputError(f"model.dilation: {dilation!r}; expected one number of 1 or more, or {NUM_BLOCKS} of them")
        if not 0 <= dropout < 1:
            raise InputError(f"model.dropout: {dropout}; expected a share from 0 to below 1")
        widths = encoder_widths(width, max_width)
        self.in_channels, self.num_classes = in_channels, num_classes
        for block, (before, after) in enumerate(pairwise([in_channels, *widths])):
            self.add_module(f"encoder{block + 1}", DoubleConv(before, after, after, norm, dilations[block]))
        from_below = widths[-1]
        for block in reversed(range(NUM_BLOCKS)):
            # What this block hands up: with indices to obey, the width that the next pooling had.
            above = widths[max(block - 1, 0)] if upsample != "transpose" else widths[block]
            up = (from_below, widths[block])
            decoder = DecoderBlock(upsample, up, widths[block], (widths[block], above), norm, dilations[block])
            self.add_module(f"decoder{block + 1}", decoder)
            from_below = above
        self.head = nn.Conv2d(from_below, num_classes, 1)
        for block in WITH_DROPOUT if dropout else ():
            self.add_module(f"encoder{block + 1}_dropout", nn.Dropout(dropout))
            self.add_module(f"decoder{block + 1}_dropout", nn.Dropout(dropout))
        initialise_he(self) if init == "he" else initialise_glorot(self)
        nn.init.xavier_uniform_(self.head.weight)

    @property
    def layer_aliases(self) -> dict[str, str]:
        """The paper's names for what its code calls Conv2D, in order, and the modules that hold their outputs here.

        conv2d .. conv2d_9 are the encoder's, conv2d_10 .. conv2d_19 the decoder's, each after its ReLU; conv2d_20
        is the head, in the paper after its softmax.
        """
        blocks = [f"encoder{b + 1}" for b in range(NUM_BLOCKS)] + [
            f"decoder{b + 1}" for b in reversed(range(NUM_BLOCKS))
        ]
        modules = [f"{block}.{relu}" for block in blocks for relu in ("relu1", "relu2")]
        names = ["conv2d"] + [f"conv2d_{i}" for i in range(1, 2 * len(blocks))]
        return dict(zip(names, modules, strict=True)) | {f"conv2d_{2 * len(blocks)}": "softmax"}

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, C, H, W) from (N, in_channels, H, W)."""
        x = pad_to_multiple(image, 2**NUM_BLOCKS)
        skips, all_indices = [], []
        for block in range(NUM_BLOCKS):
            x = self.get_submodule(f"encoder{block + 1}")(x)
            skips.append(x)
            x, indices = F.max_pool2d(x, 2, return_indices=True)
            x = self._after(f"encoder{block + 1}", x)
            all_indices.append(indices)
        for block in reversed(range(NUM_BLOCKS)):
            x = self.get_submodule(f"decoder{block + 1}")(x, skips[block], all_indices[block])
            x = self._after(f"decoder{block + 1}", x)
        return cut_to(self.head(x), image)

    def _after(self, block: str, x: Tensor) -> Tensor:
        """Features (N, K, H, W) after a block's dropout, if it has one."""
        dropout = self._modules.get(f"{block}_dropout")
        return x if dropout is None else dropout(x)


def encoder_widths(width: int, max_width: int | None) -> list[int]:
    """Channels of the five encoder blocks: doubling from `width` up to the cap, which is 8 x width unless given."""
    cap = 8 * width if max_width is None else max_width
    if cap < width:
        raise InputError(f"model.max_width: {cap} is below model.width {width}; expected at least as many")
    return [min(width * 2**block, cap) for block in range(NUM_BLOCKS)]
