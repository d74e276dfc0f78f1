"""Who answers: one network or several, each looking once or in several ways, with dropout drawn or not.

An answer of several members is their mean, and what they disagree about widens its spread (`answer.combined`).
N windows, K channels, H rows, W columns.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from retseg.errors import InputError
from retseg.inference.network import ScanNetwork, fluid_forward
from retseg.inference.predictor import PLAIN, Member, View

VIEWS = (
    PLAIN,
    View(is_mirrored=True),
    View(gain=0.85, shift=0.06),
    View(is_mirrored=True, gain=1.15, shift=-0.06),
    View(gain=1.25, shift=-0.1),
    View(is_mirrored=True, gain=0.75, shift=0.1),
    View(gain=0.7, shift=-0.04),
    View(is_mirrored=True, gain=1.35, shift=0.04),
)
"""Test-time augmentation, the first ones first. No two are the same even where a scan leaves its window no room to
move, and each second one is mirrored: what a network says of left and right is evened out."""

DROPOUT_SEED = 0


def views(count: int) -> tuple[View, ...]:
    """The first `count` ways to look at a scan. InputError for more than there are, and for fewer than one."""
    if not 1 <= count <= len(VIEWS):
        raise InputError(f"--views {count}: expected 1 to {len(VIEWS)}; --dropout and further runs add members, too")
    return VIEWS[:count]


def members_of(
    networks: Sequence[ScanNetwork], num_views: int = 1, num_dropout: int = 0, seed: int = DROPOUT_SEED
) -> tuple[Member, ...]:
    """Every network, then num_dropout samples of it, each in num_views ways.

    The first is the first network as it is: features of a scan are always its own, see `answer.combined`. InputError
    for a number of views that there is not, and for samples of a network without dropout.
    """
    ways = views(num_views)
    answering = [
        sample
        for network in networks
        for sample in (network, *(dropout_networks(network, num_dropout, seed) if num_dropout else ()))
    ]
    return tuple(Member(network, view) for network in answering for view in ways)


def dropout_networks(network: ScanNetwork, count: int, seed: int) -> tuple[ScanNetwork, ...]:
    """Samples of a network with its dropout at work: Monte-Carlo dropout (Gal & Ghahramani 2016, arXiv 1506.02142).

    Each draws its masks from its own seed and from the window that it looks at: an answer depends neither on threads
    nor on what was predicted before, and no other random state is touched. InputError where it has no dropout.
    """
    module = network.module
    if module is None:
        raise InputError(
            f"{network.card.name}: --dropout needs the network itself, {network.engine} only runs it; "
            "name the run folder that it was exported from"
        )
    if not any(isinstance(part, nn.Dropout) for part in module.modules()):
        raise InputError(
            f"{network.card.name}: has no dropout to sample from; train a network with model.dropout=0.2, "
            "or leave --dropout out"
        )
    sampler = _with_drawn_dropout(module)
    samples = [_Sample(sampler, f"{seed}/{number}") for number in range(count)]
    return tuple(
        replace(
            network,
            forward=sample,
            engine=f"{network.engine}, dropout {number}",
            with_fluid=None if network.with_fluid is None else sample.with_fluid,
        )
        for number, sample in enumerate(samples)
    )


_generators: ContextVar[tuple[torch.Generator, ...]] = ContextVar("generators of the forward pass under way")


class _DrawnDropout(nn.Module):
    """Dropout (N, K, H, W) whose masks come from the generators (N,) of the forward pass under way, in any mode."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Features with a share set to 0 and the others scaled up, so that their mean stays."""
        drawn = [torch.rand(x.shape[1:], generator=generator) for generator in _generators.get()]
        return x * (torch.stack(drawn) >= self.share).to(x) / (1 - self.share)


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """A forward pass with masks of a seed."""

    module: nn.Module
    seed: str

    def __call__(self, images: Tensor) -> Tensor:
        with _drawing([_generator(self.seed, image) for image in images]):
            logits: Tensor = self.module(images)
        return logits

    def with_fluid(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and the probability of fluid, of the very same masks."""
        forward = fluid_forward(self.module)
        assert forward is not None
        with _drawing([_generator(self.seed, image) for image in images]):
            return forward(images)


@contextmanager
def _drawing(generators: Sequence[torch.Generator]) -> Iterator[None]:
    """Dropout draws from these; a context of its own in each thread."""
    before = _generators.set(tuple(generators))
    try:
        yield
    finally:
        _generators.reset(before)


def _generator(seed: str, image: Tensor) -> torch.Generator:
    """Random numbers of a seed and an image (1, H, W)."""
    digest = hashlib.sha256(seed.encode() + image.contiguous().numpy().tobytes()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") % 2**63)


def _with_drawn_dropout(module: nn.Module) -> nn.Module:
    """A copy in eval mode with each dropout replaced."""
    copied = deepcopy(module).eval()
    for name, part in list(copied.named_modules()):
        if isinstance(part, nn.Dropout):
            copied.set_submodule(name, _DrawnDropout(part.p))
    return copied


@dataclass(frozen=True, slots=True)
class Mode:
    """How scans are predicted, as far as it changes numbers: what was calibrated holds for this mode alone.

    sha256s: of the networks' weights, sorted. smoothness: nats a row, see `likeliest_surfaces`.
    """

    sha256s: tuple[str, ...]
    num_views: int = 1
    num_dropout: int = 0
    smoothness: float = 0.0

    @property
    def words(self) -> str:
        """E.g. "2 networks, 4 views"."""
        parts = [_count(len(self.sha256s), "network"), _count(self.num_views, "view")]
        if self.num_dropout:
            parts.append(_count(self.num_dropout, "dropout sample"))
        if self.smoothness:
            parts.append(f"smoothness {self.smoothness:g}")
        return ", ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, with its words."""
        return {
            "words": self.words,
            "sha256s": list(self.sha256s),
            "num_views": self.num_views,
            "num_dropout": self.num_dropout,
            "smoothness": self.smoothness,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Mode":
        """The mode of `to_json`. KeyError, TypeError or ValueError where it is none."""
        return cls(
            tuple(str(sha256) for sha256 in content["sha256s"]),
            int(content["num_views"]),
            int(content["num_dropout"]),
            float(content["smoothness"]),
        )


def mode_of(networks: Sequence[ScanNetwork], num_views: int = 1, num_dropout: int = 0, smoothness: float = 0.0) -> Mode:
    """The mode of `members_of` the same networks, views and samples."""
    return Mode(tuple(sorted(network.card.sha256 for network in networks)), num_views, num_dropout, smoothness)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
