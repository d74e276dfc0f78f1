"""Learning-rate schedules: each turns an optimizer and the number of steps of a run into a torch scheduler."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from retseg.errors import InputError


class Schedule(Protocol):
    """Makes the scheduler of a run. A ReduceLROnPlateau is stepped after each validation, others after each step."""

    def __call__(self, optimizer: Optimizer, num_steps: int) -> LRScheduler:
        """Scheduler for an optimizer over num_steps optimizer steps."""
        ...


@dataclass(frozen=True)
class Plateau:
    """The rate times `factor` once val/loss has not fallen for more than `patience` validations, never below min_lr.

    The paper names ReduceLROnPlateau without its values (3.4); these are the ones of its code.
    """

    factor: float = 0.5
    patience: int = 6
    min_lr: float = 1e-6

    def __call__(self, optimizer: Optimizer, num_steps: int) -> LRScheduler:
        """See Schedule."""
        return ReduceLROnPlateau(optimizer, factor=self.factor, patience=self.patience, min_lr=self.min_lr)


@dataclass(frozen=True)
class OneCycle:
    """Up to max_lr over the first `warm_up` share of the steps, then down to nearly nothing (Smith & Topin 2018).

    DOI 10.1117/12.2520589. The optimizer's own rate is not used.
    """

    max_lr: float = 3e-3
    warm_up: float = 0.3

    def __call__(self, optimizer: Optimizer, num_steps: int) -> LRScheduler:
        """See Schedule."""
        return OneCycleLR(optimizer, max_lr=self.max_lr, total_steps=num_steps, pct_start=self.warm_up)


@dataclass(frozen=True)
class Constant:
    """The optimizer's own rate throughout."""

    def __call__(self, optimizer: Optimizer, num_steps: int) -> LRScheduler:
        """See Schedule."""
        return ConstantLR(optimizer, factor=1.0)


@dataclass(frozen=True)
class Cosine:
    """The optimizer's rate, reached in even steps over the first `warm_up` share of the run, then half a cosine.

    It ends at `floor` times the rate (Loshchilov & Hutter 2017, arXiv 1608.03983; warm-up: Goyal et al. 2017).
    """

    warm_up: float = 0.05
    floor: float = 0.0

    def __post_init__(self) -> None:
        """InputError for a share outside 0..1."""
        check_shares(warm_up=self.warm_up, floor=self.floor)

    def __call__(self, optimizer: Optimizer, num_steps: int) -> LRScheduler:
        """See Schedule."""
        return warmed_up(optimizer, num_steps, self.warm_up, lambda done: falling(self.floor, cosine(done)))


@dataclass(frozen=True)
class Poly:
    """The optimizer's rate times (1 - share of the run)^power, after an even rise over the first `warm_up` share.

    It ends at `floor` times the rate. Chen et al. 2018, doi 10.1109/TPAMI.2017.2699184, with their power.
    """

    power: float = 0.9
    warm_up: float = 0.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        """InputError for a share outside 0..1 or a power that does not fall."""
        check_shares(warm_up=self.warm_up, floor=self.floor)
        if self.power <= 0:
            raise InputError(f"scheduler.power: {self.power}, expected more than 0; 0.9 is usual, 1 is a straight line")

    def __call__(self, optimizer: Optimizer, num_steps: int) -> LRScheduler:
        """See Schedule."""
        return warmed_up(
            optimizer, num_steps, self.warm_up, lambda done: falling(self.floor, max(1 - done, 0) ** self.power)
        )


def cosine(done: float) -> float:
    """Half a cosine, from 1 at done = 0 to 0 at done = 1."""
    return (1 + math.cos(math.pi * done)) / 2


def falling(floor: float, share: float) -> float:
    """Factor from 1 (share 1) to the floor (share 0)."""
    return floor + (1 - floor) * share


def warmed_up(optimizer: Optimizer, num_steps: int, warm_up: float, factor: Callable[[float], float]) -> LRScheduler:
    """The optimizer's rate times (k + 1) / K at the steps k of K = warm_up x num_steps, then times factor(0..1)."""
    num_warm = round(warm_up * num_steps)

    def factor_at(step: int) -> float:
        return (step + 1) / num_warm if step < num_warm else factor((step - num_warm) / max(num_steps - num_warm, 1))

    return LambdaLR(optimizer, factor_at)


def check_shares(**shares: float) -> None:
    """InputError unless each is from 0 to 1."""
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise InputError(f"scheduler.{name}: {share}, expected a share from 0 to 1")
