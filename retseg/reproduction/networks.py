"""What a network is made of, by building it: layers, channels and parameters, without a forward pass on real memory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from retseg.build import build_net
from retseg.models.blocks import MaxUnpool2x2

if TYPE_CHECKING:
    from omegaconf import DictConfig

CONVOLUTION, TRANSPOSED, UNPOOL = "convolution", "transposed convolution", "unpooling"


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """One layer that changes channels or size: its module path and kind; sizes are (H, W) in pixels."""

    path: str
    kind: str
    kernel: int
    stride: int
    channels_in: int
    channels_out: int
    size_in: tuple[int, int]
    size_out: tuple[int, int]
    num_parameters: int


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """A network as it runs on one image: its layers in the order of the forward pass, and all its parameters."""

    name: str
    in_channels: int
    num_parameters: int
    layers: tuple[LayerFacts, ...]

    def count(self, kind: str) -> int:
        """How many layers of a kind there are."""
        return sum(layer.kind == kind for layer in self.layers)

    def part(self, prefix: str, kind: str = CONVOLUTION) -> tuple[LayerFacts, ...]:
        """Layers of a kind whose path starts so, e.g. "encoder" or "decoder"."""
        return tuple(layer for layer in self.layers if layer.path.startswith(prefix) and layer.kind == kind)

    @property
    def encoder_widths(self) -> tuple[int, ...]:
        """Channels that each encoder block hands on; empty for a network without encoder blocks."""
        last = {layer.path.split(".")[0]: layer.channels_out for layer in self.part("encoder")}
        return tuple(last.values())

    @property
    def smallest_size(self) -> tuple[int, int]:
        """The smallest feature map that a layer reads."""
        return min((layer.size_in for layer in self.layers), default=(0, 0))

    @property
    def head(self) -> LayerFacts | None:
        """The last convolution."""
        convolutions = [layer for layer in self.layers if layer.kind == CONVOLUTION]
        return convolutions[-1] if convolutions else None


def network_facts(config: "DictConfig", name: str, size: tuple[int, int]) -> NetworkFacts:
    """Facts of the network of a configuration, run on an image (1, 1, H, W) without content: width costs nothing."""
    state = torch.random.get_rng_state()
    with torch.device("meta"):
        net = build_net(config).eval()
    torch.random.set_rng_state(state)
    in_channels = int(config.model.get("in_channels", 1))
    layers: list[LayerFacts] = []
    hooks = [
        module.register_forward_hook(_note(path, kind, layers))
        for path, module in net.named_modules()
        if (kind := _kind(module)) is not None
    ]
    with torch.no_grad():
        net(torch.empty(1, in_channels, *size, device="meta"))
    for hook in hooks:
        hook.remove()
    num_parameters = sum(parameter.numel() for parameter in net.parameters())
    return NetworkFacts(name, in_channels, num_parameters, tuple(layers))


def _kind(module: nn.Module) -> str | None:
    kinds = {nn.Conv2d: CONVOLUTION, nn.ConvTranspose2d: TRANSPOSED, MaxUnpool2x2: UNPOOL}
    return kinds.get(type(module))


def _note(path: str, kind: str, layers: list[LayerFacts]) -> Callable[[nn.Module, tuple[Any, ...], torch.Tensor], None]:
    """Forward hook that notes a layer as it runs."""

    def hook(module: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        image = inputs[0]
        kernel = module.kernel_size[0] if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) else 2
        stride = module.stride[0] if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) else 2
        before, after = (image.shape[-2], image.shape[-1]), (output.shape[-2], output.shape[-1])
        own = sum(parameter.numel() for parameter in module.parameters())
        layers.append(LayerFacts(path, kind, kernel, stride, image.shape[1], output.shape[1], before, after, own))

    return hook
