"""What tests put into a run: a cut at a known step, a rate that falls at every epoch, a clock that is put."""

import os
import signal

from lightning import Callback
from torch.optim.lr_scheduler import ReduceLROnPlateau


class Interrupt(Callback):
    """Sends this process a signal in the middle of a step."""

    def __init__(self, step: int, name: str) -> None:
        super().__init__()
        self.step, self.number = step, signal.Signals[name]

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), self.number)


class NeverContent:
    """A plateau scheduler that no loss ever pleases: it halves the rate after every validation but the first."""

    def __call__(self, optimizer, num_steps):
        return ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=10)


class PutClock(Callback):
    """Puts the clock back by an hour in the second step, and then forward by a day in the fifth."""

    offset_s = 0.0
    """What `tests/faults/test_clock.py` adds to every time of day that Python tells."""

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        PutClock.offset_s += {1: -3600.0, 4: 86400.0}.get(trainer.global_step, 0.0)
