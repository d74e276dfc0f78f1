"""A convolution of joined features is differentiated only with respect to the parts that ask for it.

A decoder joins what comes from below to a skip from the encoder (`torch.cat`). Where the explained layer lies behind
the encoder, nobody asks for the gradient of the skip; autograd computes it all the same, half of the work of each such
convolution, and throws it away. N scans, K channels, h x w pixels.
"""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.grad import conv2d_input
from torch.overrides import TorchFunctionMode


@dataclass(frozen=True, slots=True, eq=False)
class _Joined:
    """Features joined along the channels: the whole, its parts, and the versions of all that asks for gradients."""

    whole: "weakref.ref[Tensor]"
    parts: tuple[Tensor, ...]
    versions: tuple[int, ...]

    @staticmethod
    def versions_of(whole: Tensor, parts: Sequence[Tensor]) -> tuple[int, ...]:
        """In-place operations since the joining show in these: then a part is no longer what was joined."""
        return whole._version, *(part._version for part in parts if part.requires_grad)


class OnlyWhatAsks(TorchFunctionMode):
    """While it is active, 2-D convolutions of joined features leave out the gradients of parts without a graph.

    Values are those of the plain operations, bit for bit; gradients are those of autograd. No gradient goes to the
    weights of these convolutions. All other operations, grouped convolutions, padding by name, autocast, and joined
    features that were changed in place or that something else reads are left to autograd.
    """

    def __init__(self) -> None:
        super().__init__()
        self._joined: dict[int, _Joined] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Remember what is joined while a graph is recorded; convolve it by `_PartsConv`."""
        options = kwargs or {}
        if func in (torch.conv2d, torch.nn.functional.conv2d):
            convolved = self._convolved(*args, **options)
            if convolved is not None:
                return convolved
        output = func(*args, **options)
        if func in (torch.cat, torch.concat) and output.requires_grad and output.ndim == 4:
            self._remember(output, *args, **options)
        return output

    def _remember(self, output: Tensor, tensors: Sequence[Tensor], dim: int = 0, **others: Any) -> None:
        parts, key = tuple(tensors), id(output)
        if dim in (1, -3) and not all(part.requires_grad for part in parts):
            # Forgotten with the output, so that parts live no longer than they would have.
            forget = weakref.ref(output, lambda _: self._joined.pop(key, None))
            self._joined[key] = _Joined(forget, parts, _Joined.versions_of(output, parts))

    def _convolved(
        self,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor | None:
        """The convolution (N, K', h', w') of joined features, None where autograd is to do it."""
        joined = self._joined.get(id(input))
        if joined is None or joined.whole() is not input or not torch.is_grad_enabled():
            return None
        if groups != 1 or isinstance(padding, str) or torch.is_autocast_enabled(input.device.type):
            return None
        if joined.versions != _Joined.versions_of(input, joined.parts):
            return None
        plain = None if bias is None else bias.detach()
        settings = (stride, padding, dilation)
        convolved: Tensor = _PartsConv.apply(input.detach(), weight.detach(), plain, settings, *joined.parts)
        return convolved


class _PartsConv(torch.autograd.Function):
    """conv2d(whole, weight, bias) as a function of the parts that whole was joined from."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, weight: Tensor, bias: Tensor | None, settings: Any, *parts: Tensor) -> Tensor:
        """(N, K', h', w') from the joined features (N, K, h, w)."""
        ctx.weight, ctx.settings, ctx.shapes = weight, settings, [part.shape for part in parts]
        return torch.conv2d(whole, weight, bias, *settings)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Gradients of the parts that ask for one; None for everything else."""
        found: list[Tensor | None] = [None] * 4
        start = 0
        for shape, asks in zip(ctx.shapes, ctx.needs_input_grad[4:], strict=True):
            weight = ctx.weight[:, start : start + shape[1]].contiguous()
            found.append(_input_gradient(shape, weight, gradients[0], ctx.settings) if asks else None)
            start += shape[1]
        return tuple(found)


def _input_gradient(shape: torch.Size, weight: Tensor, gradient: Tensor, settings: Any) -> Tensor:
    """Gradient (N, K, h, w) of a convolution's input from that of its output (N, K', h', w')."""
    found: Tensor = conv2d_input(shape, weight, gradient, *settings)  # type: ignore[no-untyped-call]
    return found
