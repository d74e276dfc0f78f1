"""A U-Net whose encoder is a classification network of torchvision: ResNet or MobileNetV3.

He et al. 2016, doi 10.1109/CVPR.2016.90; Howard et al. 2019, doi 10.1109/ICCV.2019.00140; decoder as in `unet`.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torchvision.models  # type: ignore[import-untyped]  # it has no marker of types
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor  # type: ignore[import-untyped]

from retseg.errors import InputError, one_line
from retseg.models.blocks import Norm, UpAndJoin, Upsample2x2, cut_to, initialise_he, pad_to_multiple
from retseg.models.layer_names import papers_names

EncoderName = Literal["resnet18", "resnet34", "mobilenet_v3_small", "mobilenet_v3_large"]

IMAGENET_MEAN, IMAGENET_SD = 0.449, 0.226
"""Of gray levels 0..1 over the photographs that pretrained weights were trained on (mean over three colours)."""


@dataclass(frozen=True, slots=True)
class _Levels:
    """Where an encoder's features at 1/2, 1/4, .. 1/32 of the resolution come out, and how many channels they have."""

    nodes: tuple[str, ...]
    widths: tuple[int, ...]
    first: str


_RESNET_NODES = ("relu", "layer1", "layer2", "layer3", "layer4")
_SMALL_NODES = ("features.0", "features.1", "features.3", "features.8", "features.11")
_LARGE_NODES = ("features.1", "features.3", "features.6", "features.12", "features.15")

LEVELS = {
    "resnet18": _Levels(_RESNET_NODES, (64, 64, 128, 256, 512), "conv1"),
    "resnet34": _Levels(_RESNET_NODES, (64, 64, 128, 256, 512), "conv1"),
    "mobilenet_v3_small": _Levels(_SMALL_NODES, (16, 16, 24, 48, 96), "features.0.0"),
    "mobilenet_v3_large": _Levels(_LARGE_NODES, (16, 24, 40, 112, 160), "features.0.0"),
}


class EncoderUNet(nn.Module):
    """Logits (N, num_classes, H, W) from B-scans (N, 1, H, W) in 0..1; any H and W.

    encoder: which network of torchvision, without what pools and classifies; its first convolution reads one channel.
    The five decoder blocks (`UpAndJoin`) have width x 16, 8, 4, 2, 1 channels, and that of full resolution is joined
    to the image itself, for the encoder's first features have half of it. Sizes that 32 does not divide are padded
    inside and come back as they were.
    pretrained: training starts from torchvision's weights for ImageNet, which `fetch_pretrained` downloads then; the
    weights of the first convolution are summed over the three colours. Nothing is downloaded otherwise, and nothing
    where a trained network is opened.
    """

    def __init__(
        self,
        num_classes: int = 8,
        encoder: EncoderName = "resnet18",
        width: int = 16,
        norm: Norm = "batch",
        upsample: Upsample2x2 = "bilinear",
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        if encoder not in LEVELS:
            raise InputError(f"model.encoder: {encoder!r} is none of {', '.join(LEVELS)}; choose one of them")
        if width < 1 or num_classes < 2:
            raise InputError(f"model: width {width} and num_classes {num_classes}, expected at least 1 and 2")
        self.in_channels, self.num_classes, self.pretrained = 1, num_classes, pretrained
        self.encoder_name, levels = encoder, LEVELS[encoder]
        whole = _of_one_channel(torchvision.models.get_model(encoder, weights=None), levels.first)
        self.encoder = create_feature_extractor(whole, {node: node for node in levels.nodes})
        below = levels.widths[-1]
        for level, skip in reversed(list(enumerate((1, *levels.widths[:-1])))):
            block = UpAndJoin(upsample, below, skip, width * 2**level, norm, separable=False)
            initialise_he(block)
            self.add_module(f"decoder{level + 1}", block)
            below = width * 2**level
        self.head = nn.Conv2d(below, num_classes, 1)
        nn.init.xavier_uniform_(self.head.weight)

    @property
    def layer_aliases(self) -> dict[str, str]:
        """See `papers_names`."""
        return papers_names([f"decoder{level}.convs.relu2" for level in range(1, 6)])

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, C, H, W) from (N, 1, H, W)."""
        padded = pad_to_multiple(image, 32)
        features = list(self.encoder((padded - IMAGENET_MEAN) / IMAGENET_SD).values())
        x = features[-1]
        for level, skip in reversed(list(enumerate((padded, *features[:-1]), start=1))):
            x = self.get_submodule(f"decoder{level}")(x, skip)
        return cut_to(self.head(x), image)

    def fetch_pretrained(self) -> None:
        """Start from torchvision's weights for ImageNet, if `pretrained`. InputError: they can't be had."""
        if not self.pretrained:
            return
        try:
            whole = torchvision.models.get_model(self.encoder_name, weights="DEFAULT", progress=False)
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"model.pretrained: no weights for {self.encoder_name} ({one_line(error):.120}); go "
                "online once, or set model.pretrained=false"
            ) from error
        theirs = _of_one_channel(whole, LEVELS[self.encoder_name].first).state_dict()
        self.encoder.load_state_dict({name: theirs[name] for name in self.encoder.state_dict()})


def _of_one_channel(whole: nn.Module, first: str) -> nn.Module:
    """The network with a first convolution (at the path `first`) that reads gray: its weights are summed over colours.

    Activations are no longer in place: a hook on what feeds them sees the values that they saw.
    """
    colour = whole.get_submodule(first)
    assert isinstance(colour, nn.Conv2d)
    assert colour.bias is None
    gray = nn.Conv2d(1, colour.out_channels, colour.kernel_size, colour.stride, colour.padding, bias=False)  # type: ignore[arg-type]
    with torch.no_grad():
        gray.weight.copy_(colour.weight.sum(dim=1, keepdim=True))
    whole.set_submodule(first, gray)
    for part in whole.modules():
        if hasattr(part, "inplace"):
            part.inplace = False  # type: ignore[assignment]  # of modules, attributes may be anything
    return whole
