"""U-Net: Ronneberger et al. 2015, doi 10.1007/978-3-319-24574-4_28, with what makes it cheap on a CPU."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from retseg.errors import InputError
from retseg.models.blocks import (
    DoubleConv,
    Norm,
    UpAndJoin,
    Upsample2x2,
    cut_to,
    initialise_he,
    make_norm,
    pad_to_multiple,
)
from retseg.models.layer_names import papers_names

LARGEST_MULTIPLE = 32
"""Rows and columns that an exported network is sure to get a multiple of: the grid can't be coarser than that."""


class UNet(nn.Module):
    """Logits (N, num_classes, H, W) from B-scans (N, in_channels, H, W) in 0..1; any H and W.

    `depth` encoder blocks of two 3x3 convolutions and a 2x2 max-pooling, of `width` x 1, 2, 4, .. channels (at most
    `max_width`, if given), a bottleneck of twice the last, as many decoder blocks (`UpAndJoin`), a 1x1 head. The
    paper's is width 64, depth 4, norm "none", upsample "transpose"; its convolutions lose the border, these keep it.
    Sizes that 2^depth x stem_stride does not divide are padded inside and come back as they were.

    separable: each 3x3 convolution is one of each channel by itself and a 1x1 one, see `SeparableConv`.
    stem_stride: rows and columns that the first convolution steps by, 1, 2 or 4 each; all others then work on a
    coarser grid, and the logits are interpolated back (linear, about pixel centres). [1, 2] halves the columns, along
    which surfaces are smooth, and with them the time.
    dropout: share of the bottleneck's features set to 0 in training, as at the end of the paper's contracting path.
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 8,
        width: int = 64,
        depth: int = 4,
        norm: Norm = "none",
        upsample: Upsample2x2 = "transpose",
        separable: bool = False,
        stem_stride: Sequence[int] = (1, 1),
        max_width: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if width < 1 or num_classes < 2:
            raise InputError(f"model: width {width} and num_classes {num_classes}, expected at least 1 and 2")
        if max_width is not None and max_width < width:
            raise InputError(f"model.max_width: {max_width} is below model.width {width}; expected at least as many")
        if not 0 <= dropout < 1:
            raise InputError(f"model.dropout: {dropout}; expected a share from 0 to below 1")
        self.stride = _checked_stride(stem_stride)
        if depth < 1 or 2**depth * max(self.stride) > LARGEST_MULTIPLE:
            raise InputError(
                f"model.depth: {depth} with stem_stride {list(self.stride)}; expected 1 or more, and 2^depth x stride "
                f"of {LARGEST_MULTIPLE} at most"
            )
        self.in_channels, self.num_classes, self.depth = in_channels, num_classes, depth
        widths = [min(width * 2**block, max_width or width * 2**block) for block in range(depth + 1)]
        self.stem = _Stem(in_channels, width, self.stride, norm) if max(self.stride) > 1 else None
        before = in_channels if self.stem is None else width
        for block in range(depth):
            self.add_module(f"encoder{block + 1}", DoubleConv(before, widths[block], widths[block], norm, 1, separable))
            before = widths[block]
        self.bottleneck = DoubleConv(before, widths[depth], widths[depth], norm, 1, separable)
        self.dropout = nn.Dropout(dropout) if dropout else None
        for block in reversed(range(depth)):
            decoder = UpAndJoin(upsample, widths[block + 1], widths[block], widths[block], norm, separable)
            self.add_module(f"decoder{block + 1}", decoder)
        self.head = nn.Conv2d(width, num_classes, 1)
        initialise_he(self)
        nn.init.xavier_uniform_(self.head.weight)

    @property
    def layer_aliases(self) -> dict[str, str]:
        """See `papers_names`; the deepest one is the bottleneck."""
        return papers_names([*(f"decoder{b + 1}.convs.relu2" for b in range(self.depth)), "bottleneck.relu2"])

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, C, H, W) from (N, in_channels, H, W)."""
        padded = pad_to_multiple(image, 2**self.depth * max(self.stride))
        x = padded if self.stem is None else self.stem(padded)
        skips = []
        for block in range(1, self.depth + 1):
            x = self.get_submodule(f"encoder{block}")(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottleneck(x)
        x = x if self.dropout is None else self.dropout(x)
        for block in range(self.depth, 0, -1):
            x = self.get_submodule(f"decoder{block}")(x, skips.pop())
        logits = self.head(x)
        if self.stem is not None:
            logits = F.interpolate(logits, size=padded.shape[-2:], mode="bilinear", align_corners=False)
        return cut_to(logits, image)


class _Stem(nn.Module):
    """A convolution on a coarser grid, whose pixels lie in the middle of those that each stands for.

    Along an axis of stride s > 1 the kernel has 2s pixels, of stride 1 three: then no pixel is left out or shifted.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: tuple[int, int], norm: Norm) -> None:
        super().__init__()
        kernel = (_length(stride[0]), _length(stride[1]))
        padding = ((kernel[0] - stride[0]) // 2, (kernel[1] - stride[1]) // 2)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=norm == "none")
        self.norm = make_norm(norm, out_channels)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, out_channels, H / stride, W / stride) from (N, in_channels, H, W), which the strides divide."""
        features: Tensor = self.relu(self.norm(self.conv(x)))
        return features


def _length(stride: int) -> int:
    return 3 if stride == 1 else 2 * stride


def _checked_stride(stem_stride: Sequence[int]) -> tuple[int, int]:
    if len(stem_stride) != 2 or any(step not in (1, 2, 4) for step in stem_stride):
        raise InputError(f"model.stem_stride: {list(stem_stride)}; expected two numbers, rows and columns, of 1, 2, 4")
    return stem_stride[0], stem_stride[1]
