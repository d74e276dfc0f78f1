"""Every network of conf/model, small, by name."""

import torch

from retseg.models.encoder import EncoderUNet
from retseg.models.fluid import WithFluid
from retseg.models.relaynet import ReLayNet
from retseg.models.segnet import SegNet
from retseg.models.surface_head import WithSurfaces
from retseg.models.unet import UNet

MAKERS = {
    "segnet": lambda: SegNet(width=2, norm="batch"),
    "relaynet": lambda: ReLayNet(width=4),
    "unet": lambda: UNet(width=2, norm="batch"),
    "unet_cheap": lambda: UNet(
        width=4, depth=3, norm="batch", upsample="bilinear", separable=True, stem_stride=[1, 2], max_width=8
    ),
    "unet_coarse": lambda: UNet(width=2, depth=2, stem_stride=[4, 2], dropout=0.5),
    "resnet18": lambda: EncoderUNet(width=1),
    "mobilenet": lambda: EncoderUNet(encoder="mobilenet_v3_small", width=2, upsample="transpose"),
    "with_fluid": lambda: WithFluid(UNet(num_classes=9, width=2, depth=2)),
    "with_surfaces": lambda: WithSurfaces(ReLayNet(num_classes=16, width=4)),
    "with_surfaces_and_fluid": lambda: WithFluid(WithSurfaces(UNet(num_classes=17, width=4, norm="batch"))),
}


def make(name):
    """The network in eval mode, with weights and statistics that are nowhere 0 or 1."""
    torch.manual_seed(1)
    net = MAKERS[name]().train()
    with torch.no_grad():
        for _ in range(3):
            net(torch.rand(2, 1, 64, 64))
    return net.eval()
