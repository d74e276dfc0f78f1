"""One forward pass with the target layers tapped, and the network left as it was found.

N scans, C classes, K channels, h x w pixels at the layer, H x W pixels of the image.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from retseg.errors import InputError
from retseg.explain.joined_conv import OnlyWhatAsks


class Tap:
    """One target layer during the forward pass.

    From the first tap on, the network records a graph. What runs next gets a copy of the features, so that an
    in-place ReLU behind a convolution cannot write into them.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.features: Tensor = torch.empty(0)
        self.handed_on: Tensor | None = None
        self.version = 0
        self.head_weight: Tensor = torch.empty(0)
        self.head_output: Tensor | None = None
        self.head_version = 0

    def take(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Tensor:
        """Forward hook of the target: keep its features (N, K, h, w), hand on a copy that the graph leads back from."""
        if not isinstance(output, Tensor) or output.ndim != 4:
            raise InputError(f"layer {self.path!r} gives no maps (N, K, h, w); choose a convolution or an activation")
        if self.handed_on is not None:
            raise InputError(f"layer {self.path!r} runs more than once in a forward pass; choose one that runs once")
        torch.set_grad_enabled(True)  # until the no_grad around the forward pass ends
        self.features = output if output.requires_grad else output.detach().requires_grad_()
        handed_on = self.features.clone()
        self.handed_on, self.version = handed_on, handed_on._version
        return handed_on

    def watch(self, module: nn.Conv2d, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Forward hook of every 1x1 convolution: note the one that reads exactly what this layer handed on.

        An in-place operation between the two leaves the same object with another version.
        """
        handed_on = self.handed_on
        if handed_on is not None and inputs and inputs[0] is handed_on and handed_on._version == self.version:
            self.head_weight = module.weight.detach().flatten(1)
            self.head_output, self.head_version = output, output._version

    def feeds_head(self, logits: Tensor) -> bool:
        """Whether the logits are, untouched, what that 1x1 convolution gave: then no gradient has to be computed."""
        return self.head_output is logits and logits._version == self.head_version


def tapped_forward(net: nn.Module, image: Tensor, taps: Sequence[Tap]) -> Tensor:
    """Logits (N, C, H, W) of one pass in eval mode, with the taps' hooks in place and gone afterwards."""
    with ExitStack() as stack:
        stack.enter_context(left_as_found(net, image.device))
        for tap in taps:
            stack.enter_context(net.get_submodule(tap.path).register_forward_hook(tap.take))
        # After every `take`, so that a head which is itself a target is seen with the output that it hands on.
        for head in (module for module in net.modules() if taps and _is_pointwise(module)):
            for tap in taps:
                stack.enter_context(head.register_forward_hook(tap.watch))
        stack.enter_context(OnlyWhatAsks())
        logits = net(image)
    if not isinstance(logits, Tensor) or logits.ndim != 4:
        raise InputError(f"the network returned {type(logits).__name__}, expected a tensor of logits (N, C, H, W)")
    for tap in taps:
        if tap.handed_on is None:
            raise InputError(f"layer {tap.path!r} does not run in a forward pass; choose one that does")
    return logits


def _is_pointwise(module: nn.Module) -> bool:
    """Whether a module is a plain 1x1 convolution over all channels, a matrix applied at every pixel."""
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == (1, 1)
        and module.stride == (1, 1)
        and module.padding in ((0, 0), "valid", "same")
        and module.groups == 1
    )


@contextmanager
def left_as_found(net: nn.Module, device: torch.device) -> Iterator[None]:
    """Eval mode inside; afterwards every module's own mode and the random state are back, errors or not.

    The flag is set as an attribute, because `train()` may be overridden (frozen BatchNorm, merged weights).
    """
    modes = [(module, module.training) for module in net.modules()]
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            for module, _ in modes:
                module.training = False
            yield
        finally:
            for module, training in modes:
                module.training = training
