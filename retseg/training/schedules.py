"""Learning-rate schedules: each turns an optimizer and the number of steps of a run into a torch scheduler."""

from dataclasses import dataclass
from typing import Protocol

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR, ReduceLROnPlateau


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
