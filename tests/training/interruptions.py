"""Callbacks that interrupt a run at a known step, for the tests of resuming."""

import os
import signal

from lightning import Callback


class Interrupt(Callback):
    """Sends this process a signal in the middle of a step."""

    def __init__(self, step: int, name: str) -> None:
        super().__init__()
        self.step, self.number = step, signal.Signals[name]

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), self.number)
